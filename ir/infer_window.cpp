// Shape rules of convolution and pooling.
#include <algorithm>

#include "ir/infer.h"

namespace taper::ir {
namespace {

constexpr std::int64_t kMaxExtent = std::int64_t{1} << 30;

bool sane(std::int64_t low, std::int64_t value) {
  return value >= low && value <= kMaxExtent;
}

// Operand i as a 4-d tensor.
const Shape& image(const Request& r, std::size_t i, const char* what, DType dtype = DType::f32) {
  const TensorType& type = r.operands[i];
  if (type.dtype != dtype || type.rank() != 4)
    r.fail("needs {} {}[N,C,H,W], got {}", what, name(dtype), r.text(i));
  return type.shape;
}

void check_conv_attrs(const Request& r, const ConvAttrs& a) {
  for (std::size_t i = 0; i < 2; ++i)
    if (!sane(1, a.stride[i]) || !sane(1, a.dilation[i]))
      r.fail("stride {} and dilation {} must be positive", a.stride[i], a.dilation[i]);
  for (const std::int64_t p : a.padding)
    if (!sane(0, p)) r.fail("padding {} is negative or too large", p);
  if (!sane(1, a.groups)) r.fail("groups {} must be positive", a.groups);
}

// The result of a convolution of x with w.
Shape conv_shape(const Request& r, const ConvAttrs& a, const Shape& x, const Shape& w) {
  check_conv_attrs(r, a);
  for (const Shape* shape : {&x, &w})
    for (const Dim dim : *shape)
      if (dim != kBatch && !sane(0, dim))
        r.fail("{} has an extent out of range", to_string(*shape));
  if (w.size() != 4 || w[0] < 1 || w[1] < 1 || !sane(1, w[2]) || !sane(1, w[3]))
    r.fail("weight f32{} is no [O,C/groups,KH,KW]", to_string(w));
  if (w[0] % a.groups != 0)
    r.fail("weight f32{} has {} output channels, no multiple of groups {}", to_string(w), w[0],
           a.groups);
  if (x[1] != w[1] * a.groups)
    r.fail("input f32{} has {} channels but weight f32{} with groups {} expects {}", to_string(x),
           x[1], to_string(w), a.groups, w[1] * a.groups);
  Shape y{x[0], w[0], 0, 0};
  for (std::size_t i = 0; i < 2; ++i) {
    const std::int64_t padded = x[2 + i] + a.padding[i] + a.padding[i + 2];
    const std::int64_t reach = a.dilation[i] * (w[2 + i] - 1) + 1;
    if (reach > padded)
      r.fail("the kernel of weight f32{} spans {} of axis {} but input f32{} has {} with padding",
             to_string(w), reach, i + 2, to_string(x), padded);
    y[2 + i] = (padded - reach) / a.stride[i] + 1;
  }
  return y;
}

std::int64_t pooled_extent(const Request& r, const PoolAttrs& a, const Shape& x, std::size_t i) {
  const std::int64_t low = a.padding[i];
  const std::int64_t high = a.padding[i + 2];
  if (!sane(1, a.kernel[i]) || !sane(1, a.stride[i]))
    r.fail("window {} and stride {} must be positive", a.kernel[i], a.stride[i]);
  if (!sane(0, low) || !sane(0, high) || std::max(low, high) > a.kernel[i] / 2)
    r.fail("padding {} of axis {} must be 0..{}, half of the window", std::max(low, high), i + 2,
           a.kernel[i] / 2);
  const std::int64_t free = x[2 + i] + low + high - a.kernel[i];
  if (free + (a.ceil_mode ? a.stride[i] - 1 : 0) < 0)
    r.fail("the window spans {} of axis {} but input f32{} has {} with padding", a.kernel[i], i + 2,
           to_string(x), x[2 + i] + low + high);
  if (free < 0) return 1;  // one window, cut off
  std::int64_t count = free / a.stride[i] + 1;
  if (a.ceil_mode && free % a.stride[i] != 0 && count * a.stride[i] < x[2 + i] + low)
    ++count;  // the last window must start inside the input or the padding before it
  return count;
}

Shape pool_shape(const Request& r, const Shape& x) {
  const auto& a = r.attrs<PoolAttrs>();
  const std::int64_t height = pooled_extent(r, a, x, 0);
  const std::int64_t width = pooled_extent(r, a, x, 1);
  return {x[0], x[1], height, width};
}

// A byte numbers them.
void check_taps(const Request& r, const PoolAttrs& a) {
  if (a.kind != PoolKind::max) r.fail("takes windows of kind max");
  if (a.kernel[0] * a.kernel[1] > 255) r.fail("windows have at most 255 taps");
}

}  // namespace

TensorType infer_conv2d(const Request& r) {
  const auto& a = r.attrs<ConvAttrs>();
  if (!is_integer_product(r))
    return {DType::f32, conv_shape(r, a, image(r, 0, "an input"), image(r, 1, "a weight"))};
  const Shape& w = r.operands[1].shape;
  const Shape shape = conv_shape(r, a, image(r, 0, "an input", DType::u8), w);
  if (a.groups != 1) r.fail("of integers has no groups, got {}", a.groups);
  check_integer_depth(r, w[1] * w[2] * w[3]);
  return {DType::i32, shape};
}

TensorType infer_conv2d_backward_data(const Request& r) {
  const auto& a = r.attrs<ConvAttrs>();
  const Shape& dy = image(r, 0, "a gradient");
  const Shape& w = image(r, 1, "a weight");
  if (a.shape.size() != 4) r.fail("the shape {} of the input is not of rank 4", to_string(a.shape));
  if (conv_shape(r, a, a.shape, w) != dy)
    r.fail("gradient {} does not fit input f32{} and weight {}", r.text(0), to_string(a.shape),
           r.text(1));
  return {DType::f32, a.shape};
}

TensorType infer_conv2d_backward_weights(const Request& r) {
  const auto& a = r.attrs<ConvAttrs>();
  const Shape& x = image(r, 0, "an input");
  const Shape& dy = image(r, 1, "a gradient");
  if (conv_shape(r, a, x, a.shape) != dy)
    r.fail("gradient {} does not fit input {} and weight f32{}", r.text(1), r.text(0),
           to_string(a.shape));
  return {DType::f32, a.shape};
}

TensorType infer_pool2d(const Request& r) {
  const bool bytes = r.operands[0].dtype == DType::u8 && r.attrs<PoolAttrs>().kind == PoolKind::max;
  const DType dtype = bytes ? DType::u8 : DType::f32;
  return {dtype, pool_shape(r, image(r, 0, "an input", dtype))};
}

TensorType infer_pool2d_backward(const Request& r) {
  const Shape& x = image(r, 0, "an input");
  if (pool_shape(r, x) != image(r, 1, "a gradient"))
    r.fail("gradient {} does not fit input {}", r.text(1), r.text(0));
  return {DType::f32, x};
}

TensorType infer_max_pool2d_with_indices(const Request& r) {
  const Shape shape = pool_shape(r, image(r, 0, "an input"));
  check_taps(r, r.attrs<PoolAttrs>());
  return {DType::f32, shape};
}

TensorType infer_max_unpool2d(const Request& r) {
  const auto& a = r.attrs<PoolAttrs>();
  const Shape& taps = image(r, 0, "indices", DType::u8);
  const Shape& dy = image(r, 1, "a gradient");
  if (a.shape.size() != 4)
    r.fail("the shape {} of the result is not of rank 4", to_string(a.shape));
  if (pool_shape(r, a.shape) != dy || taps != dy)
    r.fail("indices {} and gradient {} do not fit the result f32{}", r.text(0), r.text(1),
           to_string(a.shape));
  check_taps(r, a);
  return {DType::f32, a.shape};
}

}  // namespace taper::ir
