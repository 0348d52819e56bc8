// The gradient of an image with few channels, where vectors of channels would be mostly empty: a
// matrix product makes a column of ic * kh * kw products' sums for each pixel of the gradient, and
// these are added to the pixels that they belong to (col2im; Chellapilla et al., 2006).
//
// Order of the reduction: channels of the gradient in a chain of FMAs; then its rows, kh, kw.
#include <algorithm>
#include <memory>
#include <vector>

#include "codegen/batch_kernel.h"
#include "codegen/sizes.h"
#include "codegen/tile.h"

namespace taper::codegen {
namespace {

using ir::kBlock;
// Pixels of the gradient whose columns are made before they are added: of a batch, and of an image
// that is cut into bands, where the rows at their edges are made twice.
constexpr std::int64_t kPixelsAtOnce = 256, kBandPixelsAtOnce = 64;
constexpr std::int64_t kMostBands = 4, kFewestBandRows = 8;

// Bands of rows that threads share an image by, unless they share a batch.
std::int64_t bands_of(const ir::ConvSpec& spec) {
  std::int64_t bands = 1;
  if (spec.images == ir::kBatch) return bands;
  while (bands < kMostBands && spec.oh >= 2 * bands * kFewestBandRows) bands *= 2;
  return bands;
}

// Rows that divide an image into equal parts of at most `most` pixels, if a row is no longer.
std::int64_t rows_at_once(std::int64_t height, std::int64_t width, std::int64_t most) {
  std::int64_t rows = 1;
  for (std::int64_t r = 1; r <= height; ++r)
    if (height % r == 0 && r * width <= most) rows = r;
  return rows;
}

// Rows [first, end) of an image.
struct Band {
  std::int64_t first = 0, end = 0;
};

struct ColumnTile {
  Piece pixels;
  std::int64_t block = 0;  // first block of columns
  std::size_t routine = 0;
};

// What columns of one kw are added along a row: pixels [first, end) of the gradient, to pixel
// first * stride + shift and so on.
struct Run {
  std::int64_t first = 0, end = 0, shift = 0;
};

class Col2imKernel final : public BatchKernel {
 public:
  Col2imKernel(const ir::ConvSpec& spec, const ir::Isa& isa)
      : BatchKernel(spec.images, bands_of(spec)),
        spec_(spec),
        bands_(bands_of(spec)),
        columns_(spec.ic * spec.kh * spec.kw),
        pitch_(blocks_of(columns_) * kBlock),
        rows_(rows_at_once(spec.oh, spec.ow, bands_ > 1 ? kBandPixelsAtOnce : kPixelsAtOnce)),
        limits_(tiles_of(isa, spec.oc)),
        tiles_(isa, {}, "conv_col2im") {
    for (std::int64_t block = 0; block < blocks_of(spec.oc); ++block)
      entries_.push_back({block * plane() * kPixel, block * kBlock * pitch_ * kF32});
    for (std::size_t i = 1; i < entries_.size(); ++i) ask_ahead(entries_[i - 1], entries_[i]);
    for (const Piece& piece : split_evenly(rows_ * spec.ow, limits_.rows)) add_tiles(isa, piece);
    for (std::int64_t kw = 0; kw < spec.kw; ++kw) runs_.push_back(run_of(kw));
  }

  std::size_t scratch_bytes(std::int64_t) const override {
    const std::int64_t weights = blocks_of(spec_.oc) * kBlock;
    return kTileScratch + static_cast<std::size_t>((weights + rows_ * spec_.ow) * pitch_ * kF32);
  }
  std::vector<const Routine*> routines() const override { return tiles_.routines(); }

  void run(const Call& call) const override {
    if (call.begin >= call.end) return;
    auto* weights = reinterpret_cast<float*>(call.scratch + kTileScratch);
    float* columns = weights + blocks_of(spec_.oc) * kBlock * pitch_;
    pack_weights(static_cast<const float*>(call.buffers[1]), weights);
    const std::int64_t image_size = spec_.ic * spec_.ih * spec_.iw;
    const std::int64_t gradient_size = blocks_of(spec_.oc) * plane() * kBlock;
    for (std::int64_t unit = call.begin; unit < call.end; ++unit) {
      const auto [image, b] = divide(unit, bands_);
      const Band band{spec_.ih * b / bands_, spec_.ih * (b + 1) / bands_};
      float* result = static_cast<float*>(call.buffers[2]) + image * image_size;
      const float* gradient = static_cast<const float*>(call.buffers[0]) + image * gradient_size;
      clear(result, band);
      const Band rows = rows_that_reach(band);
      for (std::int64_t row = rows.first - rows.first % rows_; row < rows.end; row += rows_) {
        make_columns(gradient + row * spec_.ow * kBlock, weights, columns, call.scratch);
        for (std::int64_t r = 0; r < rows_; ++r)
          add_row(columns + r * spec_.ow * pitch_, row + r, result, band);
      }
    }
  }

