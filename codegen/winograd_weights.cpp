// Winograd's gradient of the filters' points: for each point the products of transformed inputs and
// transformed gradients, summed over all tiles. A unit is one row of six points and a panel of
// output channels, which walks all images; or, where segments of the batch have sums of their own,
// all points of a panel, which walks the images of a segment. Every element is one FMA chain over
// the tiles.
#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

#include "codegen/sizes.h"
#include "codegen/tile.h"
#include "codegen/winograd_walk.h"

namespace taper::codegen {
namespace {

constexpr std::int64_t kPanelBlocks = 4;
// Transformed inputs of a group; they and the sums of a unit stay in the second-level cache, unless
// there are so many sums that they come from memory: then each group should be large.
constexpr std::int64_t kTileGroupBytes = std::int64_t{256} * 1024;
constexpr std::int64_t kFewestTiles = 28, kMostTiles = 112;
constexpr std::int64_t kLargeSums = std::int64_t{4} * 1024 * 1024;
constexpr int kUnrolledTiles = 4;
constexpr int kPatch = ir::winograd_patch(4), kPoints = ir::winograd_points(4);
// Rows of points in the order of units: those that ragged tiles lack are shared by two threads.
constexpr std::array<std::int64_t, kPatch> kRows{0, 3, 1, 2, 4, 5};

class WinogradWeightsKernel final : public Kernel {
 public:
  WinogradWeightsKernel(const ir::ConvSpec& spec, const ir::Isa& isa)
      : images_(spec.images),
        segments_(spec.segments),
        points_(segments_ > 1 ? kPoints : kPatch),
        walk_(winograd_walk(spec)),
        products_(isa, {}, "winograd_sums") {
    tile_ = walk_.source.blocks() * kPixel;
    const std::int64_t sums = kPoints * walk_.source.channels * walk_.result.channels * kF32;
    const std::int64_t most = sums > kLargeSums ? kMostTiles
                                                : std::clamp(kTileGroupBytes / (points_ * tile_),
                                                             kFewestTiles, kMostTiles);
    group_rows_ = std::max<std::int64_t>(1, most / walk_.tiles_x);
    capacity_ = group_rows_ * walk_.tiles_x;
    panel_ = std::min(kPanelBlocks, walk_.result.blocks());
    panels_ = divide_up(walk_.result.blocks(), panel_);
    source_point_ = point_step(capacity_ * tile_);
    result_point_ = point_step(panel_ * capacity_ * kPixel);
    add_products(isa);
    add_transforms(isa);
  }

  std::int64_t units(std::int64_t) const override { return segments_ * units_of_segment(); }
  std::size_t scratch_bytes(std::int64_t) const override {
    return kWinogradScratch + kTileScratch +
           static_cast<std::size_t>(points_ * (source_point_ + result_point_));
  }
  std::vector<const Routine*> routines() const override {
    return with_routines({inputs_, gradients_}, products_.routines());
  }

  void run(const Call& call) const override {
    const std::int64_t images = images_ == ir::kBatch ? call.batch : images_;
    for (std::int64_t unit = call.begin, end = 0; unit < call.end; unit = end) {
      const std::int64_t segment = unit / units_of_segment();
      end = std::min(call.end, (segment + 1) * units_of_segment());
      const std::int64_t first = images * segment / segments_ * walk_.tiles_y;
      const std::int64_t last = images * (segment + 1) / segments_ * walk_.tiles_y;
      sum_up(call, {first, last - first}, unit, end);
    }
  }

 private:
  struct Product {
    std::int64_t channel = 0, block = 0;
    std::size_t routine = 0;
  };

  std::int64_t units_of_segment() const { return kPoints / points_ * panels_; }
  // The row of points of a unit, or the first one.
  std::int64_t row_of(std::int64_t unit) const {
    return segments_ > 1 ? 0 : kRows[static_cast<std::size_t>(unit / panels_)];
  }

