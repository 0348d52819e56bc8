// Copies of elements: relayout, transpose, slice, pad, concat, broadcast.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "codegen/copy_part.h"
#include "codegen/kernel.h"
#include "ir/eval.h"

namespace taper::codegen {
namespace {

template <class Element>
void fill_elements(std::byte* result, std::int64_t first, std::int64_t count, std::uint32_t bits) {
  std::fill_n(reinterpret_cast<Element*>(result) + first, count, static_cast<Element>(bits));
}

class CopyKernel final : public Kernel {
 public:
  CopyKernel(const ir::CopySpec& spec, const ir::Isa& isa) : spec_(spec) {
    images_ = !spec.parts.empty() || spec.result_batched;
    if (spec.has_fill) {
      images_ = images_ && spec.result_batched;
      bits_ = ir::element_bits(spec.dtype, spec.fill);
    }
    const bool alone = spec.parts.size() == 1 && !spec.has_fill;
    for (const ir::CopyPart& part : spec.parts) {
      if (part.dims.empty() || part.dims[0] != ir::kBatch) images_ = false;
      parts_.emplace_back(alone ? with_folded_planes(part) : part, spec.dtype, isa);
    }
  }

  // A fill reaches the whole result before any part does, so it is not cut but by images.
  std::int64_t units(std::int64_t batch) const override {
    if (images_) return batch;
    if (spec_.has_fill) return 1;
    std::int64_t count = 0;
    for (const CopyPartKernel& part : parts_) count += part.steps(batch);
    return count;
  }
  Partition partition() const override { return images_ ? Partition::images : Partition::units; }
  std::int64_t planes() const override { return planes_; }
  std::vector<const Routine*> routines() const override {
    std::vector<const Routine*> all;
    for (const CopyPartKernel& part : parts_)
      if (part.routine()) all.push_back(&*part.routine());
    return all;
  }

  void run(const Call& call) const override {
    if (call.begin >= call.end) return;
    if (spec_.has_fill) fill(call);
    std::int64_t first_unit = 0;  // of the part
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      const std::int64_t steps = parts_[i].steps(call.batch * planes_);
      std::int64_t first = 0, last = steps;
      if (images_) {
        first = call.begin * (planes_ / call.planes);
        last = call.end * (planes_ / call.planes);
      } else if (!spec_.has_fill) {
        first = std::clamp<std::int64_t>(call.begin - first_unit, 0, steps);
        last = std::clamp<std::int64_t>(call.end - first_unit, 0, steps);
        first_unit += steps;
      }
      parts_[i].run(buffer(call, spec_.parts[i].operand), buffer(call, spec_.operands), first, last,
                    call.batch * planes_);
    }
  }

 private:
  // One loop over the planes of all images, where they follow one another on both sides.
  ir::CopyPart with_folded_planes(ir::CopyPart part) {
    if (part.dims.size() < 3 || part.dims[0] != ir::kBatch || part.dims[1] == 1 ||
        part.source[0] != part.source[1] * part.dims[1] ||
        part.result[0] != part.result[1] * part.dims[1])
      return part;
    planes_ = part.dims[1];
    for (ir::Indices* list : {&part.dims, &part.source, &part.result}) list->erase(list->begin());
    part.dims[0] = ir::kBatch;
    return part;
  }

  static std::byte* buffer(const Call& call, std::int64_t index) {
    return static_cast<std::byte*>(call.buffers[index]);
  }

  void fill(const Call& call) const {
    const std::int64_t each = spec_.result_size;
    std::int64_t first = 0, count = each;
    if (spec_.result_batched) {
      first = images_ ? call.begin * each : 0;
      count = (images_ ? call.end - call.begin : call.batch) * each;
    }
    const std::size_t size = ir::byte_size(spec_.dtype);
    const auto fill_with = size == 1   ? fill_elements<std::uint8_t>
                           : size == 2 ? fill_elements<std::uint16_t>
                                       : fill_elements<std::uint32_t>;
    fill_with(buffer(call, spec_.operands), first, count, bits_);
  }

  ir::CopySpec spec_;
  std::vector<CopyPartKernel> parts_;
  bool images_ = false;
  std::int64_t planes_ = 1;  // of an image, each one a step of the only part
  std::uint32_t bits_ = 0;
};

}  // namespace

std::shared_ptr<const Kernel> compile_copy(const ir::CopySpec& spec, const ir::Isa& isa) {
  return std::make_shared<CopyKernel>(spec, isa);
}

}  // namespace taper::codegen
