// Pooling, with PyTorch's windows and divisors.
#include <algorithm>
#include <cmath>

#include "ir/eval_ops.h"

namespace taper::ir {
namespace {

// The input rows or columns of one window, and its extent with padding.
struct Span {
  std::int64_t begin, end, padded;
  std::int64_t start;  // of the window, padding included
  std::int64_t size() const { return end - begin; }
};

Span span_of(const PoolAttrs& attrs, std::size_t axis, std::int64_t out, std::int64_t size) {
  const std::int64_t begin = out * attrs.stride[axis] - attrs.padding[axis];
  const std::int64_t end = std::min(begin + attrs.kernel[axis], size + attrs.padding[axis + 2]);
  return {std::max<std::int64_t>(begin, 0), std::min(end, size), end - begin, begin};
}

struct Window {
  Span y, x;
};

double divisor(const PoolAttrs& attrs, const Window& window) {
  const std::int64_t count = attrs.count_include_pad ? window.y.padded * window.x.padded
                                                     : window.y.size() * window.x.size();
  return static_cast<double>(count);
}

// Calls visit(index of the output, offset of the input plane, window) for every output.
template <class Visit>
void for_each_window(const PoolAttrs& attrs, const Shape& x, const Shape& y, Visit visit) {
  std::int64_t index = 0;
  for (std::int64_t plane = 0; plane < y[0] * y[1]; ++plane) {
    for (std::int64_t oy = 0; oy < y[2]; ++oy) {
      for (std::int64_t ox = 0; ox < y[3]; ++ox) {
        const Window window{span_of(attrs, 0, oy, x[2]), span_of(attrs, 1, ox, x[3])};
        visit(index++, plane * x[2] * x[3], window);
      }
    }
  }
}

template <class Visit>
void for_each_input(const Window& window, std::int64_t width, Visit visit) {
  for (std::int64_t iy = window.y.begin; iy < window.y.end; ++iy) {
    for (std::int64_t ix = window.x.begin; ix < window.x.end; ++ix) visit(iy * width + ix);
  }
}

// Offset in the plane of the first largest element; NaN is larger than any number.
std::int64_t largest(const double* plane, const Window& window, std::int64_t width) {
  std::int64_t best = window.y.begin * width + window.x.begin;
  for_each_input(window, width, [&](std::int64_t at) {
    if (plane[at] > plane[best] || (std::isnan(plane[at]) && !std::isnan(plane[best]))) best = at;
  });
  return best;
}

}  // namespace

Results eval_pool2d(const EvalRequest& r) {
  const auto& attrs = r.attrs<PoolAttrs>();
  const Value& x = r.operand(0);
  Value y = r.result();
  const std::int64_t width = x.type.shape[3];
  const auto pool = [&](std::int64_t out, std::int64_t start, const Window& window) {
    const double* plane = x.data.data() + start;
    if (attrs.kind == PoolKind::max) {
      element(y, out) = plane[largest(plane, window, width)];
      return;
    }
    double total = 0;
    for_each_input(window, width, [&](std::int64_t at) { total += plane[at]; });
    element(y, out) = total / divisor(attrs, window);
  };
  for_each_window(attrs, x.type.shape, y.type.shape, pool);
  return {rounded(std::move(y))};
}

Results eval_pool2d_backward(const EvalRequest& r) {
  const auto& attrs = r.attrs<PoolAttrs>();
  const Value& x = r.operand(0);
  const Value& dy = r.operand(1);
  Value dx = r.result();
  const std::int64_t width = x.type.shape[3];
  const auto pool = [&](std::int64_t out, std::int64_t start, const Window& window) {
    const double g = element(dy, out);
    double* to = dx.data.data() + start;
    if (attrs.kind == PoolKind::max) {
      to[largest(x.data.data() + start, window, width)] += g;
      return;
    }
    const double share = g / divisor(attrs, window);
    for_each_input(window, width, [&](std::int64_t at) { to[at] += share; });
  };
  for_each_window(attrs, x.type.shape, dy.type.shape, pool);
  return {rounded(std::move(dx))};
}

Results eval_max_pool2d_with_indices(const EvalRequest& r) {
  const auto& attrs = r.attrs<PoolAttrs>();
  const Value& x = r.operand(0);
  Value y = r.result();
  Value indices = y;
  indices.type.dtype = DType::u8;
  const std::int64_t width = x.type.shape[3];
  const auto pool = [&](std::int64_t out, std::int64_t start, const Window& window) {
    const double* plane = x.data.data() + start;
    const std::int64_t at = largest(plane, window, width);
    element(y, out) = plane[at];
    const std::int64_t tap_y = at / width - window.y.start, tap_x = at % width - window.x.start;
    const bool none = attrs.positive && !(plane[at] > 0);
    element(indices, out) = none ? 255 : static_cast<double>(tap_y * attrs.kernel[1] + tap_x);
  };
  for_each_window(attrs, x.type.shape, y.type.shape, pool);
  return {std::move(y), std::move(indices)};
}

Results eval_max_unpool2d(const EvalRequest& r) {
  const auto& attrs = r.attrs<PoolAttrs>();
  const Value& indices = r.operand(0);
  const Value& dy = r.operand(1);
  Value dx = r.result();
  const std::int64_t width = dx.type.shape[3];
  const auto unpool = [&](std::int64_t out, std::int64_t start, const Window& window) {
    const auto tap = static_cast<std::int64_t>(element(indices, out));
    const std::int64_t y = window.y.start + tap / attrs.kernel[1];
    const std::int64_t x = window.x.start + tap % attrs.kernel[1];
    const bool inside =
        y >= window.y.begin && y < window.y.end && x >= window.x.begin && x < window.x.end;
    if (inside) dx.data[static_cast<std::size_t>(start + y * width + x)] += element(dy, out);
  };
  for_each_window(attrs, dx.type.shape, dy.type.shape, unpool);
  return {rounded(std::move(dx))};
}

}  // namespace taper::ir
