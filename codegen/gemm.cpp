// Dense matrix products: row pieces by column panels of register tiles.
#include <algorithm>
#include <map>
#include <memory>
#include <vector>

#include "codegen/gemm_pack.h"
#include "codegen/sizes.h"
#include "codegen/tile.h"
#include "ir/ahead.h"

namespace taper::codegen {
namespace {

using ir::kBatch;
constexpr int kUnrolledSteps = 8;
// Panels of b that stay in the caches while all rows pass by: more of them come from the last-level
// cache, but the rows are packed and read less often.
constexpr std::int64_t kCachedPanels = std::int64_t{4} * 1024 * 1024;
// Rows that stay in the first-level cache while all panels pass by.
constexpr std::int64_t kFewRows = std::int64_t{16} * 1024;
// A result that comes from beyond the second-level cache.
constexpr std::int64_t kLargeResult = std::int64_t{1024} * 1024;

struct Panel {
  std::int64_t block = 0, blocks = 0;
  std::size_t routine = 0;
};
struct GemmTile {
  Piece rows;
  Panel panel;
};

std::intptr_t element(const void* base, std::int64_t elements) {
  return address(base, elements * kF32);
}

// Packed at a time, so that they stay in the second-level cache.
constexpr std::size_t kPackedPieces = 16;

// Where a call finds its operands, packed or not: row 0 of a (of a packed piece its first row),
// column 0 of b; and what is left of the scratch memory.
struct Operands {
  std::intptr_t a = 0, b = 0;
  std::int64_t k = 0;
  float* free = nullptr;
};

class GemmKernel final : public Kernel {
 public:
  GemmKernel(const ir::GemmSpec& spec, const ir::Isa& isa)
      : spec_(spec),
        result_size_(static_cast<std::int64_t>(ir::byte_size(spec.epilogue.result))),
        packing_(spec),
        limits_(spec.integers ? large_tiles(isa) : small_tiles(isa)),
        tiles_(isa, spec.epilogue, "gemm") {
    a_row_ = packing_.piece ? 0 : packing_.rows ? packed_row_pitch(spec) : spec.a_m;
    panels_.resize(static_cast<std::size_t>(limits_.rows) + 1);
    if (spec.m == kBatch) {
      for (int rows = 1; rows <= limits_.rows; ++rows)
        if (has_tile_of(rows, limits_.rows)) add_panels(isa, rows, rows);
      return;
    }
    pieces_ = split_evenly(spec.m, limits_.rows);
    for (const Piece& p : pieces_) {
      // The same panels for all pieces, so that b is packed once.
      add_panels(isa, static_cast<int>(p.size), static_cast<int>(pieces_.front().size));
      for (const Panel& panel : panels(p.size)) units_.push_back({p, panel});
    }
    add_copies(isa);
  }

  std::int64_t units(std::int64_t batch) const override {
    return spec_.m == kBatch ? batch : static_cast<std::int64_t>(units_.size());
  }
  Partition partition() const override {
    return spec_.m == kBatch ? Partition::images : Partition::units;
  }
  std::size_t scratch_bytes(std::int64_t batch) const override {
    const std::int64_t k = reduction(batch);
    std::int64_t elements = 0;
    if (packing_.rows) elements += limits_.rows * packed_row_pitch(spec_);
    if (packing_.piece) {
      elements += static_cast<std::int64_t>(kPackedPieces) *
                  packed_piece_elements(k, packed_piece_pitch(limits_.rows));
    }
    if (packing_.b) elements += blocks_of(spec_.n) * ir::kBlock * k;
    return kTileScratch + static_cast<std::size_t>(elements * kF32);
  }
  std::vector<const Routine*> routines() const override {
    std::vector<const Routine*> all = tiles_.routines();
    for (const StripCopy& copy : piece_copy_) all.push_back(&copy.routine);
    for (const auto& [blocks, copy] : panel_copies_) all.push_back(&copy.routine);
    return all;
  }

  void run(const Call& call) const override {
    if (call.begin >= call.end) return;
    if (spec_.m != kBatch) return run_units(call);
    if (spec_.n == 0) return;
    Operands operands = prepare(call);
    for (std::int64_t row = call.begin; row < call.end;) {
      const std::int64_t size = next_piece(call.end - row, limits_.rows);
      std::int64_t end = row + size;
      while (end < call.end && next_piece(call.end - end, limits_.rows) == size) end += size;
      run_rows(call, operands, row, end, size);
      row = end;
    }
  }

