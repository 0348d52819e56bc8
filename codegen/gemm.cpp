// Dense matrix products: row pieces by column panels of register tiles.
#include <algorithm>
#include <memory>

#include "codegen/gemm_pack.h"
#include "codegen/sizes.h"
#include "codegen/tile.h"

namespace taper::codegen {
namespace {

using ir::kBatch;
constexpr int kUnrolledSteps = 8;
// A larger b than this is walked panel by panel, each staying in the second-level cache.
constexpr std::int64_t kLargeOperand = 512 * 1024;

struct Panel {
  std::int64_t block = 0, blocks = 0;
  std::size_t routine = 0;
};
struct GemmTile {
  Piece rows;
  Panel panel;
};

std::int64_t divide_up(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

std::uintptr_t element(const void* base, std::int64_t elements) {
  return reinterpret_cast<std::uintptr_t>(base) + static_cast<std::uintptr_t>(elements * kF32);
}

// Where a call finds its operands, packed or not: row 0 of a, column 0 of b.
struct Operands {
  std::uintptr_t a = 0, b = 0;
  std::int64_t k = 0;
};

class GemmKernel final : public Kernel {
 public:
  GemmKernel(const ir::GemmSpec& spec, const ir::Isa& isa)
      : spec_(spec),
        result_size_(static_cast<std::int64_t>(ir::byte_size(spec.epilogue.result))),
        packing_(spec),
        tile_rows_(isa.tile_rows),
        tiles_(isa, spec.epilogue, "gemm") {
    a_row_ = packing_.piece ? 0 : packing_.rows ? packed_row_pitch(spec) : spec.a_m;
    panels_.resize(static_cast<std::size_t>(tile_rows_) + 1);
    if (spec.m == kBatch) {
      for (int rows = 1; rows <= tile_rows_; ++rows) add_panels(isa, rows, rows);
      return;
    }
    const std::vector<Piece> pieces = split_evenly(spec.m, tile_rows_);
    for (const Piece& p : pieces) {
      // The same panels for all pieces, so that b is packed once.
      add_panels(isa, static_cast<int>(p.size), static_cast<int>(pieces.front().size));
      for (const Panel& panel : panels(p.size)) units_.push_back({p, panel});
    }
  }

  std::int64_t units(std::int64_t batch) const override {
    return spec_.m == kBatch ? batch : static_cast<std::int64_t>(units_.size());
  }
  Partition partition() const override {
    return spec_.m == kBatch ? Partition::images : Partition::units;
  }
  std::size_t scratch_bytes(std::int64_t batch) const override {
    const std::int64_t k = reduction(batch);
    const std::int64_t rows = spec_.m == kBatch ? batch : spec_.m;
    std::int64_t elements = 0;
    if (packing_.rows) elements += rows * packed_row_pitch(spec_);
    if (packing_.piece) elements += k * packed_piece_pitch(tile_rows_);
    if (packing_.b) elements += divide_up(spec_.n, ir::kBlock) * ir::kBlock * k;
    return kTileScratch + static_cast<std::size_t>(elements * kF32);
  }
  std::vector<const Routine*> routines() const override { return tiles_.routines(); }

  void run(const Call& call) const override {
    if (call.begin >= call.end) return;
    if (spec_.m != kBatch) {
      run_units(call);
      return;
    }
    const Operands operands = prepare(call, call.begin, call.end);
    // At most two runs of pieces of one size.
    const std::int64_t rows = call.end - call.begin;
    const std::int64_t pieces = divide(rows + tile_rows_ - 1, tile_rows_).quotient;
    const auto [size, larger] = divide(rows, pieces);
    run_rows(call, operands, call.begin, size + 1, larger);
    run_rows(call, operands, call.begin + larger * (size + 1), size, pieces - larger);
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
    const std::int64_t blocks = divide_up(spec_.n, ir::kBlock);
    for (const Piece& p : split_evenly(blocks, max_tile_blocks(isa, widest))) {
      TileShape shape;
      shape.rows = rows;
      shape.blocks = static_cast<int>(p.size);
      if (p.first + p.size == blocks) {
        shape.last_columns = static_cast<int>(spec_.n - (blocks - 1) * ir::kBlock);
      }
      shape.whole_blocks = spec_.c_padded || shape.last_columns == ir::kBlock;
      shape.a_row = (packing_.piece ? 1 : a_row_) * kF32;
      shape.a_step = (packing_.piece ? packed_piece_pitch(tile_rows_) : spec_.a_k) * kF32;
      shape.b_block = (packing_.b ? ir::kBlock : spec_.b_block) * kF32;
      shape.b_step = (packing_.b ? p.size * ir::kBlock : spec_.b_k) * kF32;
      shape.integers = spec_.integers;
      shape.result_size = static_cast<int>(result_size_);
      shape.c_row = spec_.c_m * result_size_;
      shape.c_block = spec_.c_block * result_size_;
      shape.taps = {{0, 0, 0, rows}};
      shape.steps = kUnrolledSteps;
      shape.uniform = true;
      list.push_back({p.first, p.size, tiles_.add(shape)});
    }
  }

  // Packs what is to be packed for rows [begin, end).
  Operands prepare(const Call& call, std::int64_t begin, std::int64_t end) const {
    Operands result{element(call.buffers[0], 0), element(call.buffers[1], 0),
                    reduction(call.batch)};
    auto* free = reinterpret_cast<float*>(call.scratch + kTileScratch);
    if (packing_.rows) {
      pack_rows(spec_, static_cast<const float*>(call.buffers[0]), begin, end, free);
      result.a = element(free, -begin * a_row_);
      free += (end - begin) * a_row_;
    }
    if (packing_.piece) {
      result.a = element(free, 0);
      free += result.k * packed_piece_pitch(tile_rows_);
    }
    if (packing_.b) {
      result.b = element(free, 0);
      for (const Panel& p : panels(units_.front().rows.size)) {
        pack_panel(spec_, static_cast<const float*>(call.buffers[1]), p.block, p.blocks, result.k,
                   free + p.block * ir::kBlock * result.k);
      }
    }
    return result;
  }

  void run_units(const Call& call) const {
    const Piece first = units_[static_cast<std::size_t>(call.begin)].rows;
    const Piece last = units_[static_cast<std::size_t>(call.end - 1)].rows;
    const Operands operands = prepare(call, first.first, last.first + last.size);
    std::int64_t packed_row = -1;
    for (std::int64_t unit = call.begin; unit < call.end; ++unit) {
      const GemmTile& tile = units_[static_cast<std::size_t>(unit)];
      if (packing_.piece && tile.rows.first != packed_row) {
        packed_row = tile.rows.first;
        pack_piece(spec_, static_cast<const float*>(call.buffers[0]), packed_row, operands.k,
                   packed_piece_pitch(tile_rows_), reinterpret_cast<float*>(operands.a));
      }
      run_tile(call, operands, tile.rows.first, tile.panel);
    }
  }

  void run_rows(const Call& call, const Operands& operands, std::int64_t first, std::int64_t size,
                std::int64_t pieces) const {
    if (pieces == 0) return;
    const std::int64_t end = first + size * pieces;
    if (operands.k * spec_.n * kF32 > kLargeOperand) {
      for (const Panel& panel : panels(size)) {
        for (std::int64_t row = first; row < end; row += size) {
          run_tile(call, operands, row, panel);
        }
      }
    } else {
      for (std::int64_t row = first; row < end; row += size) {
        for (const Panel& panel : panels(size)) run_tile(call, operands, row, panel);
      }
    }
  }

  void run_tile(const Call& call, const Operands& operands, std::int64_t row,
                const Panel& panel) const {
    const std::int64_t c = row * spec_.c_m + panel.block * spec_.c_block;
    const std::int64_t b_block = packing_.b ? operands.k * ir::kBlock : spec_.b_block;
    TileCall tile;
    tile.a = operands.a + static_cast<std::uintptr_t>(row * a_row_ * kF32);
    tile.b = operands.b + static_cast<std::uintptr_t>(panel.block * b_block * kF32);
    tile.c = reinterpret_cast<std::uintptr_t>(call.buffers[2 + spec_.epilogue.operands.size()]) +
             static_cast<std::uintptr_t>(c * result_size_);
    tile.count = operands.k / kUnrolledSteps;
    tile.tail_count = operands.k % kUnrolledSteps;
    tile.scratch = call.scratch;
    tiles_.bind_operands(tile, call.buffers + 2, c, panel.block * ir::kBlock);
    tiles_.run(panel.routine, tile);
  }

  ir::GemmSpec spec_;
  std::int64_t result_size_;  // bytes of an element
  GemmPacking packing_;
  std::int64_t a_row_ = 0;  // elements from row to row of a, packed or not
  int tile_rows_;
  TileSet tiles_;
  std::vector<std::vector<Panel>> panels_;  // by rows of the tile
  std::vector<GemmTile> units_;
};

}  // namespace

std::shared_ptr<const Kernel> compile_gemm(const ir::GemmSpec& spec, const ir::Isa& isa) {
  return std::make_shared<GemmKernel>(spec, isa);
}

}  // namespace taper::codegen
