#include "codegen/depthwise_walk.h"

#include <algorithm>
#include <utility>

namespace taper::codegen {
namespace {

std::vector<DepthwiseUse> uses_of(const ConvAxis& axis, std::int64_t first, std::int64_t pixels,
                                  std::int64_t source_first) {
  std::vector<DepthwiseUse> uses;
  for (std::int64_t k = 0; k < axis.taps; ++k) {
    for (std::int64_t p = 0; p < pixels; ++p) {
      const std::optional<std::int64_t> s = axis.source(first + p, k);
      if (s && axis.inside(*s)) uses.push_back({*s - source_first, k, p});
    }
  }
  // A later tap of a pixel reads further right going forward: this order visits every source once
  // and keeps each pixel's taps in order. Going backward it reads further left; sources from right
  // to left would be visited once, too, but no processor foresees what memory is wanted next when
  // pieces that are walked to the left follow one another to the right.
  if (axis.backward) return uses;
  std::ranges::stable_sort(uses, {}, &DepthwiseUse::source);
  return uses;
}

}  // namespace

std::vector<DepthwisePieces> depthwise_pieces(const ConvAxis& axis, std::int64_t most) {
  const std::int64_t pieces = (axis.results + most - 1) / most;
  std::int64_t pixels = pieces == 0 ? 1 : (axis.results + pieces - 1) / pieces;
  // Pieces repeat only when they start at the same phase of the stride.
  const std::int64_t period = axis.period();
  if (pixels > period && pixels % period != 0) {
    const std::int64_t up = pixels + period - pixels % period;
    pixels = up <= most ? up : pixels - pixels % period;
  }
  const std::int64_t source_step = pixels / period * axis.source_step();
  std::vector<DepthwisePieces> list;
  for (std::int64_t first = 0; first < axis.results; first += pixels) {
    const std::int64_t size = std::min(pixels, axis.results - first);
    const std::int64_t source = first / period * axis.source_step();
    std::vector<DepthwiseUse> uses = uses_of(axis, first, size, source);
    if (!list.empty()) {
      DepthwisePieces& last = list.back();
      const bool next = last.source_first + last.count * source_step == source;
      if (next && last.pixels == size && last.uses == uses) {
        ++last.count;
        continue;
      }
    }
    list.push_back({first, size, 1, source, source_step, std::move(uses)});
  }
  return list;
}

}  // namespace taper::codegen
