// Gradients of the ops that move, repeat, convert or reduce elements.
#include <algorithm>

#include "passes/vjp.h"

namespace taper::passes {

using namespace ir;

namespace {

bool differentiable(DType dtype) {
  return dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16;
}

// By value: building moves the nodes of the graph.
Shape operand_shape(const VjpBuilder& builder, const VjpRequest& r) {
  return builder.type(r.operand(0)).shape;
}

ValueId max_gradient(VjpBuilder& builder, const VjpRequest& r, ValueId g, ValueId y) {
  const auto& attrs = std::get<ReduceAttrs>(r.node.attrs);
  const ValueId none = builder.zero();
  const ValueId largest = builder.eq(r.operand(0), y);
  const ValueId ones = builder.select(largest, builder.scalar(1), none);
  const ValueId count = builder.reduce(ones, ReduceKind::sum, attrs.axes, true);
  const ValueId share = builder.div(g, count);
  return builder.select(largest, share, none);
}

}  // namespace

Gradients vjp_cast(VjpBuilder& builder, const VjpRequest& r) {
  const DType from = builder.type(r.operand(0)).dtype;
  const bool flows = differentiable(from) && differentiable(r.node.type.dtype);
  return {flows ? r.g : kNoValue};
}

Gradients vjp_broadcast_to(VjpBuilder& builder, const VjpRequest& r) {
  return {builder.sum_to(r.g, operand_shape(builder, r))};
}

Gradients vjp_reshape(VjpBuilder& builder, const VjpRequest& r) {
  return {builder.reshape(r.g, operand_shape(builder, r))};
}

Gradients vjp_transpose(VjpBuilder& builder, const VjpRequest& r) {
  const auto& axes = std::get<AxesAttrs>(r.node.attrs).axes;
  Indices inverse(axes.size());
  for (std::size_t i = 0; i < axes.size(); ++i)
    inverse[static_cast<std::size_t>(axes[i])] = static_cast<std::int64_t>(i);
  return {builder.transpose(r.g, inverse)};
}

Gradients vjp_slice(VjpBuilder& builder, const VjpRequest& r) {
  const auto& attrs = std::get<SliceAttrs>(r.node.attrs);
  const Shape shape = operand_shape(builder, r);
  PadAttrs pad;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const bool batch = shape[i] == kBatch;
    const std::int64_t count = batch ? 0 : r.node.type.shape[i];
    const std::int64_t covered = count == 0 ? 0 : (count - 1) * attrs.step[i] + 1;
    const std::int64_t low = batch ? 0 : attrs.begin[i];
    pad.low.push_back(low);
    pad.high.push_back(batch ? 0 : shape[i] - low - covered);
    pad.interior.push_back(attrs.step[i] - 1);
  }
  return {builder.pad(r.g, pad)};
}

Gradients vjp_pad(VjpBuilder& builder, const VjpRequest& r) {
  const auto& attrs = std::get<PadAttrs>(r.node.attrs);
  const Shape shape = operand_shape(builder, r);
  // Negative padding crops; what it cropped gets zeros first, then the slice finds the operand.
  PadAttrs uncrop;
  SliceAttrs slice;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const bool batch = shape[i] == kBatch;
    const std::int64_t begin = std::max<std::int64_t>(attrs.low[i], 0);
    const std::int64_t step = attrs.interior[i] + 1;
    uncrop.low.push_back(std::max<std::int64_t>(-attrs.low[i], 0));
    uncrop.high.push_back(std::max<std::int64_t>(-attrs.high[i], 0));
    uncrop.interior.push_back(0);
    const std::int64_t covered = shape[i] == 0 ? 0 : (shape[i] - 1) * step + 1;
    slice.begin.push_back(begin);
    slice.end.push_back(batch ? kBatch : begin + covered);
    slice.step.push_back(batch ? 1 : step);
  }
  const auto positive = [](std::int64_t n) { return n > 0; };
  const bool cropped =
      std::ranges::any_of(uncrop.low, positive) || std::ranges::any_of(uncrop.high, positive);
  const ValueId whole = cropped ? builder.pad(r.g, uncrop) : r.g;
  return {builder.slice(whole, slice)};
}

Gradients vjp_concat(VjpBuilder& builder, const VjpRequest& r) {
  const auto axis = static_cast<std::size_t>(std::get<AxisAttrs>(r.node.attrs).axis);
  const std::size_t rank = r.node.type.shape.size();
  SliceAttrs slice{Indices(rank, 0), r.node.type.shape, Indices(rank, 1)};
  Gradients gradients;
  for (const ValueId operand : r.node.operands) {
    slice.end[axis] = slice.begin[axis] + builder.type(operand).shape[axis];
    gradients.push_back(builder.slice(r.g, slice));
    slice.begin[axis] = slice.end[axis];
  }
  return gradients;
}

Gradients vjp_reduce(VjpBuilder& builder, const VjpRequest& r) {
  const auto& attrs = std::get<ReduceAttrs>(r.node.attrs);
  const Shape shape = operand_shape(builder, r);
  const Shape kept = with_ones(shape, attrs.axes);
  const ValueId g = builder.reshape(r.g, kept);
  switch (attrs.kind) {
    case ReduceKind::sum:
      return {builder.broadcast_to(g, shape)};
    case ReduceKind::mean: {
      const ValueId count = builder.extent(r.operand(0), attrs.axes);
      return {builder.broadcast_to(builder.div(g, count), shape)};
    }
    case ReduceKind::max:
      return {max_gradient(builder, r, g, builder.reshape(r.y, kept))};
  }
  return {kNoValue};
}

}  // namespace taper::passes
