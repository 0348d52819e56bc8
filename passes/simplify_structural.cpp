// The structural rules: one function each, listed at the end.
#include <algorithm>
#include <cmath>
#include <utility>

#include "ir/eval.h"
#include "passes/pattern.h"
#include "passes/simplify_rules.h"

namespace taper::passes {

using namespace ir;

namespace {

template <class Attributes>
const Attributes& attrs_of(Builder& builder, ValueId id) {
  return std::get<Attributes>(builder.graph()[id].attrs);
}

ValueId first_operand(Builder& builder, ValueId id) {
  return builder.graph()[id].operands[0];
}

// Whether the operand of `id`, which becomes `inner`, is made by the same op.
bool is_twice(Builder& builder, ValueId id, ValueId& inner) {
  inner = first_operand(builder, id);
  return builder.graph()[inner].op == builder.graph()[id].op;
}

// The operand, when it has the same shape and dtype. A slice of the same shape cuts nothing off,
// because the step is positive.
ValueId unchanged(Builder& builder, ValueId id) {
  const ValueId x = first_operand(builder, id);
  const TensorType& before = builder.type(x);
  const TensorType& after = builder.type(id);
  return before.shape == after.shape && before.dtype == after.dtype ? x : kNoValue;
}

ValueId no_pad(Builder& builder, ValueId id) {
  const auto& [low, high, interior, value] = attrs_of<PadAttrs>(builder, id);
  const auto zero = [](std::int64_t n) { return n == 0; };
  const bool nothing = std::ranges::all_of(low, zero) && std::ranges::all_of(high, zero) &&
                       std::ranges::all_of(interior, zero);
  return nothing ? first_operand(builder, id) : kNoValue;
}

ValueId concat_of_one(Builder& builder, ValueId id) {
  const Operands& operands = builder.graph()[id].operands;
  return operands.size() == 1 ? operands[0] : kNoValue;
}

// Of two in a row only the shape of the second counts.
template <ValueId (Builder::*build)(ValueId, const Shape&)>
ValueId last_shape(Builder& builder, ValueId id) {
  ValueId inner;
  if (!is_twice(builder, id, inner)) return kNoValue;
  const Shape shape = builder.type(id).shape;
  return (builder.*build)(first_operand(builder, inner), shape);
}

// Broadcasting adds leading axes by itself.
ValueId broadcast_of_reshape(Builder& builder, ValueId id) {
  const ValueId inner = first_operand(builder, id);
  if (builder.graph()[inner].op != Op::reshape) return kNoValue;
  const ValueId x = first_operand(builder, inner);
  const Shape& before = builder.type(x).shape;
  Shape expected = builder.type(inner).shape;
  while (expected.size() > before.size() && expected[0] == 1) expected.erase(expected.begin());
  if (expected != before) return kNoValue;
  const Shape shape = builder.type(id).shape;
  return builder.broadcast_to(x, shape);
}

ValueId transpose_of_transpose(Builder& builder, ValueId id) {
  ValueId inner;
  if (!is_twice(builder, id, inner)) return kNoValue;
  const auto& first = attrs_of<AxesAttrs>(builder, inner).axes;
  Indices axes = attrs_of<AxesAttrs>(builder, id).axes;
  for (std::int64_t& axis : axes) axis = first[static_cast<std::size_t>(axis)];
  return builder.transpose(first_operand(builder, inner), axes);
}

ValueId slice_of_slice(Builder& builder, ValueId id) {
  ValueId inner;
  if (!is_twice(builder, id, inner)) return kNoValue;
  const auto& first = attrs_of<SliceAttrs>(builder, inner);
  SliceAttrs both = attrs_of<SliceAttrs>(builder, id);
  const Shape& shape = builder.type(id).shape;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == kBatch) continue;
    both.begin[i] = first.begin[i] + both.begin[i] * first.step[i];
    both.step[i] *= first.step[i];
    both.end[i] = shape[i] == 0 ? both.begin[i] : both.begin[i] + (shape[i] - 1) * both.step[i] + 1;
  }
  return builder.slice(first_operand(builder, inner), both);
}

