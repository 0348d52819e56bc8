// Direct convolution, forward and backward data: pieces of result rows by panels of channel blocks.
#include <algorithm>
#include <memory>

#include "codegen/conv_walk.h"
#include "codegen/sizes.h"
#include "codegen/tile.h"
#include "ir/ahead.h"

namespace taper::codegen {
namespace {

using ir::kBatch;
// Larger weights are walked in groups of panels that stay in the second-level cache, and for each
// group as many images as stay in the third.
constexpr std::int64_t kLargeWeights = std::int64_t{512} * 1024;
constexpr std::int64_t kCachedImages = std::int64_t{2} * 1024 * 1024;
// Panels that stay in the first-level cache need not be asked for.
constexpr std::int64_t kSmallPanel = std::int64_t{20} * 1024;

struct ConvTile {
  std::int64_t block = 0;  // first block of result channels
  std::size_t routine = 0;
};
// Result pixels of a row that one tile computes; offsets in bytes from the row's first pixel.
struct RowPiece {
  std::int64_t source = 0, result = 0;
  std::int64_t pixels = 0;
  std::vector<std::vector<ConvTile>> groups;
};

// The rows of a tile for which `tap` lies inside a source row of `width` pixels.
TileTap tile_tap(const ConvColumns& columns, const ConvTap& tap, const Piece& piece,
                 std::int64_t width) {
  const std::int64_t step = columns.source_step;
  const std::int64_t column = tap.source + piece.first * step;
  const std::int64_t first = column >= 0 ? 0 : divide_up(-column, step);
  const std::int64_t end = column >= width ? 0 : (width - 1 - column) / step + 1;
  TileTap result;
  result.b = tap.k * kPixel;
  result.first_row = static_cast<int>(std::min(first, piece.size));
  result.end_row = static_cast<int>(std::min(end, piece.size));
  return result;
}

// Half a block alone would wait for its rows.
bool is_block_and_half(std::int64_t channels) {
  return channels > ir::kBlock && channels <= ir::kBlock * 3 / 2;
}

class ConvKernel final : public Kernel {
 public:
  ConvKernel(const ir::ConvSpec& spec, const ir::Isa& isa)
      : images_(spec.images),
        integers_(spec.integers),
        pointwise_(spec.kh == 1 && spec.kw == 1 && spec.stride[0] == 1 && spec.stride[1] == 1 &&
                   spec.input == ir::Layout::c16),
        streamed_(spec.epilogue.streamed),
        operands_(spec.epilogue.operands.size()),
        walk_(conv_walk(spec)),
        moments_(spec.epilogue, 3 + operands_, walk_.result_channels,
                 walk_.result_height * walk_.result_width),
        limits_(spec.integers || is_block_and_half(walk_.result_channels)
                    ? large_tiles(isa)
                    : tiles_of(isa, walk_.channels * spec.kh * spec.kw)),
        tiles_(isa, spec.epilogue, spec.pass == ir::ConvPass::forward ? "conv" : "conv_data") {
    const std::int64_t weights = blocks() * walk_.weight_block;
    for (const ConvColumns& columns : walk_.columns)
      for (const Piece& piece : split_evenly(columns.count, limits_.rows))
        add_piece(isa, columns, piece, weights > kLargeWeights);
  }

  std::int64_t units(std::int64_t batch) const override {
    return images_ == kBatch ? batch : groups() * images_ * walk_.result_height * parts();
  }
  Partition partition() const override {
    return images_ == kBatch ? Partition::images : Partition::units;
  }
  std::size_t scratch_bytes(std::int64_t) const override { return kTileScratch; }
  std::vector<const Routine*> routines() const override { return tiles_.routines(); }

