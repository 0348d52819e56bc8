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

// Direct convolution's multiplications for each of Winograd's that pay for the transforms, of
// images and of filters of 36 and of 16 points.
constexpr double kLeastSaved = 1.9, kLeastSavedSmall = 1.4;

// Segments of a batch, tiles of each, and bytes of all their sums, which come from the caches.
constexpr std::int64_t kMostSegments = 16, kFewestSegments = 4, kFewestOfSegment = 112;
constexpr std::int64_t kMostSums = std::int64_t{8} << 20;

// A side of an image: results, pixels of the source, and padding before them.
struct Side {
  std::int64_t results = 0, source = 0, pad = 0;

  std::int64_t tiles(int tile) const { return ir::divide_up(results, tile); }
  std::int64_t products(int tile) const { return results + 2 * tiles(tile); }
  // Taps that are no padding, which direct convolution leaves out.
  std::int64_t taps() const {
    std::int64_t count = 0;
    for (std::int64_t tap = 0; tap < 3; ++tap)
      count += std::max<std::int64_t>(
          0, std::min(results, source + pad - tap) - std::max<std::int64_t>(0, pad - tap));
    return count;
  }
};

// Tiles of an image; none where they save too little.
std::int64_t tiles_of(const Side& height, const Side& width, int tile, double least_saved) {
  const auto products = static_cast<double>(height.products(tile) * width.products(tile));
  const auto direct = static_cast<double>(height.taps() * width.taps());
  return direct < least_saved * products ? 0 : height.tiles(tile) * width.tiles(tile);
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
                    .winograd = s.winograd,
                    .segments = s.segments};
  spec.pass = data                                   ? ConvPass::filter_backward_data
              : s.pass == ConvPass::backward_weights ? ConvPass::filter_gradient
                                                     : ConvPass::filter;
  const std::int64_t vector = data ? s.ic : s.oc;
  return {spec,
          {ir::DType::f32,
           {s.segments * ir::blocks_of(vector), ir::winograd_points(s.winograd), data ? s.oc : s.ic,
            ir::kBlock}}};
}

std::int64_t winograd_segments(const ir::ConvSpec& s, ir::Dim max_batch) {
  if (s.pass != ir::ConvPass::backward_weights || s.winograd == 0 || s.images != ir::kBatch)
    return 1;
  const std::int64_t sums = ir::byte_size(filter_transform(s).points, 1);
  const std::int64_t tiles =
      max_batch * ir::divide_up(s.oh, s.winograd) * ir::divide_up(s.ow, s.winograd);
  for (std::int64_t segments = kMostSegments; segments >= kFewestSegments; segments /= 2)
    if (segments * sums <= kMostSums && segments <= max_batch &&
        segments * kFewestOfSegment <= tiles)
      return segments;
  return 1;
}

int winograd_tile(const ir::ConvSpec& s, ir::Dim max_batch, bool kept) {
  using Pair = std::array<std::int64_t, 2>;
  const bool possible = s.kh == 3 && s.kw == 3 && s.stride == Pair{1, 1} &&
                        s.dilation == Pair{1, 1} && s.groups == 1 && !s.integers &&
                        s.input == ir::Layout::c16 && (s.images == ir::kBatch || s.images == 1) &&
                        s.pad_top <= 2 && s.pad_left <= 2 && s.epilogue.result == ir::DType::f32;
  if (!possible || s.ic < kFewestChannels || s.oc < kFewestChannels) return 0;
  const bool data = s.pass == ir::ConvPass::backward_data;
  const Side height = data ? Side{s.ih, s.oh, 2 - s.pad_top} : Side{s.oh, s.ih, s.pad_top};
  const Side width = data ? Side{s.iw, s.ow, 2 - s.pad_left} : Side{s.ow, s.iw, s.pad_left};
  const std::int64_t images = s.images == ir::kBatch ? max_batch : s.images;
  if (tiles_of(height, width, 4, kLeastSaved) * images >= (kept ? kFewestTilesKept : kFewestTiles))
    return 4;
  // Small tiles save less than half as much, but their filters are not even twice as large.
  const bool small = kept && s.pass == ir::ConvPass::forward &&
                     std::min(s.ic, s.oc) >= kFewestChannelsSmall &&
                     tiles_of(height, width, 2, kLeastSavedSmall) * images >= kFewestTilesKept;
  return small ? 2 : 0;
}

}  // namespace taper::passes
