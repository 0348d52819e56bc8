#include "codegen/element_epilogue.h"

#include <bit>
#include <vector>

#include "codegen/expr.h"
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

void emit_epilogue(Masm& m, const ir::Epilogue& epilogue, Vec acc, const ElementPlace& place) {
  if (epilogue.expr.empty()) return;
  std::vector<Vec> bound(static_cast<std::size_t>(epilogue.expr.inputs));
  if (!bound.empty()) bound[0] = acc;
  const auto load = [&](Vec d, int i) {
    const ir::EpilogueOperand& operand = epilogue.operands[static_cast<std::size_t>(i - 1)];
    const Gp base = m.gp();
    m.load(base, place.pointers + (i - 1) * std::int64_t{sizeof(void*)});
    if (operand.access == ir::EpilogueAccess::same && place.element != Gp{})
      advance(m, base, place.element, operand.dtype);
    load_operand(m, d, operand, base, place.offset + place.lane, place.lane, place.tail);
    m.release(base);
  };
  const Vec value = emit_expr(m, epilogue.expr, bound, load).front();
  if (value == acc) return;
  m.move(acc, value);
  m.release(value);
}

}  // namespace taper::codegen
