#include "ir/builder.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "ir/node_type.h"

namespace taper::ir {

ValueId Builder::add_node(Op op, Operands operands, Attrs attrs) {
  Node node;
  node.op = op;
  node.operands = std::move(operands);
  node.attrs = std::move(attrs);
  node.location = where_;
  try {
    if (traits(op).arity != 0) node.type = node_type(graph_, node);
  } catch (const Error& error) {
    throw Error(error.what(), where_);
  }
  return graph_.append(std::move(node));
}

namespace {

ValueId leaf(Graph& graph, Op op, TensorType type, Attrs attrs, const Location& where) {
  for (std::size_t i = 0; i < type.shape.size(); ++i)
    if (type.shape[i] < 0 && !(i == 0 && type.shape[i] == kBatch))
      throw Error(fmt::format("{}: {} has an extent that is neither a size nor a leading N",
                              traits(op).name, to_string(type)),
                  where);
  element_count(type.shape, 1 << 20);
  Node node;
  node.op = op;
  node.type = std::move(type);
  node.attrs = std::move(attrs);
  node.location = where;
  return graph.append(std::move(node));
}

}  // namespace

ValueId Builder::input(std::string name, TensorType type) {
  return leaf(graph_, Op::input, std::move(type), NameAttrs{std::move(name)}, where_);
}
ValueId Builder::parameter(std::string name, TensorType type) {
  return leaf(graph_, Op::parameter, std::move(type), NameAttrs{std::move(name)}, where_);
}
ValueId Builder::state(std::string name, TensorType type) {
  return leaf(graph_, Op::state, std::move(type), NameAttrs{std::move(name)}, where_);
}
ValueId Builder::constant(TensorType type, std::vector<double> values) {
  if (type.has_batch() || (values.size() != 1 && static_cast<std::int64_t>(values.size()) !=
                                                     element_count(type.shape, 1)))
    throw Error(fmt::format("constant: {} values do not fill {}", values.size(), to_string(type)),
                where_);
  return leaf(graph_, Op::constant, std::move(type), ConstantAttrs{std::move(values)}, where_);
}
ValueId Builder::scalar(double value) {
  return constant({DType::f32, {}}, {value});
}

ValueId Builder::cast(ValueId x, DType dtype) {
  return add_node(Op::cast, {x}, CastAttrs{dtype});
}
ValueId Builder::random(ValueId counter, RandomAttrs attrs) {
  return add_node(Op::random, {counter}, std::move(attrs));
}
ValueId Builder::in_range(ValueId x, RangeAttrs attrs) {
  return add_node(Op::in_range, {x}, std::move(attrs));
}
ValueId Builder::extent(ValueId x, Indices axes) {
  return add_node(Op::extent, {x}, AxesAttrs{std::move(axes)});
}
ValueId Builder::broadcast_to(ValueId x, const Shape& shape) {
  return type(x).shape == shape ? x : add_node(Op::broadcast_to, {x}, ShapeAttrs{shape});
}

ValueId Builder::reshape(ValueId x, const Shape& shape) {
  Shape full = shape;
  const auto unknown = std::find(full.begin(), full.end(), kInferDim);
  if (unknown != full.end()) {
    *unknown = 1;
    const std::int64_t known = element_count(full, 1);
    const std::int64_t all = element_count(type(x).shape, 1);
    *unknown = known == 0 ? 0 : all / known;
  }
  return type(x).shape == full ? x : add_node(Op::reshape, {x}, ShapeAttrs{full});
}

ValueId Builder::transpose(ValueId x, Indices axes) {
  return add_node(Op::transpose, {x}, AxesAttrs{std::move(axes)});
}
ValueId Builder::slice(ValueId x, SliceAttrs attrs) {
  return add_node(Op::slice, {x}, std::move(attrs));
}
ValueId Builder::pad(ValueId x, PadAttrs attrs) {
  return add_node(Op::pad, {x}, std::move(attrs));
}
ValueId Builder::concat(Operands operands, std::int64_t axis) {
  return add_node(Op::concat, std::move(operands), AxisAttrs{axis});
}
ValueId Builder::reduce(ValueId x, ReduceKind kind, Indices axes, bool keep_dims) {
  std::sort(axes.begin(), axes.end());
  return add_node(Op::reduce, {x}, ReduceAttrs{kind, std::move(axes), keep_dims});
}
ValueId Builder::matmul(ValueId a, ValueId b, MatmulAttrs attrs) {
  return add_node(Op::matmul, {a, b}, attrs);
}
ValueId Builder::conv2d(ValueId x, ValueId weight, ConvAttrs attrs) {
  return add_node(Op::conv2d, {x, weight}, std::move(attrs));
}
ValueId Builder::conv2d_backward_data(ValueId dy, ValueId weight, ConvAttrs attrs) {
  return add_node(Op::conv2d_backward_data, {dy, weight}, std::move(attrs));
}
ValueId Builder::conv2d_backward_weights(ValueId x, ValueId dy, ConvAttrs attrs) {
  return add_node(Op::conv2d_backward_weights, {x, dy}, std::move(attrs));
}
ValueId Builder::pool2d(ValueId x, PoolAttrs attrs) {
  return add_node(Op::pool2d, {x}, attrs);
}
ValueId Builder::pool2d_backward(ValueId x, ValueId dy, PoolAttrs attrs) {
  return add_node(Op::pool2d_backward, {x, dy}, attrs);
}
ValueId Builder::softmax(ValueId x, std::int64_t axis) {
  return add_node(Op::softmax, {x}, AxisAttrs{axis});
}
ValueId Builder::log_softmax(ValueId x, std::int64_t axis) {
  return add_node(Op::log_softmax, {x}, AxisAttrs{axis});
}
ValueId Builder::normalize(ValueId x, ValueId scale, NormalizeAttrs attrs) {
  return add_node(Op::normalize, {x, scale}, std::move(attrs));
}
ValueId Builder::gather(ValueId table, ValueId indices) {
  return add_node(Op::gather, {table, indices});
}
ValueId Builder::gather_backward(ValueId dy, ValueId indices, const Shape& table) {
  return add_node(Op::gather_backward, {dy, indices}, ShapeAttrs{table});
}
ValueId Builder::cross_entropy(ValueId logits, ValueId labels) {
  return add_node(Op::cross_entropy, {logits, labels});
}
ValueId Builder::cross_entropy_backward(ValueId logits, ValueId labels, ValueId dloss) {
  return add_node(Op::cross_entropy_backward, {logits, labels, dloss});
}
ValueId Builder::gradient(ValueId scalar, ValueId value) {
  return add_node(Op::gradient, {scalar, value});
}
ValueId Builder::result(ValueId node, std::int64_t index) {
  return add_node(Op::result, {node}, ResultAttrs{index});
}

ValueId Builder::sum_to(ValueId x, const Shape& shape) {
  const Shape from = type(x).shape;
  if (from == shape) return x;
  const std::size_t lead = from.size() - shape.size();
  Indices axes;
  for (std::size_t i = 0; i < from.size(); ++i)
    if (i < lead || (shape[i - lead] == 1 && from[i] != 1))
      axes.push_back(static_cast<std::int64_t>(i));
  return reshape(reduce(x, ReduceKind::sum, std::move(axes), false), shape);
}

}  // namespace taper::ir
