// The three passes of a convolution: one tap of the kernel at a time, over whole planes.
#include <algorithm>

#include "ir/eval_ops.h"

namespace taper::ir {
namespace {

struct Convolution {
  const ConvAttrs& attrs;
  const Shape& x;       // [N,C,H,W]
  const Shape& weight;  // [O,C/groups,KH,KW]
  const Shape& y;       // [N,O,OH,OW]

  std::int64_t x_plane() const { return x[2] * x[3]; }
  std::int64_t y_plane() const { return y[2] * y[3]; }
  // The input channel that channel `c` of the weights of output channel `o` reads.
  std::int64_t input_channel(std::int64_t o, std::int64_t c) const {
    return o / (weight[0] / attrs.groups) * weight[1] + c;
  }
};

// The output columns whose tap `kx` reads a real input element.
struct Columns {
  std::int64_t begin, count, input;  // `input` is the input column of the first
};

Columns columns_of(const Convolution& conv, std::int64_t kx) {
  const std::int64_t stride = conv.attrs.stride[1];
  const std::int64_t shift = kx * conv.attrs.dilation[1] - conv.attrs.padding[1];
  const std::int64_t begin = shift >= 0 ? 0 : (-shift + stride - 1) / stride;
  const std::int64_t room = conv.x[3] - 1 - shift;
  const std::int64_t end = room < 0 ? 0 : std::min(conv.y[3], room / stride + 1);
  return {begin, std::max<std::int64_t>(0, end - begin), begin * stride + shift};
}

// Calls row(offset in the y plane, offset in the x plane, count) for each row of outputs whose tap
// (ky, kx) reads real input elements; these are stride[1] apart in x.
template <class Row>
void for_each_row(const Convolution& conv, std::int64_t ky, std::int64_t kx, Row row) {
  const Columns columns = columns_of(conv, kx);
  if (columns.count == 0) return;
  for (std::int64_t oy = 0; oy < conv.y[2]; ++oy) {
    const std::int64_t iy =
        oy * conv.attrs.stride[0] + ky * conv.attrs.dilation[0] - conv.attrs.padding[0];
    if (iy < 0 || iy >= conv.x[2]) continue;
    row(oy * conv.y[3] + columns.begin, iy * conv.x[3] + columns.input, columns.count);
  }
}

// Calls tap(index of the weight, input plane, output plane, ky, kx) for every weight and image.
template <class Tap>
void for_each_tap(const Convolution& conv, Tap tap) {
  for (std::int64_t image = 0; image < conv.x[0]; ++image) {
    std::int64_t index = 0;
    for (std::int64_t o = 0; o < conv.weight[0]; ++o) {
      for (std::int64_t c = 0; c < conv.weight[1]; ++c) {
        const std::int64_t x_plane = image * conv.x[1] + conv.input_channel(o, c);
        const std::int64_t y_plane = image * conv.y[1] + o;
        for (std::int64_t ky = 0; ky < conv.weight[2]; ++ky)
          for (std::int64_t kx = 0; kx < conv.weight[3]; ++kx)
            tap(index++, x_plane * conv.x_plane(), y_plane * conv.y_plane(), ky, kx);
      }
    }
  }
}

// Forward, and with `data` backward: each weight carries what lies at one end of it to the other.
Results carried(const EvalRequest& r, bool data) {
  Value to = r.result();
  const Value& from = r.operand(0);
  const Value& weight = r.operand(1);
  const Convolution conv{r.attrs<ConvAttrs>(), (data ? to : from).type.shape, weight.type.shape,
                         (data ? from : to).type.shape};
  const std::int64_t stride = conv.attrs.stride[1];
  const std::int64_t to_step = data ? stride : 1, from_step = data ? 1 : stride;
  for_each_tap(conv, [&](std::int64_t index, std::int64_t x_plane, std::int64_t y_plane,
                         std::int64_t ky, std::int64_t kx) {
    const double w = element(weight, index);
    for_each_row(conv, ky, kx, [&](std::int64_t out, std::int64_t in, std::int64_t count) {
      const std::int64_t x = x_plane + in, y = y_plane + out;
      double* sums = to.data.data() + (data ? x : y);
      const double* values = from.data.data() + (data ? y : x);
      for (std::int64_t i = 0; i < count; ++i) sums[i * to_step] += w * values[i * from_step];
    });
  });
  return {rounded(std::move(to))};
}

}  // namespace

Results eval_conv2d(const EvalRequest& r) {
  return carried(r, false);
}

Results eval_conv2d_backward_data(const EvalRequest& r) {
  return carried(r, true);
}

Results eval_conv2d_backward_weights(const EvalRequest& r) {
  Value dw = r.result();
  const Value& x = r.operand(0);
  const Value& dy = r.operand(1);
  const Convolution conv{r.attrs<ConvAttrs>(), x.type.shape, dw.type.shape, dy.type.shape};
  const std::int64_t stride = conv.attrs.stride[1];
  for_each_tap(conv, [&](std::int64_t index, std::int64_t x_plane, std::int64_t y_plane,
                         std::int64_t ky, std::int64_t kx) {
    double total = 0;
    for_each_row(conv, ky, kx, [&](std::int64_t out, std::int64_t in, std::int64_t count) {
      const double* a = dy.data.data() + y_plane + out;
      const double* b = x.data.data() + x_plane + in;
      for (std::int64_t i = 0; i < count; ++i) total += a[i] * b[i * stride];
    });
    element(dw, index) += total;
  });
  return {rounded(std::move(dw))};
}

}  // namespace taper::ir
