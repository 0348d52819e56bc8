// Winograd's convolution, forward and backward data. Every product is one FMA chain over the
// channels of the source, in increasing order; how tiles are grouped does not change it.
#include <algorithm>
#include <bit>
#include <memory>
#include <set>

#include "codegen/sizes.h"
#include "codegen/tile.h"
#include "codegen/winograd_walk.h"

namespace taper::codegen {
namespace {

// Tiles of a group: their transformed values should stay in the second-level cache, and each
// transformed filter that is read be used often. With small filters, a panel of result channels
// passes through all points and on to its results. Larger ones come from memory: they are used for
// more tiles, and all panels of a point while its source stays in the cache.
constexpr std::int64_t kGroupTiles = 28, kLargeGroupTiles = 70;
constexpr std::int64_t kLargeFilters = std::int64_t{4} << 20;

class WinogradKernel final : public Kernel {
 public:
  WinogradKernel(const ir::ConvSpec& spec, const ir::Isa& isa)
      : images_(spec.images),
        walk_(winograd_walk(spec)),
        points_(walk_.points()),
        epilogue_(spec.epilogue),
        products_(isa, {}, "winograd_product") {
    check_epilogue(epilogue_, "winograd", true);
    const std::int64_t filters = points_ * walk_.source.channels * walk_.result.channels * kF32;
    const bool large = filters > kLargeFilters;
    group_rows_ = rows_of_group(large ? kLargeGroupTiles : kGroupTiles);
    const std::int64_t tiles = group_rows_ * walk_.tiles_x;
    const TileLimits limits = tiles_of(isa, walk_.source.channels);
    rows_ = split_evenly(tiles, limits.rows).front().size;
    few_ = large || images_ != ir::kBatch || walk_.is_ragged();
    by_panels_ = large && images_ != ir::kBatch;
    if (few_) rows_ = limits.rows;
    capacity_ = divide_up(tiles, rows_) * rows_;
    panel_ = std::min<std::int64_t>(max_tile_blocks(isa, limits, static_cast<int>(rows_)),
                                    walk_.result.blocks());
    source_point_ = point_step(walk_.source.blocks() * capacity_ * kPixel);
    together_ = large ? walk_.result.blocks() : panel_;
    result_point_ = point_step(together_ * capacity_ * kPixel);
    add_products(tiles);
    add_transforms(isa);
  }

  std::int64_t units(std::int64_t batch) const override {
    if (by_panels_) return divide_up(walk_.result.blocks(), panel_);
    return images_ == ir::kBatch ? batch : images_ * walk_.tiles_y;
  }
  Partition partition() const override {
    return images_ == ir::kBatch ? Partition::images : Partition::units;
  }
  std::size_t scratch_bytes(std::int64_t) const override {
    return kWinogradScratch + kTileScratch +
           static_cast<std::size_t>(points_ * (source_point_ + result_point_));
  }

  std::vector<const Routine*> routines() const override {
    return with_routines({inputs_, outputs_}, products_.routines());
  }

  void run(const Call& call) const override {
    const auto [begin, end] = rows_of(call);
    const auto [first_block, end_block] = result_blocks_of(call);
    for (std::int64_t row = begin; row < end; row += group_rows_) {
      const TileGroup group{row, std::min(group_rows_, end - row)};
      const TileGroup next{row + group.count, std::min(group_rows_, end - row - group.count)};
      transform_inputs(call, group);
      for (std::int64_t block = first_block; block < end_block; block += together_) {
        const std::int64_t blocks = std::min(together_, end_block - block);
        for (std::int64_t point = 0; point < points_; ++point) {
          multiply(call, group, point, block, blocks);
          ask_for_next_inputs(call, next, block / together_ * points_ + point);
          ask_for_outputs(call, group, point, block, blocks);
        }
        transform_outputs(call, group, block, blocks);
      }
    }
  }

 private:
  // As many as fit; whole images where some rows have fewer points than others.
  std::int64_t rows_of_group(std::int64_t most) const {
    const std::int64_t image = walk_.tiles_x * walk_.tiles_y;
    if (images_ == ir::kBatch && walk_.is_ragged() && image <= most)
      return (most + image / 2) / image * walk_.tiles_y;
    return std::max<std::int64_t>(1, most / walk_.tiles_x);
  }

