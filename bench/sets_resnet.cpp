#include "bench/sets.h"

namespace taper::bench {

// In the order of the network; stride 2 is in the 3x3 convolution of a block.
void add_resnet(std::vector<Problem>& problems, bool epilogue) {
  const std::vector<ConvLayer> layers{
      {3, 64, 224, 7, 2},     {64, 64, 56, 1},    {64, 64, 56, 3},       {64, 256, 56, 1},
      {256, 64, 56, 1},       {256, 128, 56, 1},  {128, 128, 56, 3, 2},  {128, 512, 28, 1},
      {256, 512, 56, 1, 2},   {512, 128, 28, 1},  {128, 128, 28, 3},     {512, 256, 28, 1},
      {256, 256, 28, 3, 2},   {256, 1024, 14, 1}, {512, 1024, 28, 1, 2}, {1024, 256, 14, 1},
      {256, 256, 14, 3},      {1024, 512, 14, 1}, {512, 512, 14, 3, 2},  {512, 2048, 7, 1},
      {1024, 2048, 14, 1, 2}, {2048, 512, 7, 1},  {512, 512, 7, 3}};
  add_layers(problems, "layers/resnet50", layers, {16, 1}, epilogue);
}

}  // namespace taper::bench
