#include "frontend/ops.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <utility>

namespace taper {
namespace {

using ir::Op;

Tape& common_tape(std::initializer_list<const Operand*> operands) {
  Tape* tape = nullptr;
  for (const Operand* operand : operands) {
    Tape* own = operand->tape();
    if (own == nullptr) continue;
    if (tape != nullptr && own != tape)
      throw Error("tensor: the operands are on different tapes", operand->where());
    tape = own;
  }
  if (tape == nullptr) throw Error("tensor: at least one operand must be a Tensor");
  return *tape;
}

Tensor record(Op op, std::initializer_list<const Operand*> operands, ir::Attrs attrs = {}) {
  Tape& tape = common_tape(operands);
  ir::Operands ids;
  for (const Operand* operand : operands) ids.push_back(operand->on(tape));
  ir::Builder builder = tape.builder((*operands.begin())->where());
  return {tape, builder.add_node(op, std::move(ids), std::move(attrs))};
}

Shape shape_of(const Operand& x) {
  Tape& tape = common_tape({&x});
  return tape.graph()[x.on(tape)].type.shape;
}

std::int64_t axis_of(const Operand& x, std::int64_t axis, std::string_view op) {
  const auto rank = static_cast<std::int64_t>(shape_of(x).size());
  if (axis < -rank || axis >= rank)
    throw Error(x.where(), "{}: axis {} is not an axis of {}", op, axis,
                ir::to_string(shape_of(x)));
  return axis < 0 ? axis + rank : axis;
}

Tensor reduce(const Operand& x, ir::ReduceKind kind, std::vector<std::int64_t> axes,
              bool keep_dims) {
  if (axes.empty()) {
    axes.resize(shape_of(x).size());
    std::iota(axes.begin(), axes.end(), 0);
  }
  for (std::int64_t& axis : axes) axis = axis_of(x, axis, "reduce");
  std::ranges::sort(axes);
  return record(Op::reduce, {&x}, ir::ReduceAttrs{kind, std::move(axes), keep_dims});
}

// x with `axis` cut into windows, the mean of each: window i of n begins at floor(i size / n) and
// ends at ceil((i + 1) size / n), as in PyTorch.
Tensor adaptive_mean(const Operand& x, const Shape& shape, int axis, std::int64_t windows) {
  const Dim size = shape[static_cast<std::size_t>(axis)];
  std::vector<Tensor> parts;
  for (std::int64_t i = 0; i < windows; ++i) {
    const std::int64_t begin = i * size / windows;
    const std::int64_t end = ((i + 1) * size + windows - 1) / windows;
    const Tensor window = slice(x, axis, begin, end);
    parts.push_back(mean(Operand(window, x.where()), {axis}, true));
  }
  return concat(parts, axis, x.where());
}

}  // namespace

ir::ValueId Operand::on(Tape& tape) const {
  return is_number_ ? tape.scalar(value_, where_).id() : tensor_.id();
}

#define TAPER_BINARY(function, op)        \
  Tensor function(Operand a, Operand b) { \
    return record(Op::op, {&a, &b});      \
  }
TAPER_BINARY(operator+, add)
TAPER_BINARY(operator-, sub)
TAPER_BINARY(operator*, mul)
TAPER_BINARY(operator/, div)
TAPER_BINARY(operator<, lt)
TAPER_BINARY(operator<=, le)
TAPER_BINARY(operator>, gt)
TAPER_BINARY(operator>=, ge)
TAPER_BINARY(equal, eq)
TAPER_BINARY(not_equal, ne)
TAPER_BINARY(maximum, maximum)
TAPER_BINARY(minimum, minimum)
#undef TAPER_BINARY

#define TAPER_UNARY(op)          \
  Tensor op(Operand x) {         \
    return record(Op::op, {&x}); \
  }
TAPER_UNARY(abs)
TAPER_UNARY(exp)
TAPER_UNARY(log)
TAPER_UNARY(sqrt)
TAPER_UNARY(relu)
TAPER_UNARY(relu6)
TAPER_UNARY(erf)
TAPER_UNARY(sigmoid)
TAPER_UNARY(tanh)
#undef TAPER_UNARY

Tensor operator-(Operand a) {
  return record(Op::neg, {&a});
}
Tensor where(Operand condition, Operand a, Operand b) {
  return record(Op::select, {&condition, &a, &b});
}
Tensor cast(Operand x, DType dtype) {
  return record(Op::cast, {&x}, ir::CastAttrs{dtype});
}
Tensor random_uniform(Operand counter, Shape shape, std::uint64_t seed, std::uint64_t stream) {
  return record(Op::random, {&counter}, ir::RandomAttrs{seed, stream, std::move(shape)});
}

Tensor reshape(Operand x, const Shape& shape) {
  Tape& tape = common_tape({&x});
  return {tape, tape.builder(x.where()).reshape(x.on(tape), shape)};
}

Tensor flatten(Operand x, int start_axis) {
  const auto start = static_cast<std::ptrdiff_t>(axis_of(x, start_axis, "flatten"));
  const Shape shape = shape_of(x);
  Shape flat(shape.begin(), shape.begin() + start);
  flat.push_back(std::accumulate(shape.begin() + start, shape.end(), Dim{1}, std::multiplies<>()));
  if (start == 0 && !shape.empty() && shape.front() == N)
    throw Error(x.where(), "flatten: the batch axis of {} cannot be flattened",
                ir::to_string(shape));
  return reshape(x, flat);
}

Tensor permute(Operand x, std::vector<std::int64_t> axes) {
  for (std::int64_t& axis : axes) axis = axis_of(x, axis, "permute");
  return record(Op::transpose, {&x}, ir::AxesAttrs{std::move(axes)});
}

Tensor broadcast_to(Operand x, const Shape& shape) {
  Tape& tape = common_tape({&x});
  return {tape, tape.builder(x.where()).broadcast_to(x.on(tape), shape)};
}

Tensor slice(Operand x, int axis, std::int64_t begin, std::int64_t end, std::int64_t step) {
  const auto at = static_cast<std::size_t>(axis_of(x, axis, "slice"));
  const Shape shape = shape_of(x);
  ir::SliceAttrs attrs{Shape(shape.size(), 0), shape, Shape(shape.size(), 1)};
  attrs.begin[at] = begin;
  attrs.end[at] = end;
  attrs.step[at] = step;
  return record(Op::slice, {&x}, std::move(attrs));
}

Tensor pad(Operand x, std::vector<std::int64_t> low, std::vector<std::int64_t> high, double value) {
  ir::PadAttrs attrs{std::move(low), std::move(high), {}, value};
  attrs.interior.assign(attrs.low.size(), 0);
  return record(Op::pad, {&x}, std::move(attrs));
}

Tensor concat(const std::vector<Tensor>& parts, int axis, Location where) {
  if (parts.empty()) throw Error("concat: no tensors were given", where);
  const Operand first(parts.front(), where);
  const std::int64_t at = axis_of(first, axis, "concat");
  Tape& tape = parts.front().tape();
  ir::Operands ids;
  for (const Tensor& part : parts) {
    if (&part.tape() != &tape) throw Error("concat: the tensors are on different tapes", where);
    ids.push_back(part.id());
  }
  return {tape, tape.builder(where).concat(std::move(ids), at)};
}

Tensor sum(Operand x, std::vector<std::int64_t> axes, bool keep_dims) {
  return reduce(x, ir::ReduceKind::sum, std::move(axes), keep_dims);
}
Tensor mean(Operand x, std::vector<std::int64_t> axes, bool keep_dims) {
  return reduce(x, ir::ReduceKind::mean, std::move(axes), keep_dims);
}
Tensor amax(Operand x, std::vector<std::int64_t> axes, bool keep_dims) {
  return reduce(x, ir::ReduceKind::max, std::move(axes), keep_dims);
}

Tensor extent(Operand x, std::vector<std::int64_t> axes) {
  for (std::int64_t& axis : axes) axis = axis_of(x, axis, "extent");
  return record(Op::extent, {&x}, ir::AxesAttrs{std::move(axes)});
}

Tensor normalize(Operand x, Operand scale, std::vector<std::int64_t> axes, double eps) {
  for (std::int64_t& axis : axes) axis = axis_of(x, axis, "normalize");
  std::ranges::sort(axes);
  return record(Op::normalize, {&x, &scale}, ir::NormalizeAttrs{std::move(axes), eps});
}

Tensor embedding(Operand indices, Operand table) {
  return record(Op::gather, {&table, &indices});
}

Tensor matmul(Operand a, Operand b) {
  return record(Op::matmul, {&a, &b}, ir::MatmulAttrs{});
}
Tensor softmax(Operand x, int axis) {
  return record(Op::softmax, {&x}, ir::AxisAttrs{axis_of(x, axis, "softmax")});
}
Tensor log_softmax(Operand x, int axis) {
  return record(Op::log_softmax, {&x}, ir::AxisAttrs{axis_of(x, axis, "log_softmax")});
}

Tensor conv2d(Operand x, Operand weight, const ir::ConvAttrs& attrs) {
  return record(Op::conv2d, {&x, &weight}, attrs);
}
Tensor max_pool2d(Operand x, ir::PoolAttrs attrs) {
  attrs.kind = ir::PoolKind::max;
  return record(Op::pool2d, {&x}, attrs);
}
Tensor avg_pool2d(Operand x, ir::PoolAttrs attrs) {
  attrs.kind = ir::PoolKind::average;
  return record(Op::pool2d, {&x}, attrs);
}

Tensor gradient(Operand scalar, Operand value) {
  return record(Op::gradient, {&scalar, &value});
}

// ---- Composed of other operations ----

Tensor leaky_relu(Operand x, double slope) {
  const Tape::Line line(x.tape(), x.where());
  const Tensor negative = x <= 0.0;
  const Tensor scaled = x * slope;
  return where(negative, scaled, x);
}

Tensor silu(Operand x) {
  const Tape::Line line(x.tape(), x.where());
  return x * sigmoid(x);
}

Tensor gelu(Operand x, GeluForm form) {
  const Tape::Line line(x.tape(), x.where());
  Tensor s;
  if (form == GeluForm::exact) {
    s = erf(x * (1 / std::numbers::sqrt2));
  } else {
    const Tensor inner = x * (x * x * 0.044715 + 1.0);
    s = tanh(inner * std::sqrt(2 / std::numbers::pi));
  }
  const Tensor half = x * 0.5;
  return half * (s + 1.0);
}

Tensor adaptive_avg_pool2d(Operand x, std::array<std::int64_t, 2> size) {
  const Shape shape = x.tape() == nullptr ? Shape{} : shape_of(x);
  if (shape.size() != 4 || size[0] < 1 || size[1] < 1 || shape[2] < 1 || shape[3] < 1)
    throw Error(x.where(), "adaptive_avg_pool2d: {} cannot be averaged to {} x {}",
                ir::to_string(shape), size[0], size[1]);
  if (size[0] == 1 && size[1] == 1) return mean(x, {2, 3}, true);
  if (shape[2] % size[0] == 0 && shape[3] % size[1] == 0) {
    const ir::Pair window{shape[2] / size[0], shape[3] / size[1]};
    return avg_pool2d(x, {.kernel = window, .stride = window});
  }
  const Tensor rows = adaptive_mean(x, shape, 2, size[0]);
  return adaptive_mean(Operand(rows, x.where()), shape, 3, size[1]);
}

}  // namespace taper
