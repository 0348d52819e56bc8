// Result types: the shape rules of every op. Window arithmetic is in infer_window.cpp.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "ir/graph.h"
#include "ir/infer.h"
#include "ir/text.h"

namespace taper::ir {
namespace {

std::int64_t count_of(const Shape& shape) {
  // N stands for itself on both sides of a comparison, so any value serves.
  return element_count(shape, 1);
}

void check_shape(const Request& r, const Shape& shape) {
  for (std::size_t i = 0; i < shape.size(); ++i)
    if (shape[i] < 0 && !(i == 0 && shape[i] == kBatch))
      r.fail("has an extent in {} that is neither a size nor a leading N", to_string(shape));
  if (shape.size() > 8) r.fail("rank {} is above 8", shape.size());
  element_count(shape, 1 << 20);
}

TensorType infer_elementwise(const Request& r) {
  Shape shape = r.operands[0].shape;
  for (std::size_t i = 0; i < r.operands.size(); ++i) {
    const DType needed = r.op == Op::select && i == 0 ? DType::boolean : DType::f32;
    if (r.operands[i].dtype != needed)
      r.fail("operand {} must be {}, got {}", i, name(needed), r.all());
    if (i > 0) shape = broadcast(shape, r.operands[i].shape, traits(r.op).name, r.where);
  }
  TensorType type{traits(r.op).result == ResultKind::predicate ? DType::boolean : DType::f32,
                  shape};
  for (const TensorType& operand : r.operands)
    if (operand.shape == shape && operand.layout != Layout::plain) type.layout = operand.layout;
  return type;
}

}  // namespace

TensorType infer_random(const Request& r) {
  need_f32(r);
  const Shape& shape = r.attrs<RandomAttrs>().shape;
  if (r.operands[0].has_batch() || count_of(r.operands[0].shape) != 1)
    r.fail("the counter must be one number, is {}", r.text(0));
  check_shape(r, shape);
  return {DType::f32, shape};
}

TensorType infer_extent(const Request& r) {
  for (const std::int64_t value : r.attrs<AxesAttrs>().axes) axis_of(r, value);
  return {DType::f32, {}};
}

TensorType infer_in_range(const Request& r) {
  const auto& [low, high, others] = r.attrs<RangeAttrs>();
  if (r.operands[0].dtype != DType::i32) r.fail("checks i32 elements, got {}", r.text(0));
  if (low >= high) r.fail("[{}, {}) is empty", low, high);
  return r.operands[0];
}

TensorType infer_broadcast_to(const Request& r) {
  const Shape& shape = r.attrs<ShapeAttrs>().shape;
  check_shape(r, shape);
  if (r.operands[0].shape.size() > shape.size() ||
      broadcast(r.operands[0].shape, shape, "broadcast_to", r.where) != shape)
    r.fail("{} does not broadcast to {}", r.text(0), to_string(shape));
  return {r.operands[0].dtype, shape};
}

TensorType infer_reshape(const Request& r) {
  const Shape& shape = r.attrs<ShapeAttrs>().shape;
  const Shape& from = r.operands[0].shape;
  check_shape(r, shape);
  const bool batched = r.operands[0].has_batch();
  const bool stays = !shape.empty() && shape[0] == kBatch;
  if (batched != stays || count_of(from) != count_of(shape))
    r.fail("{} cannot become {}: {}", r.text(0), to_string(shape),
           batched != stays ? "the batch axis must stay first" : "the element counts differ");
  return {r.operands[0].dtype, shape};
}

TensorType infer_transpose(const Request& r) {
  const auto& axes = r.attrs<AxesAttrs>().axes;
  Indices sorted = axes;
  std::ranges::sort(sorted);
  Indices all(r.operands[0].shape.size());
  std::iota(all.begin(), all.end(), 0);
  if (sorted != all)
    r.fail("[{}] is no permutation of the axes of {}", fmt::join(axes, ","), r.text(0));
  if (r.operands[0].has_batch() && axes[0] != 0)
    r.fail("the batch axis of {} must stay first", r.text(0));
  Shape shape;
  for (const std::int64_t value : axes) shape.push_back(r.operands[0].shape[axis_of(r, value)]);
  return {r.operands[0].dtype, shape};
}

TensorType infer_slice(const Request& r) {
  const auto& a = r.attrs<SliceAttrs>();
  Shape shape = r.operands[0].shape;
  if (a.begin.size() != shape.size() || a.end.size() != shape.size() ||
      a.step.size() != shape.size())
    r.fail("begin, end and step need one entry per axis of {}", r.text(0));
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == kBatch) {
      if (a.begin[i] != 0 || a.end[i] != kBatch || a.step[i] != 1)
        r.fail("the batch axis of {} cannot be sliced", r.text(0));
      continue;
    }
    if (a.begin[i] < 0 || a.begin[i] >= a.end[i] || a.end[i] > shape[i] || a.step[i] < 1)
      r.fail("[{}, {}) by {} is no range of axis {} of {}", a.begin[i], a.end[i], a.step[i], i,
             r.text(0));
    shape[i] = (a.end[i] - a.begin[i] + a.step[i] - 1) / a.step[i];
  }
  return {r.operands[0].dtype, shape};
}

