// The initialisation that torchvision gives the networks of this folder.
#pragma once

#include <taper/taper.h>

namespace models {

// Convolutions: He's normal distribution by outputs for ReLU, biases zero. BatchNorm keeps its ones
// and zeros.
void initialise_convolutions(const taper::nn::Module& model);

// Linear layers: normal with a deviation of 0.01, biases zero.
void initialise_linears(const taper::nn::Module& model);

// The number of trained values.
std::int64_t parameter_count(const taper::nn::Module& model);

}  // namespace models
