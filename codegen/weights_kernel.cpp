// Weight gradients of dense and depthwise convolutions, as one kernel over tiles. Order of the
// sums, a function of the shape alone: within an image each weight is one FMA chain from zero over
// the output pixels (oh, then ow) whose tap is not padding; the images' values are then added in
// image order to the first image's. A unit is one tile of weights.
#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "codegen/conv_walk.h"
#include "codegen/sizes.h"
#include "codegen/weights_tile.h"
#include "ir/error.h"

namespace taper::codegen {
namespace {

// Accumulators that keep the FMA units busy through their latency.
constexpr std::int64_t kBusyAccumulators = 10;
// Rows beside two blocks of output channels that keep the registers full: fewer broadcasts per FMA.
constexpr std::int64_t kRowsOfTwoBlocks = 12;
// Units that threads can share.
constexpr std::size_t kManyUnits = 4;
// Images are taken in groups whose planes of one tile stay in the first-level cache.
constexpr std::int64_t kGroupBytes = std::int64_t{28} * 1024;

// Cuts `rows`, `together` of which stay together, into as few even tiles as `most` rows allow.
void append_tiles(std::vector<std::vector<WeightRow>>& tiles, const std::vector<WeightRow>& rows,
                  std::int64_t together, std::int64_t most) {
  const std::int64_t total = std::ssize(rows) / together;
  const std::int64_t pieces = divide_up(total, most / together);
  for (std::int64_t i = 0; i < pieces; ++i)
    tiles.emplace_back(rows.begin() + total * i / pieces * together,
                       rows.begin() + total * (i + 1) / pieces * together);
}

// The weights of a block of `channels` input channels, cut into tiles of at most `most` rows: each
// kernel row apart, or, of few channels, several of them to a tile.
std::vector<std::vector<WeightRow>> cut(const ir::ConvSpec& spec, std::int64_t channels,
                                        std::int64_t most, std::int64_t busy) {
  const std::int64_t kernel_row = channels * spec.kw, whole = most / spec.kw;
  const bool apart = kernel_row >= busy && kernel_row * 2 > most;
  // Whole channels to a tile where that leaves enough accumulators: such tiles share their code.
  const std::int64_t together = apart && whole > 0 && whole * spec.kw >= busy ? spec.kw : 1;
  std::vector<std::vector<WeightRow>> tiles;
  std::vector<WeightRow> rows;
  for (std::int64_t ky = 0; ky < spec.kh; ++ky) {
    for (std::int64_t c = 0; c < channels; ++c)
      for (std::int64_t kx = 0; kx < spec.kw; ++kx) rows.push_back({ky, kx, c});
    if (!apart && ky + 1 < spec.kh) continue;
    append_tiles(tiles, rows, together, most);
    rows.clear();
  }
  return tiles;
}

// Where a tile's operands start, in bytes from the image's (weights: from the buffer's) start.
struct Unit {
  std::size_t routine = 0;
  std::int64_t input = 0, gradient = 0, result = 0;
};

class WeightsKernel : public Kernel {
 public:
  WeightsKernel(const ir::ConvSpec& spec, const ir::Isa& isa)
      : spec_(spec),
        isa_(isa),
        name_(depthwise() ? "depthwise_weights" : "conv_weights"),
        plain_(spec.input == ir::Layout::plain) {
    check();
    std::vector<Part> parts = plan(1);
    if (!depthwise() && weights_tile_rows(spec_, isa, 2) >= kRowsOfTwoBlocks) {
      std::vector<Part> wide = plan(2);
      if (wide.size() >= std::min(kManyUnits, parts.size())) parts = std::move(wide);
    }
    if (!parts.empty()) {
      const std::int64_t bytes = std::max<std::int64_t>(1, plane_bytes(parts.front().blocks));
      group_ = std::max<std::int64_t>(1, kGroupBytes / bytes);
    }
    for (Part& part : parts) add_unit(std::move(part));
    tiles_.clear();
  }

  std::int64_t units(std::int64_t) const override {
    return static_cast<std::int64_t>(units_.size());
  }

  void run(const Call& call) const override {
    const std::int64_t images = spec_.images == ir::kBatch ? call.batch : spec_.images;
    const std::int64_t input = input_image(), gradient = gradient_image();
    for (std::int64_t image = 0; image < images; image += group_) {
      for (std::int64_t u = call.begin; u < call.end; ++u) {
        const Unit& unit = units_[static_cast<std::size_t>(u)];
        const WeightsTileArgs args{address(call.buffers[0], image * input + unit.input),
                                   address(call.buffers[1], image * gradient + unit.gradient),
                                   address(call.buffers[2], unit.result),
                                   std::min(group_, images - image), image == 0 ? 1 : 0};
        routines_[unit.routine](&args);
      }
    }
  }

  std::vector<const Routine*> routines() const override { return with_routines({routines_}); }

 private:
  bool depthwise() const { return spec_.groups > 1; }
  std::int64_t column() const { return plain_ ? 4 : kPixel; }
  std::int64_t input_image() const {
    return (plain_ ? spec_.ic : blocks_of(spec_.ic)) * spec_.ih * spec_.iw * column();
  }
  std::int64_t gradient_image() const { return blocks_of(spec_.oc) * spec_.oh * spec_.ow * kPixel; }

