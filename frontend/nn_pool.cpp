#include "frontend/nn_pool.h"

namespace taper::nn {
namespace {

ir::PoolAttrs square(std::int64_t kernel, std::int64_t stride, std::int64_t padding,
                     bool ceil_mode) {
  const std::int64_t step = stride == 0 ? kernel : stride;
  return {.kernel = {kernel, kernel},
          .stride = {step, step},
          .padding = {padding, padding, padding, padding},
          .ceil_mode = ceil_mode};
}

}  // namespace

MaxPool2d::MaxPool2d(std::int64_t kernel, std::int64_t stride, std::int64_t padding, bool ceil_mode,
                     std::source_location where)
    : FunctionLayer(where), attrs_(square(kernel, stride, padding, ceil_mode)) {}

AvgPool2d::AvgPool2d(std::int64_t kernel, std::int64_t stride, std::int64_t padding, bool ceil_mode,
                     bool count_include_pad, std::source_location where)
    : FunctionLayer(where), attrs_(square(kernel, stride, padding, ceil_mode)) {
  attrs_.count_include_pad = count_include_pad;
}

AdaptiveAvgPool2d::AdaptiveAvgPool2d(std::array<std::int64_t, 2> size, std::source_location where)
    : FunctionLayer(where), size_(size) {
  if (size[0] < 1 || size[1] < 1)
    throw Error(where, "AdaptiveAvgPool2d: size {} x {} is not positive", size[0], size[1]);
}

}  // namespace taper::nn
