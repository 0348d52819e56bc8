#include "bench/sets.h"

namespace taper::bench {

void add_others(std::vector<Problem>& problems, bool epilogue) {
  const std::vector<ConvLayer> layers{{16, 32, 28, 5},
                                      {32, 96, 28, 5},
                                      {32, 128, 14, 5},
                                      {64, 192, 27, 5},
                                      {64, 64, 56, 3, 1, false, 2},
                                      {256, 256, 28, 3, 1, false, 2},
                                      {512, 512, 14, 3, 1, false, 4}};
  add_layers(problems, "layers/others", layers, {16}, epilogue);
}

}  // namespace taper::bench