  // Bytes that the tiles of one input block and `blocks` output blocks read of an image.
  std::int64_t plane_bytes(std::int64_t blocks) const {
    const std::int64_t input = std::min<std::int64_t>(plain_ ? spec_.ic : 16, 16) * 4;
    return input * spec_.ih * spec_.iw + blocks * spec_.oh * spec_.ow * kPixel;
  }

  void check() const {
    if (!spec_.epilogue.expr.empty() || !spec_.epilogue.operands.empty())
      throw Error(name_ + ": weight gradients take no epilogue, in " + ir::to_string(spec_));
    if (depthwise() && (spec_.groups != spec_.ic || spec_.groups != spec_.oc || plain_)) {
      throw Error(name_ + ": groups must be 1, or the channels of c16 tensors, in " +
                  ir::to_string(spec_));
    }
    // Displacements are 32 bits wide.
    constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max();
    const std::int64_t weights = blocks_of(spec_.oc) * spec_.ic * spec_.kh * spec_.kw * kPixel;
    if (input_image() > most || gradient_image() > most || weights > most) {
      throw Error(name_ + ": one image or the weights of " + ir::to_string(spec_) +
                  " take more than 2 GB");
    }
  }

  // A tile at its place.
  struct Part {
    std::int64_t oc_block = 0, blocks = 1;
    std::int64_t block_channel = 0;  // first channel of the input block
    std::vector<WeightRow> rows;     // ky from 0, channel from block_channel
  };

  // All tiles, `blocks` blocks of output channels wide where that many are left. Those that share
  // an output and an input block are neighbours.
  std::vector<Part> plan(std::int64_t blocks) const {
    std::vector<Part> parts;
    const std::int64_t in_blocks = depthwise() ? 1 : blocks_of(spec_.ic);
    for (std::int64_t o = 0; o < blocks_of(spec_.oc); o += blocks) {
      const std::int64_t width = std::min(blocks, blocks_of(spec_.oc) - o);
      const std::int64_t most = weights_tile_rows(spec_, isa_, width);
      const std::int64_t busy = kBusyAccumulators / (isa_.vectors_per_block() * width);
      for (std::int64_t b = 0; b < in_blocks; ++b) {
        const std::int64_t first = b * ir::kBlock;
        const std::int64_t channels =
            depthwise() ? 1 : std::min<std::int64_t>(ir::kBlock, spec_.ic - first);
        for (std::vector<WeightRow>& rows : cut(spec_, channels, most, busy))
          parts.push_back({o, width, first, std::move(rows)});
      }
    }
    return parts;
  }

  void add_unit(Part part) {
    std::vector<WeightRow>& rows = part.rows;
    const ConvAxis axis = conv_rows(spec_);
    std::vector<std::int64_t> taps;
    WeightRow origin{spec_.kh, 0, ir::kBlock};
    for (const WeightRow& row : rows) {
      taps.push_back(row.ky);
      origin.ky = std::min(origin.ky, row.ky);
      origin.channel = std::min(origin.channel, row.channel);
    }
    for (WeightRow& row : rows) {
      row.ky -= origin.ky;
      row.channel -= origin.channel;
    }
    std::vector<PixelRun> runs = runs_of(axis, taps);
    while (!runs.empty() && !runs.back().any()) runs.pop_back();
    while (!runs.empty() && !runs.front().any()) runs.erase(runs.begin());
    const std::int64_t first_row = runs.empty() ? 0 : runs.front().begin;
    for (PixelRun& run : runs) run.begin -= first_row;

    const std::int64_t down = *axis.source(first_row, origin.ky);
    const std::int64_t plane = spec_.ih * spec_.iw;
    const std::int64_t channel = plain_ ? (part.block_channel + origin.channel) * plane * 4
                                        : part.block_channel * plane * 4 + origin.channel * 4;
    const std::int64_t depthwise_block = depthwise() ? part.oc_block * plane * kPixel : 0;
    const std::int64_t result_channel =
        depthwise() ? part.oc_block
                    : part.oc_block * spec_.ic + part.block_channel + origin.channel;
    const std::int64_t columns = spec_.oc - (part.oc_block + part.blocks - 1) * ir::kBlock;
    units_.push_back(
        {routine({part.blocks, columns <= ir::kBlock / 2, plane_bytes(part.blocks) > kGroupBytes,
                  std::move(rows), std::move(runs)}),
         (down * spec_.iw - spec_.pad_left) * column() + channel + depthwise_block,
         (part.oc_block * spec_.oh + first_row) * spec_.ow * kPixel,
         (result_channel * spec_.kh + origin.ky) * spec_.kw * kPixel});
  }

  std::size_t routine(WeightsTile tile) {
    const auto found = std::find(tiles_.begin(), tiles_.end(), tile);
    const auto index = static_cast<std::size_t>(found - tiles_.begin());
    if (found == tiles_.end()) {
      const std::string name = name_ + "_" + std::to_string(index);
      routines_.push_back(compile_weights_tile(spec_, tile, isa_, name));
      tiles_.push_back(std::move(tile));
    }
    return index;
  }

  ir::ConvSpec spec_;
  const ir::Isa& isa_;
  std::string name_;
  bool plain_;
  std::int64_t group_ = 1;
  std::vector<WeightsTile> tiles_;  // what routines_ were generated from
  std::vector<Routine> routines_;
  std::vector<Unit> units_;
};

}  // namespace

std::shared_ptr<const Kernel> compile_conv_weights(const ir::ConvSpec& spec, const ir::Isa& isa) {
  return std::make_shared<WeightsKernel>(flattened(spec), isa);
}

}  // namespace taper::codegen
