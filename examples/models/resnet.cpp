#include "models/resnet.h"

#include "models/weights.h"

namespace nn = taper::nn;

namespace models {
namespace {

nn::Conv2d conv(std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride) {
  return nn::Conv2d(
      in, out, kernel,
      {.stride = {stride, stride}, .padding = nn::same_padding((kernel - 1) / 2), .bias = false});
}

nn::Sequential layer(std::int64_t in, std::int64_t out, std::int64_t stride) {
  return nn::Sequential{BasicBlock(in, out, stride), BasicBlock(out, out, 1)};
}

}  // namespace

BasicBlock::BasicBlock(std::int64_t in, std::int64_t out, std::int64_t stride)
    : conv1_(add("conv1", conv(in, out, 3, stride))),
      bn1_(add("bn1", nn::BatchNorm2d(out))),
      conv2_(add("conv2", conv(out, out, 3, 1))),
      bn2_(add("bn2", nn::BatchNorm2d(out))) {
  if (in != out || stride != 1)
    downsample_ = add("downsample", nn::Sequential{conv(in, out, 1, stride), nn::BatchNorm2d(out)});
}

taper::Tensor BasicBlock::operator()(const taper::Tensor& x) const {
  const auto body = bn2_(conv2_(relu(bn1_(conv1_(x)))));
  return relu(body + (downsample_ ? (*downsample_)(x) : x));
}

ResNet18::ResNet18(std::int64_t classes)
    : conv1_(add("conv1", conv(3, 64, 7, 2))),
      bn1_(add("bn1", nn::BatchNorm2d(64))),
      layers_{add("layer1", layer(64, 64, 1)), add("layer2", layer(64, 128, 2)),
              add("layer3", layer(128, 256, 2)), add("layer4", layer(256, 512, 2))},
      fc_(add("fc", nn::Linear(512, classes))) {
  initialise_convolutions(*this);
}

taper::Tensor ResNet18::operator()(const taper::Tensor& images) const {
  auto x = nn::MaxPool2d(3, 2, 1)(relu(bn1_(conv1_(images))));
  for (const auto& layer : layers_) x = layer(x);
  return fc_(flatten(nn::AdaptiveAvgPool2d(1)(x)));
}

}  // namespace models
