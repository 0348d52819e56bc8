#include "models/mobilenet.h"

#include "models/weights.h"

namespace nn = taper::nn;

namespace models {
namespace {

struct Shape {
  std::int64_t kernel = 1, stride = 1, groups = 1;
};

nn::Conv2d conv(std::int64_t in, std::int64_t out, const Shape& shape) {
  return nn::Conv2d(in, out, shape.kernel,
                    {.stride = {shape.stride, shape.stride},
                     .padding = nn::same_padding((shape.kernel - 1) / 2),
                     .groups = shape.groups,
                     .bias = false});
}

nn::Sequential conv_norm_relu6(std::int64_t in, std::int64_t out, const Shape& shape = {}) {
  return nn::Sequential{conv(in, out, shape), nn::BatchNorm2d(out), nn::ReLU6()};
}

nn::Sequential body(std::int64_t in, std::int64_t out, std::int64_t stride,
                    std::int64_t expansion) {
  const std::int64_t wide = in * expansion;
  nn::Sequential layers;
  if (expansion != 1) layers.append(conv_norm_relu6(in, wide));
  layers.append(conv_norm_relu6(wide, wide, {.kernel = 3, .stride = stride, .groups = wide}));
  layers.append(conv(wide, out, {})).append(nn::BatchNorm2d(out));
  return layers;
}

// Table 2 of the paper.
struct Stage {
  std::int64_t expansion, channels, blocks, stride;
};
constexpr Stage kStages[] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                             {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};

nn::Sequential features() {
  std::int64_t channels = 32;
  nn::Sequential layers;
  layers.append(conv_norm_relu6(3, channels, {.kernel = 3, .stride = 2}));
  for (const Stage& stage : kStages) {
    for (std::int64_t i = 0; i < stage.blocks; ++i) {
      const std::int64_t stride = i == 0 ? stage.stride : 1;
      layers.append(InvertedResidual(channels, stage.channels, stride, stage.expansion));
      channels = stage.channels;
    }
  }
  layers.append(conv_norm_relu6(channels, 1280));
  return layers;
}

}  // namespace

InvertedResidual::InvertedResidual(std::int64_t in, std::int64_t out, std::int64_t stride,
                                   std::int64_t expansion)
    : conv_(add("conv", body(in, out, stride, expansion))), adds_input_(in == out && stride == 1) {}

taper::Tensor InvertedResidual::operator()(const taper::Tensor& x) const {
  const auto y = conv_(x);
  return adds_input_ ? x + y : y;
}

MobileNetV2::MobileNetV2(std::int64_t classes, double dropout)
    : features_(add("features", features())),
      classifier_(
          add("classifier", nn::Sequential{nn::Dropout(dropout), nn::Linear(1280, classes)})) {
  initialise_convolutions(*this);
  initialise_linears(*this);
}

taper::Tensor MobileNetV2::operator()(const taper::Tensor& images) const {
  return classifier_(flatten(nn::AdaptiveAvgPool2d(1)(features_(images))));
}

}  // namespace models