  void run(const Call& call) const override {
    if (images_ != kBatch) return run_units(call);
    const std::int64_t end = call.end * walk_.result_height;
    const std::int64_t images =
        std::max<std::int64_t>(1, kCachedImages / std::max<std::int64_t>(1, walk_.image));
    const std::int64_t step = groups() > 1 ? images * walk_.result_height : end;
    for (std::int64_t first = call.begin * walk_.result_height; first < end; first += step)
      for (std::int64_t group = 0; group < groups(); ++group)
        for (std::int64_t row = first; row < std::min(end, first + step); ++row)
          run_row(call, row, group, all_pieces());
    if (streamed_) fence_streamed();
  }

 private:
  std::int64_t groups() const {
    return pieces_.empty() ? 0 : static_cast<std::int64_t>(pieces_.front().groups.size());
  }
  Piece all_pieces() const { return {0, std::ssize(pieces_)}; }
  // A unit of a few images is a row, or a piece of one long row. Of large weights a thread reads a
  // part.
  std::int64_t parts() const { return walk_.result_height > 1 ? 1 : std::ssize(pieces_); }
  void run_units(const Call& call) const {
    const std::int64_t rows = images_ * walk_.result_height, count = parts();
    for (std::int64_t unit = call.begin; unit < call.end; ++unit) {
      const auto [at, part] = divide(unit, count);
      run_row(call, at % rows, at / rows, count == 1 ? all_pieces() : Piece{part, 1});
    }
  }

  std::int64_t blocks() const { return blocks_of(walk_.result_channels); }
  // Those of a group of panels, in whole blocks.
  Piece group_channels(std::int64_t group) const {
    const auto first = [&](std::int64_t g) {
      return g == groups() ? blocks()
                           : pieces_.front().groups[static_cast<std::size_t>(g)].front().block;
    };
    return {first(group) * ir::kBlock, (first(group + 1) - first(group)) * ir::kBlock};
  }

  void add_piece(const ir::Isa& isa, const ConvColumns& columns, const Piece& piece, bool large) {
    TileShape shape;
    shape.rows = static_cast<int>(piece.size);
    shape.a_row = columns.source_step * walk_.pixel;
    shape.a_step = walk_.channel;
    shape.b_block = walk_.weight_block;
    shape.b_step = walk_.weight_step;
    shape.integers = integers_;
    shape.result_ahead = true;
    shape.result_size = static_cast<int>(walk_.result_pixel / ir::kBlock);
    shape.c_row = columns.step * walk_.result_pixel;
    shape.c_block = walk_.result_height * walk_.result_width * walk_.result_pixel;
    shape.steps = static_cast<int>(walk_.block_channels);
    shape.rows_ahead = walk_.channels > walk_.block_channels;
    shape.tail_steps = static_cast<int>(walk_.channels % walk_.block_channels);
    for (const ConvTap& tap : columns.taps) {
      TileTap t = tile_tap(columns, tap, piece, walk_.width);
      t.a = tap.source * walk_.pixel;
      if (t.first_row < t.end_row) shape.taps.push_back(t);
    }
    pieces_.push_back({piece.first * columns.source_step * walk_.pixel,
                       (columns.first + piece.first * columns.step) * walk_.result_pixel,
                       piece.size, panel_groups(isa, shape, large)});
  }

  // Panels of large weights hold the same blocks for all pieces, whatever their sizes.
  std::vector<std::vector<ConvTile>> panel_groups(const ir::Isa& isa, TileShape& shape,
                                                  bool large) {
    const int widest = max_tile_blocks(isa, limits_, large ? limits_.rows : shape.rows);
    const std::vector<Piece> panels = split_evenly(blocks(), widest);
    const auto count = static_cast<std::int64_t>(panels.size());
    const std::int64_t most = large ? kLargeWeights / (widest * walk_.weight_block) : count;
    std::vector<std::vector<ConvTile>> groups;
    for (const Piece& group : split_evenly(count, std::max<std::int64_t>(1, most))) {
      groups.emplace_back();
      for (std::int64_t i = group.first; i < group.first + group.size; ++i) {
        const Piece& p = panels[static_cast<std::size_t>(i)];
        const bool last = p.first + p.size == blocks();
        shape.blocks = static_cast<int>(p.size);
        shape.last_columns =
            last ? static_cast<int>(walk_.result_channels - (blocks() - 1) * ir::kBlock) : 16;
        shape.b_ahead = p.size * walk_.weight_block > kSmallPanel;
        groups.back().push_back({p.first, tiles_.add(shape)});
      }
    }
    return groups;
  }

