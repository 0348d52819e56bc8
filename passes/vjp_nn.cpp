// Gradients of contractions, pooling, the softmax family and the ops that layers are made of.
#include "passes/normalize.h"
#include "passes/vjp.h"

namespace taper::passes {

using namespace ir;

namespace {

// Those of the node, for a gradient of the shape of `like`, or for conv2d.
ConvAttrs conv_attrs(const VjpBuilder& builder, const VjpRequest& r, ValueId like = kNoValue) {
  ConvAttrs attrs = std::get<ConvAttrs>(r.node.attrs);
  attrs.shape = like == kNoValue ? Shape{} : builder.type(like).shape;
  return attrs;
}

// y * (g - sum(g * y)) along `axis`: the softmax y has a Jacobian diag(y) - y y^T.
ValueId softmax_gradient(VjpBuilder& builder, ValueId y, ValueId g, std::int64_t axis) {
  const ValueId product = builder.mul(g, y);
  const ValueId total = builder.reduce(product, ReduceKind::sum, {axis}, true);
  return builder.mul(y, builder.sub(g, total));
}

}  // namespace

// With A = op(a) and B = op(b): dA = g B^T and dB = A^T g, transposed back where op transposes.
Gradients vjp_matmul(VjpBuilder& builder, const VjpRequest& r) {
  const auto [ta, tb] = std::get<MatmulAttrs>(r.node.attrs);
  const ValueId a = r.operand(0);
  const ValueId b = r.operand(1);
  const ValueId da = ta ? builder.matmul(b, r.g, {tb, true}) : builder.matmul(r.g, b, {false, !tb});
  const ValueId db = tb ? builder.matmul(r.g, a, {true, ta}) : builder.matmul(a, r.g, {!ta, false});
  return {da, db};
}

// Convolution is linear in the input and in the weight, and so are its gradients in each of their
// operands: the three ops are one another's gradients.
Gradients vjp_conv2d(VjpBuilder& builder, const VjpRequest& r) {
  const ValueId x = r.operand(0);
  const ValueId weight = r.operand(1);
  const ValueId dx = builder.conv2d_backward_data(r.g, weight, conv_attrs(builder, r, x));
  const ValueId dw = builder.conv2d_backward_weights(x, r.g, conv_attrs(builder, r, weight));
  return {dx, dw};
}

Gradients vjp_conv2d_backward_data(VjpBuilder& builder, const VjpRequest& r) {
  const ValueId dy = r.operand(0);
  const ValueId weight = r.operand(1);
  const ValueId ddy = builder.conv2d(r.g, weight, conv_attrs(builder, r));
  const ValueId dw = builder.conv2d_backward_weights(r.g, dy, conv_attrs(builder, r, weight));
  return {ddy, dw};
}

Gradients vjp_conv2d_backward_weights(VjpBuilder& builder, const VjpRequest& r) {
  const ValueId x = r.operand(0);
  const ValueId dy = r.operand(1);
  const ValueId dx = builder.conv2d_backward_data(dy, r.g, conv_attrs(builder, r, x));
  const ValueId ddy = builder.conv2d(x, r.g, conv_attrs(builder, r));
  return {dx, ddy};
}

Gradients vjp_pool2d(VjpBuilder& builder, const VjpRequest& r) {
  return {builder.pool2d_backward(r.operand(0), r.g, std::get<PoolAttrs>(r.node.attrs))};
}

// Linear in the gradient, constant in the input (which only chooses the maxima).
Gradients vjp_pool2d_backward(VjpBuilder& builder, const VjpRequest& r) {
  const auto& attrs = std::get<PoolAttrs>(r.node.attrs);
  if (!r.wanted[1]) return {kNoValue, kNoValue};
  if (attrs.kind == PoolKind::max)
    throw Error(r.node.location,
                "differentiate: max pooling has no second derivative (pool2d_backward of input {})",
                to_string(builder.type(r.operand(0))));
  return {kNoValue, builder.pool2d(r.g, attrs)};
}

Gradients vjp_softmax(VjpBuilder& builder, const VjpRequest& r) {
  return {softmax_gradient(builder, r.y, r.g, std::get<AxisAttrs>(r.node.attrs).axis)};
}

Gradients vjp_log_softmax(VjpBuilder& builder, const VjpRequest& r) {
  const std::int64_t axis = std::get<AxisAttrs>(r.node.attrs).axis;
  const ValueId total = builder.reduce(r.g, ReduceKind::sum, {axis}, true);
  const ValueId probability = builder.exp(r.y);
  return {builder.sub(r.g, builder.mul(probability, total))};
}

Gradients vjp_cross_entropy(VjpBuilder& builder, const VjpRequest& r) {
  return {builder.cross_entropy_backward(r.operand(0), r.operand(1), r.g), kNoValue};
}

// y = dloss * (softmax(logits) - onehot(labels)), row by row.
Gradients vjp_cross_entropy_backward(VjpBuilder& builder, const VjpRequest& r) {
  const ValueId logits = r.operand(0);
  const ValueId labels = r.operand(1);
  const Shape rows = builder.type(r.operand(2)).shape;
  const ValueId probability = builder.softmax(logits, 1);
  const ValueId softened = softmax_gradient(builder, probability, r.g, 1);
  const ValueId dloss = builder.reshape(r.operand(2), {rows[0], 1});
  const ValueId dlogits = builder.mul(dloss, softened);
  const ValueId unit = builder.cross_entropy_backward(logits, labels, builder.ones(rows));
  const ValueId weighted = builder.mul(unit, r.g);
  const ValueId ddloss = builder.reduce(weighted, ReduceKind::sum, {1}, false);
  return {dlogits, kNoValue, ddloss};
}

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
  const ValueId rest = builder.sub(builder.sub(r.g, mean_g), along);
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