  // Rows of register tiles. Where pieces vary they are those that whole groups are cut into, of
  // points that all tiles have, or not those at the side, below, at both; and those that the last
  // group of a batch, or a thread's share of an image, can be cut into as well.
  std::set<std::int64_t> piece_sizes() const {
    std::set<std::int64_t> sizes{rows_};
    if (!few_) return sizes;
    for (std::int64_t rows = 1; rows < rows_; ++rows)
      if (images_ == ir::kBatch ? std::has_single_bit(static_cast<std::uint64_t>(rows))
                                : has_tile_of(rows, rows_))
        sizes.insert(rows);
    const std::int64_t most = images_ == ir::kBatch ? group_rows_ : images_ * walk_.tiles_y;
    for (std::int64_t at = 0; at < walk_.tiles_y; ++at) {
      const TileGroup group{at * group_rows_, std::min(group_rows_, most)};
      for (const int point :
           {0, walk_.tile, walk_.tile * walk_.patch(), walk_.tile * (walk_.patch() + 1)})
        for (const Piece& piece : split_evenly(walk_.tiles_with(group, point).count(), rows_))
          sizes.insert(piece.size);
    }
    return sizes;
  }

  void add_products(std::int64_t tiles) {
    const std::set<std::int64_t> sizes = piece_sizes();
    const auto is_there = [&](std::int64_t rows) { return sizes.contains(rows); };
    for (std::int64_t left = 1; left <= tiles; ++left)
      pieces_.push_back(few_ ? next_piece(left, rows_, is_there) : rows_);
    TileShape shape;
    shape.a_row = kPixel;
    shape.a_step = kF32;
    shape.b_step = kPixel;
    shape.b_block = points_ * walk_.source.channels * kPixel;
    shape.c_row = kPixel;
    shape.c_block = capacity_ * kPixel;
    shape.tail_steps = static_cast<int>(walk_.source.channels % ir::kBlock);
    for (std::int64_t block = 0; block < walk_.source.blocks(); ++block) {
      // The filter goes on with the next block, or with the next point.
      TileEntry entry{block * capacity_ * kPixel, block * ir::kBlock * kPixel};
      entry.b_ahead += ir::kBlock * kPixel;
      const bool whole = (block + 1) * ir::kBlock <= walk_.source.channels;
      (whole ? whole_ : tail_).push_back(entry);
    }
    panels_.resize(static_cast<std::size_t>(rows_) + 1);
    for (const std::int64_t rows : sizes) {
      shape.rows = static_cast<int>(rows);
      shape.taps = {{0, 0, 0, shape.rows}};
      for (const std::int64_t blocks : {panel_, walk_.result.blocks() % panel_}) {
        shape.blocks = static_cast<int>(blocks);
        if (blocks > 0) panels_[static_cast<std::size_t>(rows)].push_back(products_.add(shape));
      }
    }
  }

  void add_transforms(const ir::Isa& isa) {
    for (const TileRun& row : walk_.rows) {
      for (const TileRun& column : walk_.columns) {
        const TransformShape input =
            walk_.shape_of(walk_.source, row, column, source_point_, kPixel);
        const TransformShape output =
            walk_.shape_of(walk_.result, row, column, result_point_, kPixel);
        inputs_.push_back(emit_winograd_input(input, isa));
        outputs_.push_back(emit_winograd_output(output, epilogue_, isa));
      }
    }
  }

  Range rows_of(const Call& call) const {
    if (by_panels_) return {0, images_ * walk_.tiles_y};
    const std::int64_t rows = images_ == ir::kBatch ? walk_.tiles_y : 1;
    return {call.begin * rows, call.end * rows};
  }
  Range result_blocks_of(const Call& call) const {
    if (!by_panels_) return {0, walk_.result.blocks()};
    return {call.begin * panel_, std::min(call.end * panel_, walk_.result.blocks())};
  }

  std::intptr_t source_points(const Call& call) const {
    return address(call.scratch + kWinogradScratch + kTileScratch);
  }
  std::intptr_t result_points(const Call& call) const {
    return source_points(call) + points_ * source_point_;
  }

  void transform_inputs(const Call& call, const TileGroup& group) const {
    const auto set = [&](TransformArgs& args, const RunPlace& place, std::int64_t block) {
      args.image = address(call.buffers[0], walk_.pixel_at(walk_.source, place, block));
      args.points = source_points(call) + (block * capacity_ + place.tile) * kPixel;
    };
    walk_.transform(group, walk_.source.blocks(), inputs_, call.scratch, set);
  }

