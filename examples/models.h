// The models of the image examples and of the benchmarks.
#pragma once

#include <taper/taper.h>

// 784-128-ReLU-64-ReLU-10.
taper::nn::Sequential mlp();

// Five 3x3 convolutions (32, 32, pool, 64, 64, pool, 128), global average pool, 128-64-10.
taper::nn::Sequential cnn();

// The same convolutions, each with BatchNorm, and one linear layer: 128-10.
taper::nn::Sequential batchnorm_cnn();

// He's initialisation, biases zero. PyTorch's default bound of 1/sqrt(fan_in) shrinks the signal by
// sqrt(6) in every ReLU layer: over the CNN's eight layers the loss would not move for the first
// hundreds of steps. He's variance keeps the signal's size.
void initialise(const taper::nn::Sequential& model);

// Bytes to f32 with MNIST's mean and deviation taken out.
taper::Tensor normalised(const taper::Tensor& images);
