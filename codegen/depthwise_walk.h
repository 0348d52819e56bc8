// Which source pixels each result pixel of a depthwise pass reads, per axis, with the forward pass
// and the gradient of the input in one form.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "ir/kernel.h"

namespace taper::codegen {

struct DepthwiseAxis {
  std::int64_t results = 0, sources = 0, taps = 0;
  std::int64_t stride = 1, dilation = 1, pad = 0;
  bool backward = false;

  // The source coordinate that result coordinate `r` reads through tap `k`, before the test against
  // the extent; nothing where a backward stride falls between results of the forward pass.
  std::optional<std::int64_t> source(std::int64_t r, std::int64_t k) const;
  bool inside(std::int64_t source) const { return source >= 0 && source < sources; }
  // Results that many apart read sources source_step() apart.
  std::int64_t period() const { return backward ? stride : 1; }
  std::int64_t source_step() const { return backward ? 1 : stride; }
};

DepthwiseAxis depthwise_rows(const ir::ConvSpec& spec);
DepthwiseAxis depthwise_columns(const ir::ConvSpec& spec);

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

std::vector<DepthwisePieces> depthwise_pieces(const DepthwiseAxis& columns, std::int64_t most);

}  // namespace taper::codegen
