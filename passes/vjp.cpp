// Dispatch, elementwise ops (the vjp column of ir/ops.def) and the ops no gradient flows through.
#include "passes/vjp.h"

#include "ir/op.h"

namespace taper::passes {

using namespace ir;

ValueId VjpBuilder::sign(ValueId x) {
  const ValueId none = zero();
  const ValueId negative = lt(x, none);
  const ValueId below = select(negative, scalar(-1), none);
  const ValueId positive = gt(x, none);
  return select(positive, scalar(1), below);
}

ValueId VjpBuilder::positive_part(ValueId y, ValueId g) {
  const ValueId none = zero();
  return select(gt(y, none), g, none);
}

ValueId VjpBuilder::unclipped(ValueId y, double top, ValueId g) {
  const ValueId below = lt(y, scalar(top));
  return positive_part(y, select(below, g, zero()));
}

ValueId VjpBuilder::winner(ValueId strict, ValueId a, ValueId b, ValueId g) {
  const ValueId half = scale(g, 0.5);
  const ValueId equal = eq(a, b);
  return select(strict, g, select(equal, half, zero()));
}

namespace {

constexpr ValueId kNoGradient = kNoValue;

// The vjp column as member functions, so that its words are looked up in VjpBuilder.
class Column : private VjpBuilder {
 public:
  explicit Column(VjpBuilder& builder) : VjpBuilder(builder) {}

#define TAPER_UNWRAP(...) __VA_ARGS__
#define TAPER_ELEMENTWISE(name, arity, result, eval, vjp, emit)                \
  Gradients vjp_##name([[maybe_unused]] ValueId g, [[maybe_unused]] ValueId y, \
                       [[maybe_unused]] ValueId a, [[maybe_unused]] ValueId b, \
                       [[maybe_unused]] ValueId c) {                           \
    return TAPER_UNWRAP vjp;                                                   \
  }
#include "ir/ops.def"
#undef TAPER_UNWRAP
};

ValueId operand_or_none(const VjpRequest& r, std::size_t i) {
  return i < r.node.operands.size() ? r.node.operands[i] : kNoValue;
}

Gradients undo_broadcasting(VjpBuilder& builder, const VjpRequest& r, Gradients gradients) {
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    if (gradients[i] == kNoGradient || !r.wanted[i]) continue;
    const Shape shape = builder.type(r.operand(i)).shape;
    gradients[i] = builder.sum_to(gradients[i], shape);
  }
  return gradients;
}

Gradients none(const VjpRequest& r) {
  return Gradients(r.node.operands.size(), kNoGradient);
}

[[noreturn]] Gradients refuse(const VjpRequest& r) {
  throw Error(r.node.location,
              "differentiate: op '{}' has no gradient, because it is made by a later pass",
              traits(r.node.op).name);
}

}  // namespace

Gradients vjp(VjpBuilder& builder, const VjpRequest& r) {
  const auto* reduce = std::get_if<ReduceAttrs>(&r.node.attrs);
  const bool fused = reduce != nullptr && reduce->prologue != Expr{};
  if (fused || r.node.epilogue != Expr{})
    throw Error(r.node.location,
                "differentiate: op '{}' with an epilogue or prologue has no gradient, because a "
                "later pass fuses",
                traits(r.node.op).name);
  builder.set_location(r.node.location);
  const ValueId a = operand_or_none(r, 0);
  const ValueId b = operand_or_none(r, 1);
  const ValueId c = operand_or_none(r, 2);
  switch (r.node.op) {
#define TAPER_ELEMENTWISE(name, arity, result, eval, vjp, emit) \
  case Op::name:                                                \
    return undo_broadcasting(builder, r, Column(builder).vjp_##name(r.g, r.y, a, b, c));
#define TAPER_STRUCTURAL(name, arity, attrs) \
  case Op::name:                             \
    return vjp_##name(builder, r);
#include "ir/ops.def"
  }
  return none(r);
}

#define TAPER_VJP(name, gradients)                         \
  Gradients vjp_##name(VjpBuilder&, const VjpRequest& r) { \
    return gradients(r);                                   \
  }
TAPER_VJP(input, none)
TAPER_VJP(parameter, none)
TAPER_VJP(state, none)
TAPER_VJP(constant, none)
TAPER_VJP(random, none)
TAPER_VJP(in_range, none)  // integers
TAPER_VJP(extent, none)
TAPER_VJP(gradient, refuse)
TAPER_VJP(cross_entropy_fused, refuse)
TAPER_VJP(max_pool2d_with_indices, refuse)
TAPER_VJP(max_unpool2d, refuse)
TAPER_VJP(relayout, refuse)
TAPER_VJP(map, refuse)
TAPER_VJP(result, refuse)
TAPER_VJP(view, refuse)
TAPER_VJP(kernel, refuse)
#undef TAPER_VJP

}  // namespace taper::passes
