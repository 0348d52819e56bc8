#include "codegen/element_epilogue.h"

#include <bit>
#include <vector>

#include "codegen/expr.h"
#include "ir/error.h"

namespace taper::codegen {
namespace {

void load_operand(Masm& m, Vec d, const ir::EpilogueOperand& operand, std::size_t i,
                  const ElementPlace& place) {
  const auto size = static_cast<std::int64_t>(ir::byte_size(operand.dtype));
  const Gp base = m.gp();
  m.load(base, place.pointers + static_cast<std::int64_t>(i * sizeof(void*)));
  switch (operand.access) {
    case ir::EpilogueAccess::same:
      if (place.element != Gp{}) {
        const Gp bytes = m.gp();
        m.move(bytes, place.element);
        const int bits = std::countr_zero(static_cast<std::uint64_t>(size));
        if (bits != 0) m.shift_left(bytes, bits);
        m.add(base, bytes);
        m.release(bytes);
      }
      load_lanes(m, d, {base, (place.offset + place.lane) * size}, operand.dtype, place.tail);
      break;
    case ir::EpilogueAccess::channel:
      load_lanes(m, d, {base, place.lane * size}, operand.dtype, place.tail);
      break;
    case ir::EpilogueAccess::scalar:
      m.broadcast(d, {base, 0});
      break;
  }
  m.release(base);
}

}  // namespace

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
    const auto operand = static_cast<std::size_t>(i - 1);
    load_operand(m, d, epilogue.operands[operand], operand, place);
  };
  const Vec value = emit_expr(m, epilogue.expr, bound, load).front();
  if (value == acc) return;
  m.move(acc, value);
  m.release(value);
}

}  // namespace taper::codegen
