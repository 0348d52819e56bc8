#include "bench/sets.h"

namespace taper::bench {

void add_mobilenet(std::vector<Problem>& problems, bool epilogue) {
  std::vector<ConvLayer> depthwise;
  struct Images {
    std::int64_t channels, size;
  };
  for (const Images& x : {Images{32, 112}, Images{144, 56}, Images{512, 14}, Images{1024, 7}})
    for (const std::int64_t stride : {1, 2})
      depthwise.push_back({x.channels, x.channels, x.size, 3, stride, true});
  add_layers(problems, "layers/mobilenet/depthwise", depthwise, {16}, epilogue);
  // MobileNetV2's, then the two of MobileNetV1 that its depthwise layers of 512 and 1024 feed.
  const std::vector<ConvLayer> pointwise{
      {32, 16, 112, 1},  {16, 96, 112, 1}, {96, 24, 56, 1},  {24, 144, 56, 1},  {144, 24, 56, 1},
      {144, 32, 28, 1},  {32, 192, 28, 1}, {192, 32, 28, 1}, {192, 64, 14, 1},  {64, 384, 14, 1},
      {384, 64, 14, 1},  {384, 96, 14, 1}, {96, 576, 14, 1}, {576, 96, 14, 1},  {576, 160, 7, 1},
      {160, 960, 7, 1},  {960, 160, 7, 1}, {960, 320, 7, 1}, {320, 1280, 7, 1}, {512, 512, 14, 1},
      {1024, 1024, 7, 1}};
  add_layers(problems, "layers/mobilenet/pointwise", pointwise, {16}, epilogue);
}

}  // namespace taper::bench
