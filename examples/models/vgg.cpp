#include "models/vgg.h"

#include "models/weights.h"

namespace nn = taper::nn;

namespace models {
namespace {

constexpr std::int64_t kPool = 0;
constexpr std::int64_t kLayers[] = {64,  kPool, 128,   kPool, 256, 256,  kPool,
                                    512, 512,   kPool, 512,   512, kPool};

nn::Sequential features(bool batch_norm) {
  nn::Sequential layers;
  std::int64_t in = 3;
  for (const std::int64_t out : kLayers) {
    if (out == kPool) {
      layers.append(nn::MaxPool2d(2));
      continue;
    }
    layers.append(nn::Conv2d(in, out, 3, {.padding = nn::same_padding(1)}));
    if (batch_norm) layers.append(nn::BatchNorm2d(out));
    layers.append(nn::ReLU());
    in = out;
  }
  return layers;
}

nn::Sequential classifier(const VggOptions& options) {
  const std::int64_t hidden = options.hidden;
  return nn::Sequential{
      nn::Linear(512 * 7 * 7, hidden),    nn::ReLU(), nn::Dropout(options.dropout),
      nn::Linear(hidden, hidden),         nn::ReLU(), nn::Dropout(options.dropout),
      nn::Linear(hidden, options.classes)};
}

}  // namespace

Vgg11::Vgg11(const VggOptions& options)
    : features_(add("features", features(options.batch_norm))),
      classifier_(add("classifier", classifier(options))) {
  initialise_convolutions(*this);
  initialise_linears(*this);
}

taper::Tensor Vgg11::operator()(const taper::Tensor& images) const {
  return classifier_(flatten(nn::AdaptiveAvgPool2d(7)(features_(images))));
}

}  // namespace models
