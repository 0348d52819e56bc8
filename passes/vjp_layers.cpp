// Gradients of the ops that layers are made of.
#include "passes/normalize.h"
#include "passes/vjp.h"

namespace taper::passes {

using namespace ir;

// With c = x - mean and d = sqrt(variance + eps), y = c scale / d has
//   dscale = sum(g c) / d
//   dx     = scale / d (g - sum(g) / n - c sum(g c) / (n d^2))
// whose two sums are those that the gradients of a scale and a bias behind it need as well.
Gradients vjp_normalize(VjpBuilder& builder, const VjpRequest& r) {
  const auto& attrs = std::get<NormalizeAttrs>(r.node.attrs);
  const ValueId x = r.operand(0);
  const ValueId scale = r.operand(1);
  const Shape kept = with_ones(builder.type(x).shape, attrs.axes);
  const auto total = [&](ValueId terms) {
    const ValueId sum = builder.reduce(terms, ReduceKind::sum, attrs.axes, false);
    return builder.reshape(sum, kept);
  };
  const auto [c, d] = moments(builder, x, attrs);
  const ValueId sum_g = total(r.g);
  const ValueId sum_gc = total(builder.mul(r.g, c));
  const ValueId spread = builder.div(sum_gc, d);
  const Shape shape = builder.type(scale).shape;
  const ValueId dscale = builder.sum_to(spread, shape);
  const ValueId n = builder.extent(x, attrs.axes);
  const ValueId mean_g = builder.div(sum_g, n);
  const ValueId slope = builder.div(builder.div(spread, d), n);
  const ValueId along = builder.mul(c, slope);
  const ValueId centred_g = builder.sub(r.g, mean_g);
  const ValueId rest = builder.sub(centred_g, along);
  const ValueId factor = builder.div(scale, d);
  return {builder.mul(rest, factor), dscale};
}

// Linear in the table.
Gradients vjp_gather(VjpBuilder& builder, const VjpRequest& r) {
  const Shape table = builder.type(r.operand(0)).shape;
  return {builder.gather_backward(r.g, r.operand(1), table), kNoValue};
}

Gradients vjp_gather_backward(VjpBuilder& builder, const VjpRequest& r) {
  return {builder.gather(r.g, r.operand(1)), kNoValue};
}

}  // namespace taper::passes