 private:
  std::int64_t reduction(std::int64_t batch) const { return spec_.k == kBatch ? batch : spec_.k; }

  const std::vector<Panel>& panels(std::int64_t rows) const {
    return panels_[static_cast<std::size_t>(rows)];
  }

  // Panels as wide as tiles of `widest` rows may be.
  void add_panels(const ir::Isa& isa, int rows, int widest) {
    std::vector<Panel>& list = panels_[static_cast<std::size_t>(rows)];
    if (!list.empty()) return;
    const std::int64_t blocks = blocks_of(spec_.n);
    for (const Piece& p : split_evenly(blocks, max_tile_blocks(isa, limits_, widest))) {
      TileShape shape;
      shape.rows = rows;
      shape.blocks = static_cast<int>(p.size);
      if (p.first + p.size == blocks)
        shape.last_columns = static_cast<int>(spec_.n - (blocks - 1) * ir::kBlock);
      shape.whole_blocks = spec_.c_padded || shape.last_columns == ir::kBlock;
      shape.a_row = (packing_.piece ? 1 : a_row_) * kF32;
      shape.a_step = (packing_.piece ? packed_piece_pitch(limits_.rows) : spec_.a_k) * kF32;
      shape.b_block = (packing_.b ? ir::kBlock : spec_.b_block) * kF32;
      shape.b_step = (packing_.b ? p.size * ir::kBlock : spec_.b_k) * kF32;
      shape.integers = spec_.integers;
      shape.result_ahead = spec_.m != kBatch && spec_.m * spec_.n * kF32 >= kLargeResult;
      shape.result_size = static_cast<int>(result_size_);
      shape.c_row = spec_.c_m * result_size_;
      shape.c_block = spec_.c_block * result_size_;
      shape.taps = {{0, 0, 0, rows}};
      shape.steps = kUnrolledSteps;
      shape.uniform = true;
      list.push_back({p.first, p.size, tiles_.add(shape)});
    }
  }

  void add_copies(const ir::Isa& isa) {
    if (packing_.piece) {
      const std::int64_t pitch = packed_piece_pitch(limits_.rows);
      piece_copy_.emplace_back(StripShape{1, pitch, pitch, spec_.a_k}, isa);
    }
    if (!packing_.b || pieces_.empty()) return;
    for (const Panel& p : panels(pieces_.front().size)) {
      const StripShape shape{p.blocks, ir::kBlock, spec_.b_block, spec_.b_k};
      if (!panel_copies_.contains(p.blocks)) panel_copies_.emplace(p.blocks, StripCopy(shape, isa));
    }
  }

  // Packs b, if it is to be packed.
  Operands prepare(const Call& call) const {
    Operands result{element(call.buffers[0], 0), element(call.buffers[1], 0), reduction(call.batch),
                    reinterpret_cast<float*>(call.scratch + kTileScratch)};
    if (!packing_.b) return result;
    result.b = element(result.free, 0);
    for (const Panel& p : panels(pieces_.front().size)) {
      panel_copies_.at(p.blocks).run(
          static_cast<const float*>(call.buffers[1]) + p.block * spec_.b_block,
          result.free + p.block * ir::kBlock * result.k, result.k);
    }
    result.free += blocks_of(spec_.n) * ir::kBlock * result.k;
    return result;
  }

  void pack_tile_rows(const Call& call, Operands& operands, std::int64_t row,
                      std::int64_t size) const {
    pack_rows(spec_, static_cast<const float*>(call.buffers[0]), row, row + size, operands.free);
    operands.a = element(operands.free, -row * a_row_);
  }

