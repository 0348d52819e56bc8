// The micro-kernel of weight gradients: a tile of weights is accumulated in registers while the
// output pixels of an image go by.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "codegen/conv_walk.h"
#include "codegen/kernel.h"
#include "ir/isa.h"
#include "ir/kernel.h"

namespace taper::codegen {

// A row of a tile: one kernel position and input channel, times 16 output channels per block.
struct WeightRow {
  std::int64_t ky = 0, kx = 0, channel = 0;
  bool operator==(const WeightRow&) const = default;
};

// Consecutive output coordinates at which the same rows of the tile meet real input.
struct PixelRun {
  std::int64_t begin = 0, count = 0;
  std::vector<bool> active;  // per row of the tile
  bool any() const;
  bool operator==(const PixelRun&) const = default;
};

// `ky` and `channel` of the rows are relative to the origin of the tile, and `vertical` starts at
// its first output row, so that tiles at different places share their code.
struct WeightsTile {
  std::int64_t blocks = 1;  // of output channels, side by side
  bool half = false;        // the last of them has at most 8 channels
  bool stream = false;      // the planes of an image exceed the first-level cache: prefetch
  std::vector<WeightRow> rows;
  std::vector<PixelRun> vertical;
  bool operator==(const WeightsTile&) const = default;
};

// Addresses are integers because they may lie before the buffer where padding comes first.
struct WeightsTileArgs {
  std::int64_t input = 0;     // first image: input row and column of tap (0, 0) at output (0, 0)
  std::int64_t gradient = 0;  // first image: output (0, 0) of the first block of channels
  std::int64_t result = 0;    // weight (ky 0, kx 0, channel 0) of the tile
  std::int64_t images = 0;    // > 0
  std::int64_t store = 0;     // the first image's value: 1 stores it, 0 adds it to the result
};

// Rows that fit the registers with `blocks` blocks of output channels side by side.
std::int64_t weights_tile_rows(const ir::ConvSpec& spec, const ir::Isa& isa, std::int64_t blocks);

// The output coordinates of a forward axis in runs.
std::vector<PixelRun> runs_of(const ConvAxis& axis, const std::vector<std::int64_t>& taps);

// For each image, each weight of the tile is one FMA chain from zero over the output pixels in row
// order, padding left out; then the result is stored or added to.
Routine compile_weights_tile(const ir::ConvSpec& spec, const WeightsTile& tile, const ir::Isa& isa,
                             const std::string& name);

}  // namespace taper::codegen
