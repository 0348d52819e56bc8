// The transforms of Winograd's convolution F(4x4, 3x3) (Lavin and Gray, 2016), for 16 channels at a
// time. An input tile d of 6x6 pixels becomes B^T d B, a filter g of 3x3 becomes G g G^T, and the
// 36 sums m of their products become the 4x4 results A^T m A; tiles step by four pixels. For the
// gradient of the filters, the gradient y of a tile of results becomes A y A^T, and the sums u of
// products with the transformed inputs become G^T u G. F(2x2, 3x3), forward only, takes 4x4 pixels
// to 16 points. Where an image ends inside a tile of F(4x4, 3x3), that tile is a ragged one: it has
// fewer results along that side, and fewer points.
//
// Every transform is two one-dimensional ones, along columns and then along rows, the same
// operations in the same order on every ISA.
#pragma once

#include <cstddef>
#include <cstdint>

#include "codegen/element_epilogue.h"
#include "codegen/kernel.h"
#include "ir/kernel.h"

namespace taper::codegen {

// Bytes of a routine's own: a vector for each point of the largest tile.
inline constexpr std::size_t kWinogradScratch = std::size_t{64} * ir::winograd_points(4);

// Rows or columns [first, end) of a tile are inside the image; the others are zero, or not stored.
struct Extent {
  int first = 0, end = 0;
  auto operator<=>(const Extent&) const = default;
};

// A run of tiles side by side with the same extents. Strides are in bytes. `point` is the step from
// one of the points to the next one, `tile` that from one tile to the next one, on the side of the
// transformed values.
struct TransformShape {
  int tile_results = 4;                            // along a side of a whole tile
  int down = tile_results, across = tile_results;  // results of these tiles
  Extent rows{}, columns{};
  std::int64_t image_row = 0;
  std::int64_t point = 0, tile = 0;
  int only_row = -1;  // of inputs and gradients: the points of this row only
};

struct TransformArgs {
  std::intptr_t image = 0;   // pixel (0, 0) of the first tile, which may lie outside the image
  std::intptr_t points = 0;  // point (0, 0) of the first tile
  std::int64_t count = 0;    // tiles, > 0
  void* scratch = nullptr;   // kWinogradScratch bytes
  OperandPointers operands{};
};

Routine emit_winograd_input(const TransformShape& shape, const ir::Isa& isa);
Routine emit_winograd_gradient(const TransformShape& shape, const ir::Isa& isa);
// Stores the rows and columns of the extents, through the epilogue.
Routine emit_winograd_output(const TransformShape& shape, const ir::Epilogue& epilogue,
                             const ir::Isa& isa);

// Filters: `image` walks 3x3 taps of 16 channels each, `points` their points; a count of filters.
// flipped: the taps in the opposite order.
Routine emit_winograd_filter(int results, std::int64_t point, bool flipped, const ir::Isa& isa);
// The points are sums of so many that lie `bytes` apart.
struct WinogradSums {
  std::int64_t count = 1, bytes = 0;
};
Routine emit_winograd_filter_gradient(std::int64_t point, const WinogradSums& sums,
                                      const ir::Isa& isa);

}  // namespace taper::codegen