TensorType infer_pad(const Request& r) {
  const auto& a = r.attrs<PadAttrs>();
  Shape shape = r.operands[0].shape;
  if (a.low.size() != shape.size() || a.high.size() != shape.size() ||
      a.interior.size() != shape.size())
    r.fail("low, high and interior need one entry per axis of {}", r.text(0));
  constexpr std::int64_t kMax = std::int64_t{1} << 40;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const bool sane = std::max({a.low[i], a.high[i], a.interior[i]}) <= kMax &&
                      std::min(a.low[i], a.high[i]) >= -kMax && a.interior[i] >= 0;
    if (!sane)
      r.fail("padding {}, {}, {} of axis {} makes no sense", a.low[i], a.high[i], a.interior[i], i);
    if (shape[i] == kBatch) {
      if (a.low[i] != 0 || a.high[i] != 0 || a.interior[i] != 0)
        r.fail("the batch axis of {} cannot be padded", r.text(0));
      continue;
    }
    const std::int64_t gaps = std::max<std::int64_t>(shape[i] - 1, 0);
    if (a.interior[i] != 0 && gaps > kMax / a.interior[i]) r.fail("axis {} grows too large", i);
    shape[i] += a.low[i] + a.high[i] + gaps * a.interior[i];
    if (shape[i] < 1) r.fail("axis {} of {} would have extent {}", i, r.text(0), shape[i]);
  }
  check_shape(r, shape);
  return {r.operands[0].dtype, shape};
}

TensorType infer_concat(const Request& r) {
  if (r.operands.empty()) r.fail("has no operands");
  const std::size_t at = axis_of(r, r.attrs<AxisAttrs>().axis);
  TensorType type = r.operands[0];
  type.layout = Layout::plain;
  if (type.shape[at] == kBatch) r.fail("the batch axis of {} cannot be concatenated", r.text(0));
  for (std::size_t i = 1; i < r.operands.size(); ++i) {
    Shape other = r.operands[i].shape;
    if (other.size() != type.shape.size() || r.operands[i].dtype != type.dtype || other[at] < 0)
      r.fail("{} do not fit together", r.all());
    if (other[at] > (Dim{1} << 40) || type.shape[at] > (Dim{1} << 40))
      r.fail("{} are too large", r.all());
    type.shape[at] += other[at];
    other[at] = type.shape[at];
    if (other != type.shape) r.fail("{} differ outside axis {}", r.all(), at);
  }
  return type;
}

TensorType infer_reduce(const Request& r) {
  const auto& a = r.attrs<ReduceAttrs>();
  if (a.prologue == Expr{}) need_f32(r);  // else it makes f32
  std::vector<bool> reduced(r.operands[0].shape.size(), false);
  std::int64_t previous = -1;
  for (const std::int64_t value : a.axes) {
    if (value <= previous) r.fail("axes [{}] are not sorted and unique", fmt::join(a.axes, ","));
    reduced[axis_of(r, value)] = true;
    previous = value;
  }
  Shape shape;
  for (std::size_t i = 0; i < reduced.size(); ++i) {
    if (!reduced[i]) shape.push_back(r.operands[0].shape[i]);
    if (reduced[i] && r.operands[0].shape[i] == 0) r.fail("{} has nothing to reduce", r.text(0));
    if (reduced[i] && a.keep_dims) shape.push_back(1);
  }
  return {DType::f32, shape};
}