// A transpose that leaves the axes longer than 1 in order moves no element.
ValueId transpose_of_unit_axes(Builder& builder, ValueId id) {
  const ValueId x = first_operand(builder, id);
  Indices axes = attrs_of<AxesAttrs>(builder, id).axes;
  const Shape& before = builder.type(x).shape;
  const auto unit = [&](std::int64_t axis) { return before[static_cast<std::size_t>(axis)] == 1; };
  axes.erase(std::remove_if(axes.begin(), axes.end(), unit), axes.end());
  if (!std::ranges::is_sorted(axes)) return kNoValue;
  const Shape shape = builder.type(id).shape;
  return builder.reshape(x, shape);
}

// A reduction over axes of extent 1, or over none, keeps each element.
ValueId reduce_of_unit_axes(Builder& builder, ValueId id) {
  const ValueId x = first_operand(builder, id);
  const Shape& before = builder.type(x).shape;
  for (const std::int64_t axis : attrs_of<ReduceAttrs>(builder, id).axes)
    if (before[static_cast<std::size_t>(axis)] != 1) return kNoValue;
  const Shape shape = builder.type(id).shape;
  return builder.reshape(x, shape);
}

// A matmul reads its operands in either order.
ValueId matmul_of_transpose(Builder& builder, ValueId id) {
  const Node node = builder.graph()[id];
  Operands operands = node.operands;
  MatmulAttrs attrs = std::get<MatmulAttrs>(node.attrs);
  const auto look_through = [&](ValueId& operand, bool& transposed) {
    if (builder.graph()[operand].op != Op::transpose) return;
    if (attrs_of<AxesAttrs>(builder, operand).axes != Indices{1, 0}) return;
    operand = first_operand(builder, operand);
    transposed = !transposed;
  };
  look_through(operands[0], attrs.transpose_a);
  look_through(operands[1], attrs.transpose_b);
  return operands == node.operands ? kNoValue : builder.matmul(operands[0], operands[1], attrs);
}

// The number of elements along static axes is a constant; a product of counts is exact in f32 up to
// 2^24, which bounds both factors here.
constexpr std::int64_t kMaxExact = std::int64_t{1} << 24;

ValueId static_extent(Builder& builder, ValueId id) {
  const Shape& shape = builder.type(first_operand(builder, id)).shape;
  std::int64_t count = 1;
  bool batch = false;
  for (const std::int64_t axis : attrs_of<AxesAttrs>(builder, id).axes) {
    const Dim extent = shape[static_cast<std::size_t>(axis)];
    batch |= extent == kBatch;
    count *= extent == kBatch ? 1 : extent;
    if (count > kMaxExact) return kNoValue;
  }
  if (!batch) return builder.scalar(static_cast<double>(count));
  if (count == 1) return kNoValue;
  const ValueId n = builder.extent(first_operand(builder, id), {0});
  return builder.mul(n, builder.scalar(static_cast<double>(count)));
}

// N is the same everywhere, so that it is asked of an input and keeps no other value alive.
ValueId extent_of_input(Builder& builder, ValueId id) {
  const Graph& graph = builder.graph();
  const Node& counted = graph[first_operand(builder, id)];
  if (counted.op == Op::input || !counted.type.has_batch()) return kNoValue;
  if (attrs_of<AxesAttrs>(builder, id).axes != Indices{0}) return kNoValue;
  for (std::size_t i = 0; i < id.index; ++i) {
    const ValueId candidate = graph.id(i);
    if (graph[candidate].op == Op::input && graph[candidate].type.has_batch())
      return builder.extent(candidate, {0});
  }
  return kNoValue;
}

// Larger constants are computed at run time rather than kept in the program.
constexpr std::int64_t kMaxFolded = 4096;

// Where the interpreter and generated code agree on the bits: ops that only move or convert
// elements and correctly rounded ones, not the transcendentals, which are polynomials in generated
// code.
constexpr Op kMovements[] = {Op::cast, Op::reshape, Op::transpose, Op::slice, Op::pad, Op::concat};
constexpr Op kPolynomials[] = {Op::exp, Op::log, Op::sigmoid, Op::tanh};

