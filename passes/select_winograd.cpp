// When Winograd's convolution pays, and the transforms of its filters; how threads share images.
#include <array>

#include "passes/select.h"

namespace taper::passes {
namespace {

constexpr std::int64_t kTile = 4, kPoints = 36;
// With fewer channels, transforms cost more than the multiplications that they save.
constexpr std::int64_t kFewestChannels = 32;
// Tiles that use a transformed filter often enough to pay for it, and for reading it: it is four
// times as large.
constexpr std::int64_t kFewestTiles = 32, kFewestTilesKept = 16;

std::int64_t tiles_along(std::int64_t results) {
  return (results + kTile - 1) / kTile;
}

}  // namespace

FilterTransform filter_transform(const ir::ConvSpec& s) {
  using ir::ConvPass;
  const bool data = s.pass == ConvPass::backward_data;
  ir::ConvSpec spec{.images = 1,
                    .ic = s.ic,
                    .oc = s.oc,
                    .kh = s.kh,
                    .kw = s.kw,
                    .winograd = true,
                    .epilogue = {}};
  spec.pass = data                                   ? ConvPass::filter_backward_data
              : s.pass == ConvPass::backward_weights ? ConvPass::filter_gradient
                                                     : ConvPass::filter;
  const std::int64_t vector = data ? s.ic : s.oc;
  const std::int64_t blocks = (vector + ir::kBlock - 1) / ir::kBlock;
  return {spec, {ir::DType::f32, {blocks, kPoints, data ? s.oc : s.ic, ir::kBlock}}};
}

bool prefers_winograd(const ir::ConvSpec& s, ir::Dim max_batch, bool kept) {
  using Pair = std::array<std::int64_t, 2>;
  const bool possible = s.kh == 3 && s.kw == 3 && s.stride == Pair{1, 1} &&
                        s.dilation == Pair{1, 1} && s.groups == 1 && !s.integers &&
                        s.input == ir::Layout::c16 && (s.images == ir::kBatch || s.images == 1) &&
                        s.pad_top <= 2 && s.pad_left <= 2 && s.epilogue.result == ir::DType::f32;
  if (!possible || s.ic < kFewestChannels || s.oc < kFewestChannels) return false;
  const bool data = s.pass == ir::ConvPass::backward_data;
  const std::int64_t height = data ? s.ih : s.oh, width = data ? s.iw : s.ow;
  const std::int64_t tiles = tiles_along(height) * tiles_along(width);
  // Half of the multiplications would be of no result.
  if (height * width * 2 < tiles * kTile * kTile) return false;
  return tiles * (s.images == ir::kBatch ? max_batch : s.images) >=
         (kept ? kFewestTilesKept : kFewestTiles);
}

}  // namespace taper::passes
