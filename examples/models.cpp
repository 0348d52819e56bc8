#include "models.h"

namespace nn = taper::nn;

namespace {

nn::Conv2d conv3x3(std::int64_t in, std::int64_t out) {
  return nn::Conv2d(in, out, 3, {.padding = nn::same_padding(1)});
}

}  // namespace

nn::Sequential mlp() {
  return nn::Sequential{nn::Flatten(),       nn::Linear(784, 128), nn::ReLU(),
                        nn::Linear(128, 64), nn::ReLU(),           nn::Linear(64, 10)};
}

nn::Sequential cnn() {
  return nn::Sequential{
      conv3x3(1, 32),       nn::ReLU(), conv3x3(32, 32),          nn::ReLU(), nn::MaxPool2d(2),  //
      conv3x3(32, 64),      nn::ReLU(), conv3x3(64, 64),          nn::ReLU(), nn::MaxPool2d(2),  //
      conv3x3(64, 128),     nn::ReLU(), nn::AdaptiveAvgPool2d(1),
      nn::Flatten(),  //
      nn::Linear(128, 128), nn::ReLU(), nn::Linear(128, 64),      nn::ReLU(), nn::Linear(64, 10)};
}

nn::Sequential batchnorm_cnn() {
  const auto layer = [](std::int64_t in, std::int64_t out) {
    // BatchNorm subtracts the mean: a bias before it would do nothing.
    return nn::Sequential{nn::Conv2d(in, out, 3, {.padding = nn::same_padding(1), .bias = false}),
                          nn::BatchNorm2d(out), nn::ReLU()};
  };
  return nn::Sequential{layer(1, 32),     layer(32, 32),
                        nn::MaxPool2d(2),  //
                        layer(32, 64),    layer(64, 64),
                        nn::MaxPool2d(2),  //
                        layer(64, 128),   nn::AdaptiveAvgPool2d(1),
                        nn::Flatten(),    nn::Linear(128, 10)};
}

void initialise(const nn::Sequential& model) {
  for (const auto& [name, variable] : model.parameters())
    if (name.ends_with("weight"))
      taper::init::kaiming_normal(*variable);
    else
      taper::init::constant(*variable, 0);
}

taper::Tensor normalised(const taper::Tensor& images) {
  return (cast(images, taper::DType::f32) * (1 / 255.0) - 0.1307) / 0.3081;
}
