#include "ir/op.h"

#include <array>

namespace taper::ir {
namespace {

constexpr auto kTable = std::to_array<OpTraits>({
#define TAPER_ELEMENTWISE(name, arity, result, eval, vjp, emit) \
  {#name, arity, true, ResultKind::result},
#define TAPER_STRUCTURAL(name, arity, attrs) {#name, arity, false, ResultKind::f32},
#include "ir/ops.def"
});

}  // namespace

const OpTraits& traits(Op op) {
  return kTable[static_cast<std::size_t>(op)];
}

bool takes_epilogue(Op op) {
  return op == Op::conv2d || op == Op::conv2d_backward_data || op == Op::matmul ||
         op == Op::pool2d || op == Op::pool2d_backward || op == Op::max_unpool2d ||
         op == Op::reduce;
}

std::optional<Op> op_named(std::string_view name) {
  for (std::size_t i = 0; i < kTable.size(); ++i)
    if (kTable[i].name == name) return static_cast<Op>(i);
  return std::nullopt;
}

}  // namespace taper::ir
