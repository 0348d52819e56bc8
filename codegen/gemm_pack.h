// Copies of GEMM operands with cache-friendly strides, made in scratch memory. They move values
// and never change them: the bits of a result do not depend on packing.
#pragma once

#include <cstdint>

#include "codegen/kernel.h"
#include "ir/kernel.h"

namespace taper::codegen {

// Which operands of a GEMM are worth a copy.
struct GemmPacking {
  // All rows of a, when their pitch would map them to the same cache sets.
  bool rows = false;
  // a of one row piece as [k][8 or 16], when a is read across its rows; made anew for each piece.
  bool piece = false;
  // All of b, panel by panel, each as [k][columns of the panel].
  bool b = false;

  explicit GemmPacking(const ir::GemmSpec& spec);
};

// Elements between packed rows.
std::int64_t packed_row_pitch(const ir::GemmSpec& spec);
// Elements between the packed steps of pieces of at most `rows` (<= 16) rows.
std::int64_t packed_piece_pitch(std::int64_t rows);

void pack_rows(const ir::GemmSpec& spec, const float* a, std::int64_t begin, std::int64_t end,
               float* to);
void pack_piece(const ir::GemmSpec& spec, const float* a, std::int64_t row, std::int64_t k,
                std::int64_t pitch, float* to);
// One panel of `blocks` blocks.
void pack_panel(const ir::GemmSpec& spec, const float* b, std::int64_t block, std::int64_t blocks,
                std::int64_t k, float* to);

}  // namespace taper::codegen
