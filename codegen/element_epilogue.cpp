#include "codegen/element_epilogue.h"

#include <algorithm>
#include <bit>

#include "codegen/sizes.h"
#include "ir/error.h"

namespace taper::codegen {
namespace {

// Moves `base` on by the elements that results lie behind the first one of the call.
void advance(Masm& m, Gp base, Gp element, ir::DType dtype) {
  const Gp bytes = m.gp();
  m.move(bytes, element);
  const int bits = std::countr_zero(ir::byte_size(dtype));
  if (bits != 0) m.shift_left(bytes, bits);
  m.add(base, bytes);
  m.release(bytes);
}

}  // namespace

void load_operand(Masm& m, Vec d, const ir::EpilogueOperand& operand, Gp base, std::int64_t same,
                  std::int64_t channel, bool tail) {
  const auto size = static_cast<std::int64_t>(ir::byte_size(operand.dtype));
  switch (operand.access) {
    case ir::EpilogueAccess::same:
      return load_lanes(m, d, {base, same * size}, operand.dtype, tail);
    case ir::EpilogueAccess::channel:
      return load_lanes(m, d, {base, channel * size}, operand.dtype, tail);
    case ir::EpilogueAccess::scalar:
      return m.broadcast(d, {base, 0});
  }
}

void check_epilogue(const ir::Epilogue& epilogue, const char* kernel, bool channels) {
  if (epilogue.operands.size() > kMaxElementOperands)
    throw Error("{}: an epilogue of {} operands, but at most {} are supported", kernel,
                epilogue.operands.size(), kMaxElementOperands);
  for (const ir::EpilogueOperand& operand : epilogue.operands) {
    if (operand.access == ir::EpilogueAccess::channel && !channels)
      throw Error("{}: an epilogue operand per channel is not supported", kernel);
    if (operand.access == ir::EpilogueAccess::scalar && operand.dtype != ir::DType::f32)
      throw Error("{}: a scalar epilogue operand must be f32", kernel);
  }
}

void load_operand(Masm& m, Vec d, const ir::Epilogue& epilogue, std::size_t i,
                  const ElementPlace& place) {
  const ir::EpilogueOperand& operand = epilogue.operands[i];
  const Gp base = m.gp();
  m.load(base, place.pointers + static_cast<std::int64_t>(i * sizeof(void*)));
  if (operand.access == ir::EpilogueAccess::same && place.element != Gp{})
    advance(m, base, place.element, operand.dtype);
  load_operand(m, d, operand, base, place.offset + place.lane, place.lane, place.tail);
  m.release(base);
}

void emit_epilogue(Masm& m, const ir::Epilogue& epilogue, Vec acc, const ElementPlace& place) {
  if (epilogue.expr.empty()) return;
  std::vector<Vec> bound(static_cast<std::size_t>(epilogue.expr.inputs));
  if (!bound.empty()) bound[0] = acc;
  const auto load = [&](Vec d, int i) {
    load_operand(m, d, epilogue, static_cast<std::size_t>(i - 1), place);
  };
  const Vec value = emit_expr(m, epilogue.expr, bound, load).front();
  if (value == acc) return;
  m.move(acc, value);
  m.release(value);
}

MomentSums::MomentSums(Masm& m, const ir::Epilogue& epilogue, Address pointers,
                       std::int64_t channel)
    : m_(m), epilogue_(epilogue), pointers_(pointers), channel_(channel) {
  for (std::size_t i = 0; i < epilogue.moments.outputs.size(); ++i) sums_.push_back(m.vec());
  for_each([&](Vec sum, Address at) { m.load(sum, at); });
}

void MomentSums::add(Vec result, const LoadInput& load) {
  if (sums_.empty()) return;
  std::vector<Vec> bound(static_cast<std::size_t>(epilogue_.moments.inputs));
  bound[0] = result;
  const std::vector<Vec> values = emit_expr(m_, epilogue_.moments, bound, load);
  for (std::size_t i = 0; i < sums_.size(); ++i) {
    m_.add(sums_[i], sums_[i], values[i]);
    if (!(values[i] == result)) m_.release(values[i]);
  }
}

void MomentSums::store() {
  for_each([&](Vec sum, Address at) { m_.store(at, sum); });
  for (const Vec sum : sums_) m_.release(sum);
}

void MomentSums::for_each(const std::function<void(Vec sum, Address at)>& visit) const {
  const Gp base = m_.gp();
  for (std::size_t i = 0; i < sums_.size(); ++i) {
    m_.load(base, pointers_ + static_cast<std::int64_t>(i * sizeof(float*)));
    visit(sums_[i], {base, channel_ * kF32});
  }
  m_.release(base);
}

ImageMoments::ImageMoments(const ir::Epilogue& epilogue, std::size_t buffer, std::int64_t channels,
                           std::int64_t pixels)
    : count_(epilogue.moments.outputs.size()),
      buffer_(buffer),
      channels_(channels),
      pixels_(epilogue.mean ? static_cast<float>(pixels) : 1) {
  if (count_ > kMaxMoments || (count_ > 0 && channels % ir::kBlock != 0))
    throw Error("{} moments of {} channels: at most {}, of whole blocks of channels, are supported",
                count_, channels, kMaxMoments);
}

void ImageMoments::start(void* const* buffers, std::int64_t image, std::int64_t channel,
                         std::int64_t count) const {
  for (std::size_t i = 0; i < count_; ++i) std::fill_n(at(buffers, i, image, channel), count, 0.0f);
}

void ImageMoments::finish(void* const* buffers, std::int64_t image, std::int64_t channel,
                          std::int64_t count) const {
  if (pixels_ == 1) return;
  for (std::size_t i = 0; i < count_; ++i) {
    float* const sums = at(buffers, i, image, channel);
    for (std::int64_t c = 0; c < count; ++c) sums[c] /= pixels_;
  }
}

}  // namespace taper::codegen
