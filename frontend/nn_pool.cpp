#include "frontend/nn_pool.h"

#include <fmt/format.h>

namespace taper::nn {
namespace {

ir::PoolAttrs square(std::int64_t kernel, std::int64_t stride, std::int64_t padding,
                     bool ceil_mode) {
  const std::int64_t step = stride == 0 ? kernel : stride;
  ir::PoolAttrs attrs;
  attrs.kernel = {kernel, kernel};
  attrs.stride = {step, step};
  attrs.padding = {padding, padding, padding, padding};
  attrs.ceil_mode = ceil_mode;
  return attrs;
}

}  // namespace

MaxPool2d::MaxPool2d(std::int64_t kernel, std::int64_t stride, std::int64_t padding, bool ceil_mode,
                     std::source_location where)
    : attrs_(square(kernel, stride, padding, ceil_mode)), where_(where) {}

Tensor MaxPool2d::operator()(const Tensor& x) const {
  return max_pool2d(Operand(x, where_), attrs_);
}

AvgPool2d::AvgPool2d(std::int64_t kernel, std::int64_t stride, std::int64_t padding, bool ceil_mode,
                     bool count_include_pad, std::source_location where)
    : attrs_(square(kernel, stride, padding, ceil_mode)), where_(where) {
  attrs_.count_include_pad = count_include_pad;
}

Tensor AvgPool2d::operator()(const Tensor& x) const {
  return avg_pool2d(Operand(x, where_), attrs_);
}

AdaptiveAvgPool2d::AdaptiveAvgPool2d(std::int64_t size, std::source_location where)
    : AdaptiveAvgPool2d(std::array{size, size}, where) {}

AdaptiveAvgPool2d::AdaptiveAvgPool2d(std::array<std::int64_t, 2> size, std::source_location where)
    : size_(size), where_(where) {
  if (size[0] < 1 || size[1] < 1)
    throw Error(fmt::format("AdaptiveAvgPool2d: size {} x {} is not positive", size[0], size[1]),
                where);
}

Tensor AdaptiveAvgPool2d::operator()(const Tensor& x) const {
  return adaptive_avg_pool2d(Operand(x, where_), size_);
}

}  // namespace taper::nn
