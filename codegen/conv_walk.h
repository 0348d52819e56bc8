// Which source pixels and taps make up each result pixel of a convolution; those of forward and
// backward data reduced to one form: a result of [blocks][rows][columns][16], whose rows list the
// valid kh and whose columns fall into runs that share their taps.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "codegen/tile.h"
#include "ir/kernel.h"

namespace taper::codegen {

// Rows or columns. The gradient of weights reads as the forward pass does.
struct ConvAxis {
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

ConvAxis conv_rows(const ir::ConvSpec& spec);
ConvAxis conv_columns(const ir::ConvSpec& spec);

struct ConvTap {
  std::int64_t k = 0, source = 0;
  auto operator<=>(const ConvTap&) const = default;
};

// A run of result columns first, first + step, ...: pixel j reads source column
// tap.source + j * source_step for each tap kw that falls inside the source.
struct ConvColumns {
  std::int64_t first = 0, step = 1, count = 0;
  std::int64_t source_step = 1;
  std::vector<ConvTap> taps;  // in increasing kw
};

// A result row: its table of entries (block of 16 channels > kh), relative to a source row.
struct ConvRow {
  std::size_t table = 0;
  std::int64_t source_row = 0;
};
struct ConvTable {
  std::vector<TileEntry> whole;  // of block_channels
  std::vector<TileEntry> tail;   // of the last channels % block_channels
};

struct ConvWalk {
  // Source. Of integers, a channel is a group of four, and a block four of these.
  std::int64_t channels = 0, height = 0, width = 0, block_channels = 16;
  std::int64_t pixel = 0, row = 0, channel = 0, block = 0, image = 0;  // strides in bytes
  std::int64_t result_channels = 0, result_height = 0, result_width = 0;
  std::int64_t result_pixel = 0;                   // bytes
  std::int64_t weight_step = 0, weight_block = 0;  // bytes per channel, per result block
  std::vector<ConvColumns> columns;
  std::vector<ConvRow> rows;  // result_height of them
  std::vector<ConvTable> tables;
};

// A pointwise convolution that reads every pixel sees an image as one long row; others stay.
ir::ConvSpec flattened(ir::ConvSpec spec);

ConvWalk conv_walk(const ir::ConvSpec& spec);

}  // namespace taper::codegen