TensorType infer_matmul(const Request& r) {
  const bool integers = is_integer_product(r);
  if (!integers) need_f32(r);
  const auto& a = r.attrs<MatmulAttrs>();
  if (r.operands[0].rank() != 2 || r.operands[1].rank() != 2)
    r.fail("needs two matrices, got {}", r.all());
  const Shape& x = r.operands[0].shape;
  const Shape& y = r.operands[1].shape;
  const Dim rows = x[a.transpose_a ? 1 : 0];
  const Dim columns = y[a.transpose_b ? 0 : 1];
  if (x[a.transpose_a ? 0 : 1] != y[a.transpose_b ? 1 : 0])
    r.fail("{}{} and {}{} do not multiply: {} against {}", r.text(0),
           a.transpose_a ? " transposed" : "", r.text(1), a.transpose_b ? " transposed" : "",
           to_string(Shape{x[a.transpose_a ? 0 : 1]}), to_string(Shape{y[a.transpose_b ? 1 : 0]}));
  if (columns == kBatch) r.fail("of {} would have the batch symbol as its columns", r.all());
  if (!integers) return {DType::f32, {rows, columns}};
  if (a.transpose_a || !a.transpose_b)
    r.fail("of integers multiplies [M,K] with a weight [O,K], transposed");
  check_integer_depth(r, x[1]);
  return {DType::i32, {rows, columns}};
}

TensorType infer_gradient(const Request& r) {
  if (r.operands[0].dtype != DType::f32 || r.operands[0].has_batch() ||
      count_of(r.operands[0].shape) != 1)
    r.fail("is taken of one f32 number, got {}", r.text(0));
  if (r.operands[1].dtype != DType::f32) r.fail("is taken with respect to f32, got {}", r.text(1));
  return r.operands[1];
}

TensorType infer_cast(const Request& r) {
  return {r.attrs<CastAttrs>().dtype, r.operands[0].shape, r.operands[0].layout};
}
TensorType infer_relayout(const Request& r) {
  TensorType type = r.operands[0];
  type.layout = r.attrs<LayoutAttrs>().layout;
  physical(type);
  return type;
}
// Types that the node itself states, or that its operand's node does.
#define TAPER_STATED(name)                       \
  TensorType infer_##name(const Request& r) {    \
    r.fail("has the type that its node states"); \
  }
TAPER_STATED(input)
TAPER_STATED(parameter)
TAPER_STATED(state)
TAPER_STATED(constant)
TAPER_STATED(result)
TAPER_STATED(map)
TAPER_STATED(view)
TAPER_STATED(kernel)
#undef TAPER_STATED

std::string Request::all() const {
  return joined(
      operands, ", ", [](const TensorType& type) { return to_string(type); });
}

Shape broadcast(const Shape& a, const Shape& b, std::string_view op, const Location& where) {
  const Shape& longer = a.size() >= b.size() ? a : b;
  const Shape& shorter = a.size() >= b.size() ? b : a;
  Shape result = longer;
  const std::size_t lead = longer.size() - shorter.size();
  for (std::size_t i = 0; i < shorter.size(); ++i) {
    Dim& dim = result[lead + i];
    if (dim == 1) dim = shorter[i];
    const bool fits = dim == shorter[i] || shorter[i] == 1;
    if (!fits || (dim == kBatch && lead + i != 0))
      throw Error(where, "{}: shapes {} and {} do not broadcast", op, to_string(a), to_string(b));
  }
  return result;
}

void need_f32(const Request& r) {
  for (const TensorType& type : r.operands)
    if (type.dtype != DType::f32) r.fail("needs f32 operands, got {}", r.all());
}

std::size_t axis_of(const Request& r, std::int64_t value) {
  if (value < 0 || value >= r.operands[0].rank())
    r.fail("axis {} is not an axis of {}", value, r.text(0));
  return static_cast<std::size_t>(value);
}

bool is_integer_product(const Request& r) {
  return r.operands[0].dtype == DType::u8 && r.operands[1].dtype == DType::i8;
}

void check_integer_depth(const Request& r, std::int64_t depth) {
  constexpr std::int64_t most = (std::int64_t{1} << 31) / (255 * 128);
  if (depth > most) r.fail("sums {} products of integers, more than {} that fit i32", depth, most);
}

TensorType infer(Op op, const std::vector<TensorType>& operands, const Attrs& attrs,
                 const Location& where) {
  const Request request{op, operands, attrs, where};
  const int arity = traits(op).arity;
  if (arity != kVariadic && static_cast<int>(operands.size()) != arity)
    request.fail("takes {} operands, got {}", arity, operands.size());
  switch (op) {
#define TAPER_ELEMENTWISE(name, arity, result, eval, vjp, emit) \
  case Op::name:                                                \
    return infer_elementwise(request);
#define TAPER_STRUCTURAL(name, arity, attrs) \
  case Op::name:                             \
    return infer_##name(request);
#include "ir/ops.def"
  }
  request.fail("is unknown");
}

}  // namespace taper::ir
