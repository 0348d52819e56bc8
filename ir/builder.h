// Appends inferred nodes to a graph: one function per op. Throws taper::Error on bad operands.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "ir/graph.h"

namespace taper::ir {

class Builder {
 public:
  explicit Builder(Graph& graph, Location where = {}) : graph_(graph), where_(where) {}

  Graph& graph() { return graph_; }
  const TensorType& type(ValueId v) const { return graph_[v].type; }
  void set_location(const Location& where) { where_ = where; }

  // The general form: infers the type and appends.
  ValueId add_node(Op op, Operands operands, Attrs attrs = {});

  ValueId input(std::string name, TensorType type) {
    return leaf(Op::input, std::move(type), NameAttrs{std::move(name)});
  }
  ValueId parameter(std::string name, TensorType type) {
    return leaf(Op::parameter, std::move(type), NameAttrs{std::move(name)});
  }
  ValueId state(std::string name, TensorType type) {
    return leaf(Op::state, std::move(type), NameAttrs{std::move(name)});
  }
  ValueId constant(TensorType type, std::vector<double> values);
  ValueId scalar(double value) { return constant({DType::f32, {}}, {value}); }
  ValueId cast(ValueId x, DType dtype) { return add_node(Op::cast, {x}, CastAttrs{dtype}); }
  ValueId random(ValueId counter, RandomAttrs attrs) {
    return add_node(Op::random, {counter}, std::move(attrs));
  }
  ValueId extent(ValueId x, Indices axes) {
    return add_node(Op::extent, {x}, AxesAttrs{std::move(axes)});
  }
  ValueId in_range(ValueId x, RangeAttrs attrs) {
    return add_node(Op::in_range, {x}, std::move(attrs));
  }
  ValueId broadcast_to(ValueId x, const Shape& shape);  // x itself when the shape is already equal
  ValueId reshape(ValueId x, const Shape& shape);       // likewise; one dim may be kInferDim
  ValueId transpose(ValueId x, Indices axes) {
    return add_node(Op::transpose, {x}, AxesAttrs{std::move(axes)});
  }
  ValueId slice(ValueId x, SliceAttrs attrs) { return add_node(Op::slice, {x}, std::move(attrs)); }
  ValueId pad(ValueId x, PadAttrs attrs) { return add_node(Op::pad, {x}, std::move(attrs)); }
  ValueId concat(Operands operands, std::int64_t axis) {
    return add_node(Op::concat, std::move(operands), AxisAttrs{axis});
  }
  ValueId reduce(ValueId x, ReduceKind kind, Indices axes, bool keep_dims);
  ValueId matmul(ValueId a, ValueId b, MatmulAttrs attrs = {}) {
    return add_node(Op::matmul, {a, b}, attrs);
  }
  ValueId conv2d(ValueId x, ValueId weight, ConvAttrs attrs) {
    return add_node(Op::conv2d, {x, weight}, std::move(attrs));
  }
  ValueId conv2d_backward_data(ValueId dy, ValueId weight, ConvAttrs attrs) {
    return add_node(Op::conv2d_backward_data, {dy, weight}, std::move(attrs));
  }
  ValueId conv2d_backward_weights(ValueId x, ValueId dy, ConvAttrs attrs) {
    return add_node(Op::conv2d_backward_weights, {x, dy}, std::move(attrs));
  }
  ValueId pool2d(ValueId x, PoolAttrs attrs) { return add_node(Op::pool2d, {x}, attrs); }
  ValueId pool2d_backward(ValueId x, ValueId dy, PoolAttrs attrs) {
    return add_node(Op::pool2d_backward, {x, dy}, attrs);
  }
  ValueId softmax(ValueId x, std::int64_t axis) {
    return add_node(Op::softmax, {x}, AxisAttrs{axis});
  }
  ValueId log_softmax(ValueId x, std::int64_t axis) {
    return add_node(Op::log_softmax, {x}, AxisAttrs{axis});
  }
  ValueId normalize(ValueId x, ValueId scale, NormalizeAttrs attrs) {
    return add_node(Op::normalize, {x, scale}, std::move(attrs));
  }
  ValueId gather(ValueId table, ValueId indices) { return add_node(Op::gather, {table, indices}); }
  ValueId gather_backward(ValueId dy, ValueId indices, const Shape& table) {
    return add_node(Op::gather_backward, {dy, indices}, ShapeAttrs{table});
  }
  ValueId cross_entropy(ValueId logits, ValueId labels) {
    return add_node(Op::cross_entropy, {logits, labels});
  }
  ValueId cross_entropy_backward(ValueId logits, ValueId labels, ValueId dloss) {
    return add_node(Op::cross_entropy_backward, {logits, labels, dloss});
  }
  ValueId gradient(ValueId scalar, ValueId value) {
    return add_node(Op::gradient, {scalar, value});
  }
  ValueId result(ValueId node, std::int64_t index) {
    return add_node(Op::result, {node}, ResultAttrs{index});
  }

  // Sums `x` over the axes that broadcasting added or stretched, so that its shape is `shape`.
  ValueId sum_to(ValueId x, const Shape& shape);

#define TAPER_ELEMENTWISE(name, arity, result, eval, vjp, emit)           \
  template <class... Values>                                              \
  requires(sizeof...(Values) == arity) ValueId name(Values... operands) { \
    return add_node(Op::name, {operands...});                             \
  }
#include "ir/ops.def"

 private:
  ValueId leaf(Op op, TensorType type, Attrs attrs);

  Graph& graph_;
  Location where_;
};

// In reshape: the extent that keeps the element count.
inline constexpr Dim kInferDim = -2;

}  // namespace taper::ir