  // Result blocks [first, first + count) at one point.
  void multiply(const Call& call, const TileGroup& group, std::int64_t point, std::int64_t first,
                std::int64_t count) const {
    TileCall tile;
    tile.entries = whole_.data();
    tile.count = static_cast<std::int64_t>(whole_.size());
    tile.tail_entries = tail_.data();
    tile.tail_count = static_cast<std::int64_t>(tail_.size());
    tile.scratch = call.scratch + kWinogradScratch;
    const Range tiles = walk_.tiles_with(group, point);
    for (std::int64_t block = 0; block < count; block += panel_) {
      const std::size_t width = count - block >= panel_ ? 0 : 1;
      tile.b = address(call.buffers[1],
                       ((first + block) * points_ + point) * walk_.source.channels * kPixel);
      const std::int64_t result = point * result_point_ + block * capacity_ * kPixel;
      for (std::int64_t t = tiles.begin, rows = 0; t < tiles.end; t += rows) {
        rows = pieces_[static_cast<std::size_t>(tiles.end - t)];
        tile.a = source_points(call) + point * source_point_ + t * kPixel;
        tile.c = result_points(call) + result + t * kPixel;
        products_.run(panels_[static_cast<std::size_t>(rows)][width], tile);
      }
    }
  }

  void ask_for_next_inputs(const Call& call, const TileGroup& next, std::int64_t turn) const {
    const std::int64_t turns = divide_up(walk_.result.blocks(), together_) * points_;
    ask_ahead(all_pixels(walk_.source, call.buffers[0]), walk_, next, {turn, turns});
  }

  // And for what their epilogue reads.
  void ask_for_outputs(const Call& call, const TileGroup& group, std::int64_t point,
                       std::int64_t block, std::int64_t blocks) const {
    PixelRows pixels{nullptr, walk_.result.blocks(), block, blocks, walk_.result.height, 0};
    const auto ask = [&](std::size_t buffer, std::size_t element_bytes) {
      pixels.data = call.buffers[buffer];
      pixels.row_bytes = walk_.result.width * kLanes * static_cast<std::int64_t>(element_bytes);
      ask_ahead(pixels, walk_, group, {point, points_});
    };
    for (std::size_t i = 0; i < epilogue_.operands.size(); ++i)
      if (epilogue_.operands[i].access == ir::EpilogueAccess::same)
        ask(2 + i, ir::byte_size(epilogue_.operands[i].dtype));
    ask(2 + epilogue_.operands.size(), kF32);
  }

  void transform_outputs(const Call& call, const TileGroup& group, std::int64_t block,
                         std::int64_t blocks) const {
    const auto set = [&](TransformArgs& args, const RunPlace& place, std::int64_t b) {
      const std::int64_t offset = walk_.pixel_at(walk_.result, place, block + b);
      args.image = address(call.buffers[2 + epilogue_.operands.size()], offset);
      args.points = result_points(call) + (b * capacity_ + place.tile) * kPixel;
      set_operand_pointers(args.operands, epilogue_, call.buffers + 2, offset / kF32,
                           (block + b) * ir::kBlock);
    };
    walk_.transform(group, blocks, outputs_, call.scratch, set);
  }

  ir::Dim images_;
  WinogradWalk walk_;
  std::int64_t points_;
  ir::Epilogue epilogue_;
  TileSet products_;
  std::int64_t group_rows_ = 0;  // rows of tiles
  std::int64_t rows_ = 0;        // tiles of a product's register tile, or the most of them
  // Tiles for large filters, of one image, or ragged ones: pieces as even as may be.
  bool few_ = false;
  bool by_panels_ = false;               // threads share large filters, not the tiles of one image
  std::vector<std::int64_t> pieces_{0};  // rows of the next register tile, by the tiles left
  std::int64_t capacity_ = 0;            // tiles of a group, rounded up to whole register tiles
  std::int64_t panel_ = 0;               // blocks of result channels of a register tile
  std::int64_t together_ = 0;  // blocks of result channels that pass through the points together
  std::int64_t source_point_ = 0, result_point_ = 0;
  std::vector<std::vector<std::size_t>> panels_;  // products, by rows; whole panels, the last one
  std::vector<TileEntry> whole_, tail_;
  std::vector<Routine> inputs_, outputs_;  // by run of rows, then of columns
};

}  // namespace

std::shared_ptr<const Kernel> compile_winograd(const ir::ConvSpec& spec, const ir::Isa& isa) {
  return std::make_shared<WinogradKernel>(spec, isa);
}

}  // namespace taper::codegen
