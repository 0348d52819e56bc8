// The models that come with `taper train`, for samples of a shape [N, ...] in ten classes.
#pragma once

#include "frontend/nn.h"

namespace taper::tools {

nn::Sequential mlp(const Shape& samples);  // 128, 64, 10 features, ReLU between
// Two 3x3 convolutions of 16 and 32 channels, each with ReLU and 2x2 pooling, then 10 features.
// Throws taper::Error for samples that are no images.
nn::Sequential cnn(const Shape& samples);

}  // namespace taper::tools
