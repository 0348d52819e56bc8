// Functions of layers that are composed of other operations.
#include <cmath>
#include <numbers>

#include "frontend/ops.h"

namespace taper {
namespace {

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
  const Shape shape = x.tape() == nullptr ? Shape{} : x.tape()->graph()[x.on(*x.tape())].type.shape;
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
