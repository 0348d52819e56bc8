// Ops that move elements, and the walk that they and others use.
#include <algorithm>

#include "ir/eval_ops.h"

namespace taper::ir {
namespace {

// Result element i is the operand's element at start + i's coordinates along `strides`.
Results gather(const EvalRequest& r, Strides strides, std::int64_t start) {
  Value y = r.result();
  const Value& x = r.operand(0);
  for (Walk walk(y.type.shape, {std::move(strides)}, {start}); !walk.done(); walk.next())
    element(y, walk.index()) = element(x, walk.offset(0));
  return {std::move(y)};
}

// Calls visit(row-major index, offset in memory) for every element of `type`.
template <class Visit>
void for_each_place(const TensorType& type, Dim batch, Visit visit) {
  const PhysicalShape memory = physical(type);
  for (Walk walk(concrete(type, batch).shape, {}); !walk.done(); walk.next())
    visit(walk.index(), offset_of(memory, walk.coordinates()));
}

}  // namespace

Strides row_major(const Shape& shape) {
  Strides strides(shape.size());
  std::int64_t stride = 1;
  for (std::size_t i = shape.size(); i-- > 0;) {
    strides[i] = stride;
    stride *= shape[i];
  }
  return strides;
}

Strides broadcast_strides(const Shape& from, const Shape& to) {
  const Strides own = row_major(from);
  Strides strides(to.size(), 0);
  const std::size_t added = to.size() - from.size();
  for (std::size_t i = 0; i < from.size(); ++i)
    if (from[i] != 1) strides[added + i] = own[i];
  return strides;
}

Walk::Walk(Shape shape, std::vector<Strides> strides, Indices start)
    : shape_(std::move(shape)),
      strides_(std::move(strides)),
      coordinates_(shape_.size(), 0),
      offsets_(std::move(start)),
      count_(element_count(shape_, 1)) {
  offsets_.resize(strides_.size(), 0);
}

void Walk::next() {
  ++index_;
  for (std::size_t d = shape_.size(); d-- > 0;) {
    const bool carry = ++coordinates_[d] == shape_[d];
    const std::int64_t steps = carry ? 1 - shape_[d] : 1;
    for (std::size_t i = 0; i < offsets_.size(); ++i) offsets_[i] += steps * strides_[i][d];
    if (!carry) return;
    coordinates_[d] = 0;
  }
}

Results eval_broadcast_to(const EvalRequest& r) {
  const Shape shape = concrete(r.node.type, r.batch).shape;
  return gather(r, broadcast_strides(r.operand(0).type.shape, shape), 0);
}

// The same elements in the same order.
Results eval_reshape(const EvalRequest& r) {
  Value y = r.result();
  y.data = r.operand(0).data;
  return {std::move(y)};
}
Results eval_relayout(const EvalRequest& r) {
  return eval_reshape(r);
}

Results eval_view(const EvalRequest& r) {
  const TensorType& from = r.graph[r.node.operands[0]].type;
  const TensorType& to = r.node.type;
  if (from.dtype != to.dtype)
    throw Error("evaluate: a view does not change the dtype", r.node.location);
  const auto size = static_cast<std::size_t>(byte_size(from, r.batch)) / byte_size(from.dtype);
  std::vector<double> memory(size, 0.0);
  for_each_place(from, r.batch, [&](std::int64_t i, std::int64_t place) {
    memory[static_cast<std::size_t>(place)] = element(r.operand(0), i);
  });
  Value y = r.result();
  for_each_place(to, r.batch, [&](std::int64_t i, std::int64_t place) {
    element(y, i) = memory[static_cast<std::size_t>(place)];
  });
  return {std::move(y)};
}

Results eval_transpose(const EvalRequest& r) {
  const Strides own = row_major(r.operand(0).type.shape);
  Strides strides;
  for (const std::int64_t axis : r.attrs<AxesAttrs>().axes)
    strides.push_back(own[static_cast<std::size_t>(axis)]);
  return gather(r, std::move(strides), 0);
}

Results eval_slice(const EvalRequest& r) {
  const auto& attrs = r.attrs<SliceAttrs>();
  Strides strides = row_major(r.operand(0).type.shape);
  std::int64_t start = 0;
  for (std::size_t i = 0; i < strides.size(); ++i) {
    start += attrs.begin[i] * strides[i];
    strides[i] *= attrs.step[i];
  }
  return gather(r, std::move(strides), start);
}

Results eval_pad(const EvalRequest& r) {
  const auto& attrs = r.attrs<PadAttrs>();
  Value y = r.result();
  y.data.assign(y.data.size(), round_to(y.type.dtype, attrs.value));
  const Value& x = r.operand(0);
  const Strides from = row_major(x.type.shape);
  Strides to = row_major(y.type.shape);
  // The box of operand elements that negative padding does not cut off.
  Shape box;
  std::int64_t x_start = 0, y_start = 0;
  for (std::size_t i = 0; i < to.size(); ++i) {
    const std::int64_t step = attrs.interior[i] + 1;
    const std::int64_t begin = std::max<std::int64_t>(0, -divide_down(attrs.low[i], step));
    const std::int64_t last = divide_down(y.type.shape[i] - 1 - attrs.low[i], step);
    box.push_back(std::max<std::int64_t>(0, std::min(x.type.shape[i] - 1, last) - begin + 1));
    x_start += begin * from[i];
    y_start += (begin * step + attrs.low[i]) * to[i];
    to[i] *= step;
  }
  for (Walk walk(box, {from, to}, {x_start, y_start}); !walk.done(); walk.next())
    element(y, walk.offset(1)) = element(x, walk.offset(0));
  return {std::move(y)};
}

Results eval_concat(const EvalRequest& r) {
  const auto axis = static_cast<std::size_t>(r.attrs<AxisAttrs>().axis);
  Value y = r.result();
  const Strides strides = row_major(y.type.shape);
  std::int64_t start = 0;
  for (std::size_t i = 0; i < r.node.operands.size(); ++i) {
    const Value& x = r.operand(i);
    for (Walk walk(x.type.shape, {strides}, {start}); !walk.done(); walk.next())
      element(y, walk.offset(0)) = element(x, walk.index());
    start += x.type.shape[axis] * strides[axis];
  }
  return {std::move(y)};
}

Results eval_extent(const EvalRequest& r) {
  Value y = r.result();
  double count = 1;
  for (const std::int64_t axis : r.attrs<AxesAttrs>().axes)
    count *= static_cast<double>(r.operand(0).type.shape[static_cast<std::size_t>(axis)]);
  y.data.front() = round_to(y.type.dtype, count);
  return {std::move(y)};
}

}  // namespace taper::ir
