// The problems that are measured, by set; the names of a set begin with its prefix.
#pragma once

#include <vector>

#include "bench/problem.h"

namespace taper::bench {

// layers/cnn: the convolutions of cnn() of examples/models.h at batch 256 and 1, and
// layers/vgg: VGG's at batch 4.
void add_plain_networks(std::vector<Problem>& problems, bool epilogue);
// layers/resnet50: every distinct convolution of ResNet-50 at batch 16 and 1.
void add_resnet(std::vector<Problem>& problems, bool epilogue);
// layers/mobilenet/depthwise and layers/mobilenet/pointwise, at batch 16.
void add_mobilenet(std::vector<Problem>& problems, bool epilogue);
// layers/others: 5x5 convolutions of GoogLeNet and AlexNet, dilated ones of DeepLab, at batch 16.
void add_others(std::vector<Problem>& problems, bool epilogue);
// dense: layers at batch 256, and square products.
void add_dense(std::vector<Problem>& problems, bool epilogue);

// Every pass of each layer at each batch size.
void add_layers(std::vector<Problem>& problems, std::string_view set,
                const std::vector<ConvLayer>& layers, const std::vector<ir::Dim>& batches,
                bool epilogue);

std::vector<Problem> all_problems(bool epilogue);

}  // namespace taper::bench
