// The register tile of every contraction: `rows` rows (pixels) by `blocks` 16-wide column blocks of
// the result stay in registers while the reduction is walked once.
//
// Order of the reduction, the same on every ISA and for every tiling: entries in table order, taps
// in order, then the steps of an entry. For convolution: block of 16 channels > kh > kw > channel.
// Every element is one chain of FMAs that starts at zero; taps without a row are left out.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "codegen/element_epilogue.h"
#include "codegen/sizes.h"

namespace taper::codegen {

// A tap of an entry: byte offsets from the entry's a (row 0) and b, and the rows that have it.
struct TileTap {
  std::int64_t a = 0, b = 0;
  int first_row = 0, end_row = 0;
  auto operator<=>(const TileTap&) const = default;
};

// Where an entry's operands are, in bytes from TileCall::a and TileCall::b, and those of the entry
// whose cache lines are asked for meanwhile: one inside the operands, since asking for a page that
// is not there costs more than a multiplication of the whole tile.
struct TileEntry {
  std::int64_t a = 0, b = 0;
  std::int64_t a_ahead = a, b_ahead = b;
  auto operator<=>(const TileEntry&) const = default;
};

inline void ask_ahead(TileEntry& entry, const TileEntry& later) {
  entry.a_ahead = later.a;
  entry.b_ahead = later.b;
}

// What a routine is generated from. Strides are in bytes.
struct TileShape {
  int rows = 1, blocks = 1;
  int last_columns = 16;     // real columns of the last block
  bool integers = false;     // see ir::GemmSpec: a step adds four products
  int result_size = 4;       // bytes of a result element
  bool whole_blocks = true;  // columns beyond them may be stored to
  std::int64_t a_row = 0, a_step = 0;
  std::int64_t b_block = 0, b_step = 0;
  std::int64_t c_row = 0, c_block = 0;
  std::vector<TileTap> taps;
  // Steps of an entry, and of the entries of the second table.
  int steps = 16, tail_steps = 0;
  bool rows_ahead = false;    // ask for the rows at TileEntry::a_ahead
  bool b_ahead = true;        // ask for what is b at TileEntry::b_ahead, or a few steps later
  bool result_ahead = false;  // ask first for the lines of the result, and of operands like it
  bool accumulate = false;    // goes on with the sums that the result holds; whole blocks only
  // No tables: operands advance by their steps, `count` times `steps`, then `tail_count` steps.
  bool uniform = false;
  auto operator<=>(const TileShape&) const = default;
};

// What a routine is called with.
struct TileCall {
  std::intptr_t a = 0, b = 0, c = 0;
  const TileEntry* entries = nullptr;
  std::int64_t count = 0;
  const TileEntry* tail_entries = nullptr;
  std::int64_t tail_count = 0;
  // So many tiles below one another: counted down while a, c and operands like the result advance.
  std::int64_t tiles = 1;
  void* scratch = nullptr;  // kTileScratch bytes
  // Of the epilogue, at the tile's first element. Set by bind_operands alone: clearing them whole
  // would cost every small tile.
  OperandPointers operands;
  // Of the moments: the sums of the tile's first column, and that column at the image's first
  // pixel.
  MomentPointers moments;
  std::intptr_t first = 0;
};
inline constexpr std::size_t kTileScratch = 4096;

// The routines of a kernel, one per distinct shape.
class TileSet {
 public:
  // Throws taper::Error when the epilogue is not one this generator can emit.
  TileSet(const ir::Isa& isa, const ir::Epilogue& epilogue, std::string name);
  std::size_t add(const TileShape& shape);
  void run(std::size_t index, const TileCall& call) const { routines_[index](&call); }
  std::vector<const Routine*> routines() const;
  // Sets call.operands for the tile whose first element is `c_offset` elements into the result and
  // in column `channel`. `buffers`: one per epilogue operand.
  void bind_operands(TileCall& call, void* const* buffers, std::int64_t c_offset,
                     std::int64_t channel) const {
    set_operand_pointers(call.operands, epilogue_, buffers, c_offset, channel);
  }

 private:
  const ir::Isa& isa_;
  ir::Epilogue epilogue_;
  std::string name_;
  std::map<TileShape, std::size_t> index_;
  std::vector<Routine> routines_;
};

// How large the register tiles of a kernel may get: rows, and accumulators in all. Large tiles load
// least for each product; small ones do not hold one another up at their ends (see ir::Isa).
struct TileLimits {
  int rows = 1, vectors = 1;
};
constexpr TileLimits large_tiles(const ir::Isa& isa) {
  return {isa.tile_rows, isa.vector_registers};
}
constexpr TileLimits small_tiles(const ir::Isa& isa) {
  return {isa.small_tile_rows, isa.small_tile_vectors};
}
// Small ones for sums of few steps.
constexpr TileLimits tiles_of(const ir::Isa& isa, std::int64_t steps) {
  constexpr std::int64_t kManySteps = 256;
  return steps < kManySteps ? small_tiles(isa) : large_tiles(isa);
}
// Most column blocks beside `rows` rows that fit the limits and the registers of `isa`.
int max_tile_blocks(const ir::Isa& isa, TileLimits limits, int rows);

// Register tiles over a number of rows that only the run knows have 1, 2, 4, ... rows or one of the
// largest numbers, up to `most`, which make up a large total: what a small one loses does not pay
// for the code of all others.
bool has_tile_of(std::int64_t rows, std::int64_t most);
// Rows of the first piece of `rows`: as even as there are tiles for, larger ones first. `is_there`
// says which there are, of 1 and `most` rows among them; has_tile_of, if it is not given.
template <class IsThere>
std::int64_t next_piece(std::int64_t rows, std::int64_t most, const IsThere& is_there) {
  std::int64_t size = divide_up(rows, divide_up(rows, most));
  while (size < rows && !is_there(size)) ++size;
  while (!is_there(size)) --size;
  return size;
}
std::int64_t next_piece(std::int64_t rows, std::int64_t most);

// [0, total) in as few pieces of at most `most` as possible, their sizes differing by at most one,
// larger ones first.
struct Piece {
  std::int64_t first = 0, size = 0;
};
std::vector<Piece> split_evenly(std::int64_t total, std::int64_t most);

}  // namespace taper::codegen
