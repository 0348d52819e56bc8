// How Winograd's tiles cover the images of a convolution.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "codegen/sizes.h"
#include "codegen/winograd_lines.h"
#include "codegen/winograd_transform.h"
#include "ir/kernel.h"

namespace taper::codegen {

// Tiles in a row (column) of which the same part lies inside the source and inside the result.
struct TileRun {
  std::int64_t first = 0, count = 0;
  Extent source, result;
  int results = 4;  // along a side; fewer than a whole tile's in a ragged one, which is the last
};

// Rows of tiles, counted through all images.
struct TileGroup {
  std::int64_t first = 0, count = 0;
};

struct Range {
  std::int64_t begin = 0, end = 0;
  std::int64_t count() const { return end - begin; }
};

// Where a row of a group is, and the numbers of its first tile and of its ragged one.
struct RowPlace {
  std::int64_t image = 0, y = 0, tile = 0, ragged_tile = 0;
};

// Where in a group the tiles of a run are: the first of them in its image and, of all tiles of the
// group, by its number.
struct RunPlace {
  std::int64_t image = 0, y = 0, x = 0, tile = 0;
};

// The images on one side of a convolution, c16.
struct WinogradImages {
  std::int64_t channels = 0, height = 0, width = 0;
  std::int64_t pad_top = 0, pad_left = 0;      // of the first tile
  Extent TileRun::*inside = &TileRun::source;  // the part of a tile that lies in them

  std::int64_t blocks() const { return ir::blocks_of(channels); }
  std::int64_t row_bytes() const { return width * kPixel; }
};

// Forward and backward data as one form: results of 3x3 taps of a source.
struct WinogradWalk {
  WinogradImages source, result;
  int tile = 0;  // results along a side of a tile
  std::int64_t tiles_y = 0, tiles_x = 0;
  std::vector<TileRun> rows, columns;
  std::vector<std::size_t> row_run;  // of each row of tiles

  bool has_ragged_rows() const { return rows.back().results < tile; }
  bool has_ragged_columns() const { return columns.back().results < tile; }
  bool is_ragged() const { return has_ragged_rows() || has_ragged_columns(); }
  std::int64_t whole_columns() const { return tiles_x - (has_ragged_columns() ? 1 : 0); }
  std::int64_t ragged_rows(const TileGroup& group) const;
  RowPlace place_of(const TileGroup& group, std::int64_t row) const;
  // The tiles that have this point. Tiles of a group are numbered so that these follow one another:
  // whole columns of ragged rows, of whole rows, ragged columns of whole rows, of ragged rows.
  Range tiles_with(const TileGroup& group, std::int64_t point) const;
  int patch() const { return ir::winograd_patch(tile); }
  int points() const { return ir::winograd_points(tile); }
  // Byte offset of pixel (0, 0) of the first tile, which may lie outside.
  std::int64_t pixel_at(const WinogradImages& images, const RunPlace& place,
                        std::int64_t block) const;

  // Transforms of tiles of such images with these extents; the rest as TransformShape says.
  TransformShape shape_of(const WinogradImages& images, const TileRun& row, const TileRun& column,
                          std::int64_t point, std::int64_t step, int only_row = -1) const {
    const Extent rows = row.*images.inside, columns = column.*images.inside;
    const std::int64_t bytes = images.row_bytes();
    return {tile, row.results, column.results, rows, columns, bytes, point, step, only_row};
  }

  // Calls the routines (by run of rows, then of columns) for `blocks` of each run of a group, but
  // for rows that there are none for; where image and points of a block are, set(args, place,
  // block) says.
  template <class Set>
  void transform(const TileGroup& group, std::int64_t blocks, std::span<const Routine> routines,
                 void* scratch, const Set& set) const {
    TransformArgs args;
    args.scratch = scratch;
    for (std::int64_t r = 0; r < group.count; ++r) {
      const RowPlace row = place_of(group, r);
      const std::size_t variant = row_run[static_cast<std::size_t>(row.y)] * columns.size();
      if (variant >= routines.size()) continue;
      for (std::size_t c = 0; c < columns.size(); ++c) {
        const bool ragged = columns[c].results < tile;
        const std::int64_t first = ragged ? row.ragged_tile : row.tile + columns[c].first;
        const RunPlace place{row.image, row.y, columns[c].first, first};
        args.count = columns[c].count;
        for (std::int64_t block = 0; block < blocks; ++block) {
          set(args, place, block);
          routines[variant + c](&args);
        }
      }
    }
  }
};

// Backward weights: as forward.
WinogradWalk winograd_walk(const ir::ConvSpec& spec);

// The pixels of some blocks of channels of all images.
struct PixelRows {
  const void* data = nullptr;
  std::int64_t blocks = 0;            // of an image
  std::int64_t first = 0, count = 0;  // which of them
  std::int64_t height = 0, row_bytes = 0;
};
inline PixelRows all_pixels(const WinogradImages& images, const void* data) {
  return {data, images.blocks(), 0, images.blocks(), images.height, images.row_bytes()};
}
// Work that is done in `count` pieces, of which this is the one with number `at`.
struct Turn {
  std::int64_t at = 0, count = 1;
};

// Asks the second-level cache for a turn's share of the pixels of a group, so that the memory has
// answered when the last turn is over.
void ask_ahead(const PixelRows& pixels, const WinogradWalk& walk, const TileGroup& group,
               Turn turn);

// A step of `bytes` or a little more, that does not send the points to the same sets of a cache.
std::int64_t point_step(std::int64_t bytes);

}  // namespace taper::codegen
