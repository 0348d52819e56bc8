// Copies of GEMM operands with cache-friendly strides, made in scratch memory. They move values
// and never change them: the bits of a result do not depend on packing.
#pragma once

#include <cstdint>
#include <vector>

#include "codegen/kernel.h"
#include "codegen/tile.h"
#include "ir/kernel.h"

namespace taper::codegen {

// Which operands of a GEMM are worth a copy.
struct GemmPacking {
  // The rows of a tile, when their pitch would map them to the same cache sets.
  bool rows = false;
  // a of a row piece as [k][8 or 16], when a is read across its rows.
  bool piece = false;
  // All of b, panel by panel, each as [k][columns of the panel].
  bool b = false;

  explicit GemmPacking(const ir::GemmSpec& spec);
};

// Elements between packed rows.
std::int64_t packed_row_pitch(const ir::GemmSpec& spec);
// Elements between the packed steps of pieces of at most `rows` (<= 16) rows.
std::int64_t packed_piece_pitch(std::int64_t rows);
// Elements of a packed piece of k steps; not a multiple of what shares the sets of a cache.
std::int64_t packed_piece_elements(std::int64_t k, std::int64_t pitch);

// Rows [begin, end).
void pack_rows(const ir::GemmSpec& spec, const float* a, std::int64_t begin, std::int64_t end,
               float* to);

// Copies steps of `blocks` runs of `width` floats (a multiple of the lanes), `block` elements
// apart, from a source with `step` elements between steps to a result without gaps.
struct StripShape {
  std::int64_t blocks = 1, width = ir::kBlock, block = ir::kBlock, step = 0;
};
struct StripCopy {
  Routine routine;
  StripCopy(const StripShape& shape, const ir::Isa& isa);
  void run(const float* from, float* to, std::int64_t steps) const;
};

// Pieces [begin, end) of a, one after the other.
void pack_pieces(const ir::GemmSpec& spec, const StripCopy& copy, const float* a,
                 const std::vector<Piece>& pieces, std::size_t begin, std::size_t end,
                 std::int64_t k, std::int64_t pitch, float* to);

}  // namespace taper::codegen