bool foldable(Op op) {
  if (!traits(op).elementwise) return std::ranges::find(kMovements, op) != std::end(kMovements);
  return std::ranges::find(kPolynomials, op) == std::end(kPolynomials);
}

// A graph of the node and its constant operands alone.
Value evaluate_alone(const Graph& graph, const Node& node) {
  Graph alone;
  Node root = node;
  for (ValueId& operand : root.operands) operand = alone.append(graph[operand]);
  const ValueId result = alone.append(std::move(root));
  alone.outputs.push_back({"value", result});
  return evaluate(alone, {}, 1).outputs[0];
}

// A small constant computed from constants, where interpreter and generated code agree on the bits.
ValueId fold_constants(Builder& builder, ValueId id) {
  const Graph& graph = builder.graph();
  const Node& node = graph[id];
  const auto is_constant = [&](ValueId operand) { return graph[operand].op == Op::constant; };
  if (!foldable(node.op) || node.operands.empty() ||
      !std::ranges::all_of(node.operands, is_constant))
    return kNoValue;
  if (node.type.has_batch() || element_count(node.type.shape, 1) > kMaxFolded) return kNoValue;
  Value value = evaluate_alone(graph, node);
  const auto finite = [](double x) { return std::isfinite(x); };
  if (value.data.empty() || !std::ranges::all_of(value.data, finite)) return kNoValue;
  const auto as_first = [&](double x) { return x == value.data[0]; };
  if (std::ranges::all_of(value.data, as_first))
    value.data.erase(value.data.begin() + 1, value.data.end());
  const TensorType type = node.type;
  return builder.constant(type, std::move(value.data));
}

// Elementwise ops broadcast by themselves: f(broadcast_to(x), y) -> broadcast_to(f(x, y)), the same
// for a constant of one value.
ValueId broadcast_after_elementwise(Builder& builder, ValueId id) {
  const Node node = builder.graph()[id];
  if (!traits(node.op).elementwise) return kNoValue;
  Operands operands = node.operands;
  for (ValueId& operand : operands) {
    const TensorType type = builder.type(operand);
    if (builder.graph()[operand].op == Op::broadcast_to)
      operand = builder.graph()[operand].operands[0];
    else if (const auto value = splat(builder.graph(), operand); value && type.rank() > 0)
      operand = builder.constant({type.dtype, {}}, {*value});
  }
  if (operands == node.operands) return kNoValue;
  const ValueId narrow = builder.add_node(node.op, std::move(operands));
  return builder.broadcast_to(narrow, node.type.shape);
}

constexpr StructuralRule kStructuralRules[] = {
    {"reshape to the same shape", Op::reshape, unchanged},
    {"slice of everything", Op::slice, unchanged},
    {"broadcast to the same shape", Op::broadcast_to, unchanged},
    {"cast to the same dtype", Op::cast, unchanged},
    {"pad by nothing", Op::pad, no_pad},
    {"concat of one", Op::concat, concat_of_one},
    {"reshape of reshape", Op::reshape, last_shape<&Builder::reshape>},
    {"broadcast of broadcast", Op::broadcast_to, last_shape<&Builder::broadcast_to>},
    {"broadcast of reshape", Op::broadcast_to, broadcast_of_reshape},
    {"transpose of transpose", Op::transpose, transpose_of_transpose},
    {"slice of slice", Op::slice, slice_of_slice},
    {"transpose of unit axes", Op::transpose, transpose_of_unit_axes},
    {"reduce of unit axes", Op::reduce, reduce_of_unit_axes},
    {"matmul of transpose", Op::matmul, matmul_of_transpose},
    {"extent of static axes", Op::extent, static_extent},
    {"extent of the batch", Op::extent, extent_of_input},
    {"fold constants", {}, fold_constants},
    {"broadcast after elementwise", {}, broadcast_after_elementwise},
};

}  // namespace

std::span<const StructuralRule> structural_rules() {
  return kStructuralRules;
}

}  // namespace taper::passes