  // Units [begin, end) of one segment, whose rows of tiles these are.
  void sum_up(const Call& call, const TileGroup& segment, std::int64_t begin,
              std::int64_t end) const {
    for (std::int64_t unit = begin; unit < end; ++unit) clear(call, unit);
    for (std::int64_t at = 0; at < segment.count; at += group_rows_) {
      const TileGroup group{segment.first + at, std::min(group_rows_, segment.count - at)};
      const TileGroup next{group.first + group.count,
                           std::min(group_rows_, segment.count - at - group.count)};
      std::int64_t transformed = -1;
      for (std::int64_t unit = begin; unit < end; ++unit) {
        const std::int64_t row = row_of(unit);
        if (row != transformed) transform_inputs(call, group, row);
        transformed = row;
        transform_gradients(call, group, row, unit % panels_);
        for (std::int64_t point = 0; point < points_; ++point) {
          accumulate(call, group, unit, point);
          ask_for(call, next, {(unit - begin) * points_ + point, (end - begin) * points_});
        }
      }
    }
  }

  std::int64_t blocks_of_panel(std::int64_t panel) const {
    return std::min(panel_, walk_.result.blocks() - panel * panel_);
  }

  void add_products(const ir::Isa& isa) {
    const TileLimits limits = large_tiles(isa);
    TileShape shape;
    shape.accumulate = true;
    shape.uniform = true;
    shape.steps = kUnrolledTiles;
    shape.a_row = kF32;
    shape.a_step = tile_;
    shape.b_step = kPixel;
    shape.b_block = capacity_ * kPixel;
    shape.c_row = kPixel;
    shape.c_block = kPoints * walk_.source.channels * kPixel;
    for (const std::int64_t blocks : {panel_, blocks_of_panel(panels_ - 1)}) {
      std::vector<Product> list;
      for (const Piece& rows : split_evenly(walk_.source.channels, limits.rows)) {
        shape.rows = static_cast<int>(rows.size);
        shape.taps = {{0, 0, 0, shape.rows}};
        for (const Piece& p : split_evenly(blocks, max_tile_blocks(isa, limits, shape.rows))) {
          shape.blocks = static_cast<int>(p.size);
          list.push_back({rows.first, p.first, products_.add(shape)});
        }
      }
      product_lists_.push_back(std::move(list));
    }
  }

  void add_transforms(const ir::Isa& isa) {
    for (int points = 0; points < kPoints / points_; ++points) {
      starts_.push_back(inputs_.size());
      const int only_row = segments_ > 1 ? -1 : points;
      for (const TileRun& row : walk_.rows) {
        if (only_row >= 0 && !has_point(walk_.tile, row.results, only_row)) continue;
        for (const TileRun& column : walk_.columns) {
          const TransformShape input =
              walk_.shape_of(walk_.source, row, column, source_point_, tile_, only_row);
          inputs_.push_back(emit_winograd_input(input, isa));
          const TransformShape gradient =
              walk_.shape_of(walk_.result, row, column, result_point_, kPixel, only_row);
          gradients_.push_back(emit_winograd_gradient(gradient, isa));
        }
      }
    }
    starts_.push_back(inputs_.size());
  }

  std::intptr_t source_points(const Call& call) const {
    return address(call.scratch + kWinogradScratch + kTileScratch);
  }
  std::intptr_t result_points(const Call& call) const {
    return source_points(call) + points_ * source_point_;
  }
  // The sums of a unit's first point, of a block of its panel.
  std::byte* sums(const Call& call, std::int64_t unit, std::int64_t block) const {
    const std::int64_t before = unit / units_of_segment() * walk_.result.blocks();
    const std::int64_t at = (before + unit % panels_ * panel_ + block) * kPoints;
    return static_cast<std::byte*>(call.buffers[2]) +
           (at + row_of(unit % units_of_segment()) * kPatch) * walk_.source.channels * kPixel;
  }

