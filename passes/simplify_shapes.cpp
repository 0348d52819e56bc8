// The rules that look at shapes and attributes: one function each, listed at the end.
#include <algorithm>

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

// Whether `id` is a `op` of another `op`; then `inner` is that other one.
bool is_twice(Builder& builder, ValueId id, Op op, ValueId& inner) {
  if (builder.graph()[id].op != op) return false;
  inner = first_operand(builder, id);
  return builder.graph()[inner].op == op;
}

// x, when `id` is a `op` of x and they have the same shape and dtype. A slice of the same shape
// cuts nothing off, because the step is positive.
template <Op op>
ValueId unchanged(Builder& builder, ValueId id) {
  if (builder.graph()[id].op != op) return kNoValue;
  const ValueId x = first_operand(builder, id);
  const TensorType& before = builder.type(x);
  const TensorType& after = builder.type(id);
  return before.shape == after.shape && before.dtype == after.dtype ? x : kNoValue;
}

ValueId no_pad(Builder& builder, ValueId id) {
  if (builder.graph()[id].op != Op::pad) return kNoValue;
  const auto& [low, high, interior, value] = attrs_of<PadAttrs>(builder, id);
  const auto zero = [](std::int64_t n) { return n == 0; };
  const bool nothing = std::ranges::all_of(low, zero) && std::ranges::all_of(high, zero) &&
                       std::ranges::all_of(interior, zero);
  return nothing ? first_operand(builder, id) : kNoValue;
}

ValueId concat_of_one(Builder& builder, ValueId id) {
  const Node& node = builder.graph()[id];
  return node.op == Op::concat && node.operands.size() == 1 ? node.operands[0] : kNoValue;
}

// Of two `op` in a row only the shape of the second counts.
template <Op op, ValueId (Builder::*build)(ValueId, const Shape&)>
ValueId last_shape(Builder& builder, ValueId id) {
  ValueId inner;
  if (!is_twice(builder, id, op, inner)) return kNoValue;
  const Shape shape = builder.type(id).shape;
  return (builder.*build)(first_operand(builder, inner), shape);
}

// Broadcasting adds leading axes by itself.
ValueId broadcast_of_reshape(Builder& builder, ValueId id) {
  if (builder.graph()[id].op != Op::broadcast_to) return kNoValue;
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
  if (!is_twice(builder, id, Op::transpose, inner)) return kNoValue;
  const auto& first = attrs_of<AxesAttrs>(builder, inner).axes;
  Indices axes = attrs_of<AxesAttrs>(builder, id).axes;
  for (std::int64_t& axis : axes) axis = first[static_cast<std::size_t>(axis)];
  return builder.transpose(first_operand(builder, inner), axes);
}

ValueId slice_of_slice(Builder& builder, ValueId id) {
  ValueId inner;
  if (!is_twice(builder, id, Op::slice, inner)) return kNoValue;
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
  if (builder.graph()[id].op != Op::transpose) return kNoValue;
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
  if (builder.graph()[id].op != Op::reduce) return kNoValue;
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
  if (node.op != Op::matmul) return kNoValue;
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
  if (builder.graph()[id].op != Op::extent) return kNoValue;
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
  if (graph[id].op != Op::extent || !graph[first_operand(builder, id)].type.has_batch())
    return kNoValue;
  if (graph[first_operand(builder, id)].op == Op::input) return kNoValue;
  if (attrs_of<AxesAttrs>(builder, id).axes != Indices{0}) return kNoValue;
  for (std::size_t i = 0; i < id.index; ++i) {
    const ValueId candidate = graph.id(i);
    if (graph[candidate].op == Op::input && graph[candidate].type.has_batch())
      return builder.extent(candidate, {0});
  }
  return kNoValue;
}

constexpr StructuralRule kStructuralRules[] = {
    {"reshape to the same shape", unchanged<Op::reshape>},
    {"slice of everything", unchanged<Op::slice>},
    {"broadcast to the same shape", unchanged<Op::broadcast_to>},
    {"cast to the same dtype", unchanged<Op::cast>},
    {"pad by nothing", no_pad},
    {"concat of one", concat_of_one},
    {"reshape of reshape", last_shape<Op::reshape, &Builder::reshape>},
    {"broadcast of broadcast", last_shape<Op::broadcast_to, &Builder::broadcast_to>},
    {"broadcast of reshape", broadcast_of_reshape},
    {"transpose of transpose", transpose_of_transpose},
    {"slice of slice", slice_of_slice},
    {"transpose of unit axes", transpose_of_unit_axes},
    {"reduce of unit axes", reduce_of_unit_axes},
    {"matmul of transpose", matmul_of_transpose},
    {"extent of static axes", static_extent},
    {"extent of the batch", extent_of_input},
    {"fold constants", fold_constants},
    {"broadcast after elementwise", broadcast_after_elementwise},
};

}  // namespace

std::span<const StructuralRule> structural_rules() {
  return kStructuralRules;
}

}  // namespace taper::passes
