#include "ir/builder.h"

#include <algorithm>
#include <utility>

#include "ir/node_type.h"

namespace taper::ir {

ValueId Builder::add_node(Op op, Operands operands, Attrs attrs) {
  Node node{op, {}, std::move(operands), std::move(attrs), {}, where_};
  try {
    if (traits(op).arity != 0) node.type = node_type(graph_, node);
  } catch (const Error& error) {
    throw Error(error.what(), where_);
  }
  return graph_.append(std::move(node));
}

ValueId Builder::leaf(Op op, TensorType type, Attrs attrs) {
  for (std::size_t i = 0; i < type.shape.size(); ++i)
    if (type.shape[i] < 0 && !(i == 0 && type.shape[i] == kBatch))
      throw Error(where_, "{}: {} has an extent that is neither a size nor a leading N",
                  traits(op).name, to_string(type));
  element_count(type.shape, 1 << 20);
  return graph_.append({op, std::move(type), {}, std::move(attrs), {}, where_});
}

ValueId Builder::constant(TensorType type, std::vector<double> values) {
  if (type.has_batch() || (values.size() != 1 && static_cast<std::int64_t>(values.size()) !=
                                                     element_count(type.shape, 1)))
    throw Error(where_, "constant: {} values do not fill {}", values.size(), to_string(type));
  return leaf(Op::constant, std::move(type), ConstantAttrs{std::move(values)});
}

ValueId Builder::broadcast_to(ValueId x, const Shape& shape) {
  return type(x).shape == shape ? x : add_node(Op::broadcast_to, {x}, ShapeAttrs{shape});
}

ValueId Builder::reshape(ValueId x, const Shape& shape) {
  Shape full = shape;
  const auto unknown = std::ranges::find(full, kInferDim);
  if (unknown != full.end()) {
    *unknown = 1;
    const std::int64_t known = element_count(full, 1);
    const std::int64_t all = element_count(type(x).shape, 1);
    *unknown = known == 0 ? 0 : all / known;
  }
  return type(x).shape == full ? x : add_node(Op::reshape, {x}, ShapeAttrs{full});
}

ValueId Builder::reduce(ValueId x, ReduceKind kind, Indices axes, bool keep_dims) {
  std::ranges::sort(axes);
  return add_node(Op::reduce, {x}, ReduceAttrs{kind, std::move(axes), keep_dims});
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