  // A tile's share of the source of the next piece, so that its first tile need not wait for it.
  void ask_for_pixels(const std::byte* row, const RowPiece& next, std::int64_t tile,
                      std::int64_t tiles) const {
    const std::int64_t blocks = divide_up(walk_.channels, walk_.block_channels);
    for (std::int64_t b = blocks * tile / tiles; b < blocks * (tile + 1) / tiles; ++b)
      ir::ask_for_lines(row + next.source + b * walk_.block, next.pixels, walk_.pixel);
  }

  // Pieces of row `at`, counted through all images.
  void run_row(const Call& call, std::int64_t at, std::int64_t group, Piece pieces) const {
    const auto [image, row] = divide(at, walk_.result_height);
    const ConvRow& from = walk_.rows[static_cast<std::size_t>(row)];
    const ConvTable& table = walk_.tables[from.table];
    const std::int64_t source = image * walk_.image + from.source_row * walk_.row;
    const std::int64_t pixel = walk_.result_pixel;
    const std::int64_t plane = walk_.result_height * walk_.result_width * pixel;
    const std::int64_t c_row = image * blocks() * plane + row * walk_.result_width * pixel;
    TileCall tile;
    tile.entries = table.whole.data();
    tile.count = static_cast<std::int64_t>(table.whole.size());
    tile.tail_entries = table.tail.data();
    tile.tail_count = static_cast<std::int64_t>(table.tail.size());
    tile.scratch = call.scratch;
    const auto end = static_cast<std::size_t>(pieces.first + pieces.size);
    const Piece channels = group_channels(group);
    if (row == 0) moments_.start(call.buffers, image, channels.first, channels.size);
    for (auto i = static_cast<std::size_t>(pieces.first); i < end; ++i) {
      const RowPiece& piece = pieces_[i];
      const auto& tiles = piece.groups[static_cast<std::size_t>(group)];
      tile.a = address(call.buffers[0], source + piece.source);
      for (const ConvTile& t : tiles) {
        if (pointwise_ && group == 0 && i + 1 < pieces_.size())
          ask_for_pixels(static_cast<const std::byte*>(call.buffers[0]) + source, pieces_[i + 1],
                         &t - tiles.data(), std::ssize(tiles));
        const std::int64_t c_offset = c_row + piece.result + t.block * plane;
        tile.b = address(call.buffers[1], t.block * walk_.weight_block);
        tile.c = address(call.buffers[2 + operands_], c_offset);
        tiles_.bind_operands(tile, call.buffers + 2, c_offset * ir::kBlock / pixel,
                             t.block * ir::kBlock);
        tile.first = address(call.buffers[2 + operands_], (image * blocks() + t.block) * plane);
        moments_.set_pointers(tile.moments, call.buffers, image, t.block * ir::kBlock);
        tiles_.run(t.routine, tile);
      }
    }
    if (row + 1 == walk_.result_height)
      moments_.finish(call.buffers, image, channels.first, channels.size);
  }

  ir::Dim images_;
  bool integers_;
  bool pointwise_, streamed_;
  std::size_t operands_;
  ConvWalk walk_;
  ImageMoments moments_;
  TileLimits limits_;
  TileSet tiles_;
  std::vector<RowPiece> pieces_;
};

}  // namespace

std::shared_ptr<const Kernel> compile_conv(const ir::ConvSpec& spec, const ir::Isa& isa) {
  return std::make_shared<ConvKernel>(spec, isa);
}

}  // namespace taper::codegen
