#include "tools/models.h"

namespace taper::tools {

nn::Sequential mlp(const Shape& samples) {
  const std::int64_t features = ir::element_count(samples, 1);
  return nn::Sequential{nn::Flatten(), nn::Linear(features, 128), nn::ReLU(), nn::Linear(128, 64),
                        nn::ReLU(),    nn::Linear(64, 10)};
}

nn::Sequential cnn(const Shape& samples) {
  if (samples.size() != 4 || samples[2] < 4 || samples[3] < 4)
    throw Error("train: the model cnn takes images, not {}", ir::to_string(samples));
  const auto layer = [](std::int64_t in, std::int64_t out) {
    return nn::Conv2d(in, out, 3, {.padding = nn::same_padding(1)});
  };
  const std::int64_t features = 32 * (samples[2] / 4) * (samples[3] / 4);
  return nn::Sequential{
      layer(samples[1], 16), nn::ReLU(),    nn::MaxPool2d(2),        layer(16, 32), nn::ReLU(),
      nn::MaxPool2d(2),      nn::Flatten(), nn::Linear(features, 10)};
}

}  // namespace taper::tools
