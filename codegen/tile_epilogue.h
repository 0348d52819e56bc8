// The end of a register tile: accumulators through the epilogue expression into the result.
#pragma once

#include <cstddef>
#include <vector>

#include "codegen/masm.h"
#include "codegen/tile.h"

namespace taper::codegen {

// A vector of columns of a tile.
struct TileVector {
  std::int64_t b = 0, c = 0;  // bytes from the tile's b and c
  std::int64_t column = 0;
  int lanes = 0;      // lanes that may be stored to
  bool half = false;  // the columns end in its first half
};
std::vector<TileVector> tile_vectors(const TileShape& shape, const ir::Isa& isa);

// Where a TileCall has the pointer of operand `i` of the epilogue.
inline std::int64_t operand_pointer(std::size_t i) {
  return static_cast<std::int64_t>(offsetof(TileCall, operands) + i * sizeof(std::intptr_t));
}

// Emits the epilogue; `accumulators` (row-major, one per row and vector) are given back to the
// pool.
void emit_tile_epilogue(Masm& m, const TileShape& shape, const std::vector<TileVector>& vectors,
                        const ir::Epilogue& epilogue, std::vector<Vec> accumulators);

}  // namespace taper::codegen
