// Networks of 3x3 convolutions, padding 1, stride 1.
#include "bench/sets.h"

namespace taper::bench {

void add_plain_networks(std::vector<Problem>& problems, bool epilogue) {
  const std::vector<ConvLayer> cnn{
      {1, 32, 28, 3}, {32, 32, 28, 3}, {32, 64, 14, 3}, {64, 64, 14, 3}, {64, 128, 7, 3}};
  add_layers(problems, "layers/cnn", cnn, {256, 1}, epilogue);
  const std::vector<ConvLayer> vgg{{3, 64, 224, 3},    {64, 64, 224, 3},  {64, 128, 112, 3},
                                   {128, 128, 112, 3}, {128, 256, 56, 3}, {256, 256, 56, 3},
                                   {256, 512, 28, 3},  {512, 512, 28, 3}, {512, 512, 14, 3}};
  add_layers(problems, "layers/vgg", vgg, {4}, epilogue);
}

}  // namespace taper::bench
