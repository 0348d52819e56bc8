// A row of results of a depthwise pass, cut into pieces that share their code.
#pragma once

#include <cstdint>
#include <vector>

#include "codegen/conv_walk.h"

namespace taper::codegen {

// One FMA of a piece of a row: result pixel first + pixel reads column source (relative).
struct DepthwiseUse {
  std::int64_t source = 0, tap = 0, pixel = 0;
  bool operator==(const DepthwiseUse&) const = default;
};

// `count` pieces of `pixels` result pixels each, one behind the other, that differ only by where
// they are: each next one reads sources `source_step` further.
struct DepthwisePieces {
  std::int64_t first = 0, pixels = 0, count = 1;
  std::int64_t source_first = 0, source_step = 0;
  std::vector<DepthwiseUse> uses;  // for one pixel, taps are in increasing order
};

std::vector<DepthwisePieces> depthwise_pieces(const ConvAxis& columns, std::int64_t most);

}  // namespace taper::codegen