  void clear(const Call& call, std::int64_t unit) const {
    for (std::int64_t b = 0; b < blocks_of_panel(unit % panels_); ++b)
      std::memset(sums(call, unit, b), 0,
                  static_cast<std::size_t>(points_ * walk_.source.channels * kPixel));
  }

  // Those for a row of points.
  std::span<const Routine> of_row(std::span<const Routine> routines, std::int64_t points) const {
    const auto row = static_cast<std::size_t>(points);
    return routines.subspan(starts_[row], starts_[row + 1] - starts_[row]);
  }

  void transform_inputs(const Call& call, const TileGroup& group, std::int64_t points) const {
    const auto set = [&](TransformArgs& args, const RunPlace& place, std::int64_t block) {
      args.image = address(call.buffers[0], walk_.pixel_at(walk_.source, place, block));
      args.points = source_points(call) + place.tile * tile_ + block * kPixel;
    };
    walk_.transform(group, walk_.source.blocks(), of_row(inputs_, points), call.scratch, set);
  }

  void transform_gradients(const Call& call, const TileGroup& group, std::int64_t points,
                           std::int64_t panel) const {
    const auto set = [&](TransformArgs& args, const RunPlace& place, std::int64_t b) {
      args.image =
          address(call.buffers[1], walk_.pixel_at(walk_.result, place, panel * panel_ + b));
      args.points = result_points(call) + (b * capacity_ + place.tile) * kPixel;
    };
    walk_.transform(group, blocks_of_panel(panel), of_row(gradients_, points), call.scratch, set);
  }

  void ask_for(const Call& call, const TileGroup& next, Turn turn) const {
    ask_ahead(all_pixels(walk_.source, call.buffers[0]), walk_, next, turn);
    ask_ahead(all_pixels(walk_.result, call.buffers[1]), walk_, next, turn);
  }

  // Adds the products of a group at one of a unit's points.
  void accumulate(const Call& call, const TileGroup& group, std::int64_t unit,
                  std::int64_t point) const {
    const Range tiles = walk_.tiles_with(group, row_of(unit) * kPatch + point);
    if (tiles.count() == 0) return;
    TileCall tile;
    tile.count = tiles.count() / kUnrolledTiles;
    tile.tail_count = tiles.count() % kUnrolledTiles;
    tile.scratch = call.scratch + kWinogradScratch;
    const std::intptr_t a = source_points(call) + point * source_point_ + tiles.begin * tile_;
    const std::intptr_t b = result_points(call) + point * result_point_ + tiles.begin * kPixel;
    for (const Product& product : product_lists_[unit % panels_ == panels_ - 1 ? 1 : 0]) {
      tile.a = a + product.channel * kF32;
      tile.b = b + product.block * capacity_ * kPixel;
      tile.c = address(sums(call, unit, product.block),
                       (point * walk_.source.channels + product.channel) * kPixel);
      products_.run(product.routine, tile);
    }
  }

  ir::Dim images_;
  std::int64_t segments_;
  std::int64_t points_;  // of a unit: a row of them, or of a segment all
  WinogradWalk walk_;
  TileSet products_;
  std::int64_t tile_ = 0;        // bytes from one tile's transformed inputs to the next one's
  std::int64_t group_rows_ = 0;  // rows of tiles
  std::int64_t capacity_ = 0;    // tiles of a group
  std::int64_t panel_ = 0, panels_ = 0;  // blocks of output channels of a unit
  std::int64_t source_point_ = 0, result_point_ = 0;
  std::vector<std::vector<Product>> product_lists_;  // of a panel, and of the last one
  std::vector<Routine> inputs_, gradients_;          // by row of points, run of rows, of columns
  std::vector<std::size_t> starts_;                  // of a row of points in these
};

}  // namespace

std::shared_ptr<const Kernel> compile_winograd_weights(const ir::ConvSpec& spec,
                                                       const ir::Isa& isa) {
  return std::make_shared<WinogradWeightsKernel>(spec, isa);
}

}  // namespace taper::codegen
