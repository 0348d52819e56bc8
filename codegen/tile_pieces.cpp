// How rows and blocks are shared out among register tiles.
#include <bit>

#include "codegen/tile.h"

namespace taper::codegen {
namespace {

constexpr int kLargeTiles = 3;

}  // namespace

bool has_tile_of(std::int64_t rows, std::int64_t most) {
  return rows + kLargeTiles > most || std::has_single_bit(static_cast<std::uint64_t>(rows));
}

std::int64_t next_piece(std::int64_t rows, std::int64_t most) {
  return next_piece(
      rows, most, [&](std::int64_t size) { return has_tile_of(size, most); });
}

std::vector<Piece> split_evenly(std::int64_t total, std::int64_t most) {
  std::vector<Piece> pieces;
  const std::int64_t count = divide_up(total, most);
  std::int64_t first = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t size = total / count + (i < total % count ? 1 : 0);
    pieces.push_back({first, size});
    first += size;
  }
  return pieces;
}

}  // namespace taper::codegen