 private:
  // Rows of the gradient.
  Band rows_that_reach(const Band& band) const {
    const std::int64_t stride = spec_.stride[0], taps = (spec_.kh - 1) * spec_.dilation[0];
    const std::int64_t first = std::max<std::int64_t>(band.first + spec_.pad_top - taps, 0);
    const std::int64_t last = band.end - 1 + spec_.pad_top;
    return {divide_up(first, stride), std::min(last / stride + 1, spec_.oh)};
  }

  void clear(float* image, const Band& band) const {
    for (std::int64_t channel = 0; channel < spec_.ic; ++channel)
      std::fill_n(image + (channel * spec_.ih + band.first) * spec_.iw,
                  (band.end - band.first) * spec_.iw, 0.0f);
  }

  std::int64_t plane() const { return spec_.oh * spec_.ow; }

  void add_tiles(const ir::Isa& isa, const Piece& piece) {
    TileShape shape;
    shape.rows = static_cast<int>(piece.size);
    shape.a_row = kPixel;
    shape.a_step = kF32;
    shape.b_block = kPixel;
    shape.b_step = pitch_ * kF32;
    shape.c_row = pitch_ * kF32;
    shape.c_block = kPixel;
    shape.taps = {{0, 0, 0, shape.rows}};
    shape.steps = static_cast<int>(kBlock);
    shape.tail_steps = static_cast<int>(spec_.oc % kBlock);
    shape.rows_ahead = spec_.oc > kBlock;
    for (const Piece& p :
         split_evenly(pitch_ / kBlock, max_tile_blocks(isa, limits_, shape.rows))) {
      shape.blocks = static_cast<int>(p.size);
      column_tiles_.push_back({piece, p.first, tiles_.add(shape)});
    }
  }

  Run run_of(std::int64_t kw) const {
    const std::int64_t stride = spec_.stride[1], shift = kw * spec_.dilation[1] - spec_.pad_left;
    const std::int64_t first = shift >= 0 ? 0 : divide_up(-shift, stride);
    const std::int64_t end = shift >= spec_.iw ? 0 : (spec_.iw - 1 - shift) / stride + 1;
    return {std::min(first, spec_.ow), std::min(end, spec_.ow), shift};
  }

  // {o16} to [oc][ic * kh * kw].
  void pack_weights(const float* from, float* to) const {
    for (std::int64_t o = 0; o < spec_.oc; ++o) {
      const float* lane = from + o / kBlock * columns_ * kBlock + o % kBlock;
      for (std::int64_t i = 0; i < columns_; ++i) to[o * pitch_ + i] = lane[i * kBlock];
    }
  }

  void make_columns(const float* gradient, const float* weights, float* columns,
                    void* scratch) const {
    const std::int64_t whole = spec_.oc / kBlock;
    TileCall tile;
    tile.entries = entries_.data();
    tile.count = whole;
    tile.tail_entries = entries_.data() + whole;
    tile.tail_count = static_cast<std::int64_t>(entries_.size()) - whole;
    tile.scratch = scratch;
    for (const ColumnTile& t : column_tiles_) {
      tile.a = address(gradient + t.pixels.first * kBlock);
      tile.b = address(weights + t.block * kBlock);
      tile.c = address(columns + t.pixels.first * pitch_ + t.block * kBlock);
      tiles_.run(t.routine, tile);
    }
  }

  // The columns of a row of the gradient, to those rows of the image that are in the band.
  void add_row(const float* columns, std::int64_t row, float* image, const Band& band) const {
    for (std::int64_t channel = 0; channel < spec_.ic; ++channel) {
      for (std::int64_t kh = 0; kh < spec_.kh; ++kh) {
        const std::int64_t y = row * spec_.stride[0] + kh * spec_.dilation[0] - spec_.pad_top;
        if (y < band.first || y >= band.end) continue;
        const float* from = columns + (channel * spec_.kh + kh) * spec_.kw;
        add_taps(from, image + (channel * spec_.ih + y) * spec_.iw);
      }
    }
  }

  void add_taps(const float* from, float* to) const {
    const std::int64_t stride = spec_.stride[1];
    for (std::size_t kw = 0; kw < runs_.size(); ++kw) {
      const Run& run = runs_[kw];
      for (std::int64_t x = run.first; x < run.end; ++x)
        to[x * stride + run.shift] += from[x * pitch_ + static_cast<std::int64_t>(kw)];
    }
  }

  ir::ConvSpec spec_;
  std::int64_t bands_;            // of an image
  std::int64_t columns_, pitch_;  // of a pixel; what the columns of the next one are apart
  std::int64_t rows_;             // of the gradient at once
  TileLimits limits_;
  TileSet tiles_;
  std::vector<TileEntry> entries_;  // blocks of channels
  std::vector<ColumnTile> column_tiles_;
  std::vector<Run> runs_;  // by kw
};

}  // namespace

std::shared_ptr<const Kernel> compile_conv_col2im(const ir::ConvSpec& spec, const ir::Isa& isa) {
  return std::make_shared<Col2imKernel>(spec, isa);
}

}  // namespace taper::codegen
