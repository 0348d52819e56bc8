#include "codegen/gemm_pack.h"
#include "codegen/sizes.h"

#include <cstring>

namespace taper::codegen {
namespace {

using ir::kBatch;
using ir::kBlock;
constexpr std::int64_t kConflict = 4096 / kF32;  // rows this far apart share the sets of a cache
// A copy has to pay for itself: fewest rows for b, fewest columns for a.
constexpr std::int64_t kFewestRows = 64, kFewestColumns = 96;
constexpr std::int64_t kLine = 16;

}  // namespace

GemmPacking::GemmPacking(const ir::GemmSpec& spec) {
  rows = spec.a_k == 1 && spec.k != kBatch && spec.k > 0 && spec.a_m % kConflict == 0 &&
         spec.n >= kFewestColumns;
  const bool across = spec.m != kBatch && spec.a_m == 1 && spec.a_k >= kBlock;
  piece = across && (spec.n >= kFewestColumns || spec.a_k % kConflict == 0);
  b = spec.m != kBatch && spec.m >= kFewestRows && spec.b_k != kBlock;
}

std::int64_t packed_piece_pitch(std::int64_t rows) {
  return rows <= kLine / 2 ? kLine / 2 : kLine;
}

std::int64_t packed_row_pitch(const ir::GemmSpec& spec) {
  const std::int64_t padded = (spec.k + kLine - 1) / kLine * kLine;
  return padded % kConflict == 0 ? padded + kLine : padded;
}

void pack_rows(const ir::GemmSpec& spec, const float* a, std::int64_t begin, std::int64_t end,
               float* to) {
  const std::int64_t pitch = packed_row_pitch(spec);
  for (std::int64_t row = begin; row < end; ++row) {
    std::memcpy(to + (row - begin) * pitch, a + row * spec.a_m,
                static_cast<std::size_t>(spec.k * kF32));
  }
}

// Whole steps are copied: what follows the piece is readable, and no row of the tile reads it.
void pack_piece(const ir::GemmSpec& spec, const float* a, std::int64_t row, std::int64_t k,
                std::int64_t pitch, float* to) {
  for (std::int64_t i = 0; i < k; ++i) {
    const float* from = a + i * spec.a_k + row;
    if (pitch == kLine) {
      std::memcpy(to + i * kLine, from, kLine * kF32);
    } else {
      std::memcpy(to + i * kLine / 2, from, kLine / 2 * kF32);
    }
  }
}

void pack_panel(const ir::GemmSpec& spec, const float* b, std::int64_t block, std::int64_t blocks,
                std::int64_t k, float* to) {
  for (std::int64_t i = 0; i < k; ++i) {
    for (std::int64_t j = 0; j < blocks; ++j) {
      std::memcpy(to, b + i * spec.b_k + (block + j) * spec.b_block, kLine * kF32);
      to += kLine;
    }
  }
}

}  // namespace taper::codegen
