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
  std::int64_t plane, width;  // where its input plane starts, and the elements of a row
  std::int64_t at(std::int64_t iy, std::int64_t ix) const { return plane + iy * width + ix; }
};

double divisor(const PoolAttrs& attrs, const Window& window) {
  const std::int64_t count = attrs.count_include_pad ? window.y.padded * window.x.padded
                                                     : window.y.size() * window.x.size();
  return static_cast<double>(count);
}

// Calls visit(index of the output, window) for every output.
template <class Visit>
void for_each_window(const PoolAttrs& attrs, const Shape& x, const Shape& y, Visit visit) {
  std::int64_t index = 0;
  for (std::int64_t plane = 0; plane < y[0] * y[1]; ++plane) {
    for (std::int64_t oy = 0; oy < y[2]; ++oy) {
      for (std::int64_t ox = 0; ox < y[3]; ++ox) {
        const Span rows = span_of(attrs, 0, oy, x[2]), columns = span_of(attrs, 1, ox, x[3]);
        visit(index++, Window{rows, columns, plane * x[2] * x[3], x[3]});
      }
    }
  }
}

template <class Visit>
void for_each_input(const Window& window, Visit visit) {
  for (std::int64_t iy = window.y.begin; iy < window.y.end; ++iy)
    for (std::int64_t ix = window.x.begin; ix < window.x.end; ++ix) visit(window.at(iy, ix));
}

// The first largest element; NaN is larger than any number.
std::int64_t largest(const Value& x, const Window& window) {
  std::int64_t best = window.at(window.y.begin, window.x.begin);
  for_each_input(window, [&](std::int64_t at) {
    const double value = element(x, at), most = element(x, best);
    if (value > most || (std::isnan(value) && !std::isnan(most))) best = at;
  });
  return best;
}

}  // namespace

Results eval_pool2d(const EvalRequest& r) {
  const auto& attrs = r.attrs<PoolAttrs>();
  const Value& x = r.operand(0);
  Value y = r.result();
  for_each_window(attrs, x.type.shape, y.type.shape, [&](std::int64_t out, const Window& window) {
    double& result = element(y, out);
    if (attrs.kind == PoolKind::max) {
      result = element(x, largest(x, window));
      return;
    }
    for_each_input(window, [&](std::int64_t at) { result += element(x, at); });
    result /= divisor(attrs, window);
  });
  return {rounded(std::move(y))};
}

Results eval_pool2d_backward(const EvalRequest& r) {
  const auto& attrs = r.attrs<PoolAttrs>();
  const Value& x = r.operand(0);
  const Value& dy = r.operand(1);
  Value dx = r.result();
  for_each_window(attrs, x.type.shape, dy.type.shape, [&](std::int64_t out, const Window& window) {
    const double g = element(dy, out);
    if (attrs.kind == PoolKind::max) {
      element(dx, largest(x, window)) += g;
      return;
    }
    const double share = g / divisor(attrs, window);
    for_each_input(window, [&](std::int64_t at) { element(dx, at) += share; });
  });
  return {rounded(std::move(dx))};
}

Results eval_max_pool2d_with_indices(const EvalRequest& r) {
  const auto& attrs = r.attrs<PoolAttrs>();
  const Value& x = r.operand(0);
  Value y = r.result();
  Value indices = y;
  indices.type.dtype = DType::u8;
  for_each_window(attrs, x.type.shape, y.type.shape, [&](std::int64_t out, const Window& window) {
    const std::int64_t at = largest(x, window), from = at - window.at(window.y.start, 0);
    element(y, out) = element(x, at);
    const std::int64_t tap_y = from / window.width, tap_x = from % window.width - window.x.start;
    const bool none = attrs.positive && !(element(x, at) > 0);
    element(indices, out) = none ? 255 : static_cast<double>(tap_y * attrs.kernel[1] + tap_x);
  });
  return {std::move(y), std::move(indices)};
}

Results eval_max_unpool2d(const EvalRequest& r) {
  const auto& attrs = r.attrs<PoolAttrs>();
  const Value& dy = r.operand(1);
  Value dx = r.result();
  for_each_window(attrs, dx.type.shape, dy.type.shape, [&](std::int64_t out, const Window& window) {
    const auto tap = static_cast<std::int64_t>(element(r.operand(0), out));
    const std::int64_t y = window.y.start + tap / attrs.kernel[1];
    const std::int64_t x = window.x.start + tap % attrs.kernel[1];
    const bool inside =
        y >= window.y.begin && y < window.y.end && x >= window.x.begin && x < window.x.end;
    if (inside) element(dx, window.at(y, x)) += element(dy, out);
  });
  return {rounded(std::move(dx))};
}

}  // namespace taper::ir
