// When Winograd's convolution pays, with which tiles, and the transforms of its filters.
#include <algorithm>
#include <array>

#include "passes/select.h"

namespace taper::passes {
namespace {

// With fewer channels, transforms cost more than the multiplications that they save.
constexpr std::int64_t kFewestChannels = 32, kFewestChannelsSmall = 64;
// Tiles that use a transformed filter often enough to pay for it, and for reading it: it is four
// times as large.
constexpr std::int64_t kFewestTiles = 32, kFewestTilesKept = 16;

// Tiles of an image, of which `fill` fourths at least must be results that are asked for.
std::int64_t tiles_of(std::int64_t height, std::int64_t width, int tile, int fill) {
  const std::int64_t tiles = ir::divide_up(height, tile) * ir::divide_up(width, tile);
  return height * width * 4 < tiles * tile * tile * fill ? 0 : tiles;
}

}  // namespace

FilterTransform filter_transform(const ir::ConvSpec& s) {
  using ir::ConvPass;
  const bool data = s.pass == ConvPass::backward_data;
  ir::ConvSpec spec{
      .images = 1, .ic = s.ic, .oc = s.oc, .kh = s.kh, .kw = s.kw, .winograd = s.winograd};
  spec.pass = data                                   ? ConvPass::filter_backward_data
              : s.pass == ConvPass::backward_weights ? ConvPass::filter_gradient
                                                     : ConvPass::filter;
  const std::int64_t vector = data ? s.ic : s.oc;
  return {
      spec,
      {ir::DType::f32,
       {ir::blocks_of(vector), ir::winograd_points(s.winograd), data ? s.oc : s.ic, ir::kBlock}}};
}

int winograd_tile(const ir::ConvSpec& s, ir::Dim max_batch, bool kept) {
  using Pair = std::array<std::int64_t, 2>;
  const bool possible = s.kh == 3 && s.kw == 3 && s.stride == Pair{1, 1} &&
                        s.dilation == Pair{1, 1} && s.groups == 1 && !s.integers &&
                        s.input == ir::Layout::c16 && (s.images == ir::kBatch || s.images == 1) &&
                        s.pad_top <= 2 && s.pad_left <= 2 && s.epilogue.result == ir::DType::f32;
  if (!possible || s.ic < kFewestChannels || s.oc < kFewestChannels) return 0;
  const bool data = s.pass == ir::ConvPass::backward_data;
  const std::int64_t height = data ? s.ih : s.oh, width = data ? s.iw : s.ow;
  const std::int64_t images = s.images == ir::kBatch ? max_batch : s.images;
  if (tiles_of(height, width, 4, 2) * images >= (kept ? kFewestTilesKept : kFewestTiles)) return 4;
  // Small tiles save less than half as much, but their filters are not even twice as large.
  const bool small = kept && s.pass == ir::ConvPass::forward &&
                     std::min(s.ic, s.oc) >= kFewestChannelsSmall &&
                     tiles_of(height, width, 2, 3) * images >= kFewestTilesKept;
  return small ? 2 : 0;
}

}  // namespace taper::passes