  void run_units(const Call& call) const {
    Operands operands = prepare(call);
    const auto per_piece = static_cast<std::int64_t>(panels(pieces_.front().size).size());
    const auto end_piece = static_cast<std::size_t>(divide_up(call.end, per_piece));
    const std::int64_t pitch = packed_piece_pitch(limits_.rows);
    const auto first_piece = static_cast<std::size_t>(divide(call.begin, per_piece).quotient);
    for (std::size_t piece = first_piece; piece < end_piece; ++piece) {
      const std::size_t packed = (piece - first_piece) % kPackedPieces;
      if (packing_.piece && packed == 0) {
        pack_pieces(spec_, piece_copy_.front(), static_cast<const float*>(call.buffers[0]), pieces_,
                    piece, std::min(piece + kPackedPieces, end_piece), operands.k, pitch,
                    operands.free);
      }
      if (packing_.piece) {
        operands.a = element(operands.free, static_cast<std::int64_t>(packed) *
                                                packed_piece_elements(operands.k, pitch));
      }
      const Piece& rows = pieces_[piece];
      if (packing_.rows) pack_tile_rows(call, operands, rows.first, rows.size);
      const auto first = static_cast<std::int64_t>(piece) * per_piece;
      const std::int64_t end = std::min(call.end, first + per_piece);
      for (std::int64_t unit = std::max(call.begin, first); unit < end; ++unit) {
        run_tiles(call, operands, rows.first, units_[static_cast<std::size_t>(unit)].panel, 1);
        ir::take_lines_over(call.written_later, unit - call.begin, call.end - call.begin);
      }
    }
  }

  // Rows [first, end) in pieces of `size`.
  void run_rows(const Call& call, Operands& operands, std::int64_t first, std::int64_t end,
                std::int64_t size) const {
    const std::vector<Panel>& all = panels(size);
    const std::int64_t bytes =
        std::max<std::int64_t>(1, operands.k * all.front().blocks * ir::kBlock * kF32);
    const auto most = static_cast<std::size_t>(std::max<std::int64_t>(1, kCachedPanels / bytes));
    const bool few = all.size() == 1 || (end - first) * operands.k * kF32 <= kFewRows;
    const std::int64_t tiles = few && !packing_.rows ? (end - first) / size : 1;
    for (std::size_t group = 0; group < all.size(); group += most) {
      const std::size_t group_end = std::min(all.size(), group + most);
      for (std::int64_t row = first; row < end; row += size * tiles) {
        if (packing_.rows) pack_tile_rows(call, operands, row, size);
        for (std::size_t i = group; i < group_end; ++i)
          run_tiles(call, operands, row, all[i], tiles);
      }
    }
  }

  // `tiles` of them, from row `row` down.
  void run_tiles(const Call& call, const Operands& operands, std::int64_t row, const Panel& panel,
                 std::int64_t tiles) const {
    const std::int64_t c = row * spec_.c_m + panel.block * spec_.c_block;
    const std::int64_t b_block = packing_.b ? operands.k * ir::kBlock : spec_.b_block;
    TileCall tile;
    tile.a = operands.a + row * a_row_ * kF32;
    tile.b = operands.b + panel.block * b_block * kF32;
    tile.c = address(call.buffers[2 + spec_.epilogue.operands.size()], c * result_size_);
    const auto [whole, rest] = divide(operands.k, kUnrolledSteps);
    tile.count = whole;
    tile.tail_count = rest;
    tile.tiles = tiles;
    tile.scratch = call.scratch;
    tiles_.bind_operands(tile, call.buffers + 2, c, panel.block * ir::kBlock);
    tiles_.run(panel.routine, tile);
  }

  ir::GemmSpec spec_;
  std::int64_t result_size_;  // bytes of an element
  GemmPacking packing_;
  std::int64_t a_row_ = 0;  // elements from row to row of a, packed or not
  TileLimits limits_;
  TileSet tiles_;
  std::vector<std::vector<Panel>> panels_;  // by rows of the tile
  std::vector<Piece> pieces_;               // of the rows, unless they are the batch
  std::vector<GemmTile> units_;
  std::vector<StripCopy> piece_copy_;               // one, if pieces are packed
  std::map<std::int64_t, StripCopy> panel_copies_;  // by blocks of the panel, if b is packed
};

}  // namespace

std::shared_ptr<const Kernel> compile_gemm(const ir::GemmSpec& spec, const ir::Isa& isa) {
  if (spec.dots) return compile_gemm_dots(spec, isa);
  return std::make_shared<GemmKernel>(spec, isa);
}

}  // namespace taper::codegen
