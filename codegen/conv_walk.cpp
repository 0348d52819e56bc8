#include "codegen/conv_walk.h"

#include <algorithm>
#include <map>
#include <utility>

#include "codegen/sizes.h"

namespace taper::codegen {
namespace {

// The axis of a forward pass as that of `pass`.
ConvAxis turned(ConvAxis axis, ir::ConvPass pass) {
  axis.backward = pass == ir::ConvPass::backward_data;
  if (axis.backward) std::swap(axis.results, axis.sources);
  return axis;
}

// Those of result coordinate `r`, whether they are inside the source or not.
std::vector<ConvTap> taps_of(const ConvAxis& axis, std::int64_t r) {
  std::vector<ConvTap> taps;
  for (std::int64_t k = 0; k < axis.taps; ++k)
    if (const auto source = axis.source(r, k)) taps.push_back({k, *source});
  return taps;
}

// While an entry is worked on, the same tap of the next block of channels is asked for.
void look_ahead(ConvTable& t, std::size_t taps) {
  for (std::size_t i = 0; i < t.whole.size(); ++i) {
    const std::size_t later = i + taps;
    if (later < t.whole.size())
      ask_ahead(t.whole[i], t.whole[later]);
    else if (!t.tail.empty())
      ask_ahead(t.whole[i], t.tail[later - t.whole.size()]);
  }
}

ConvTable table(const ConvWalk& walk, const ir::ConvSpec& spec, const std::vector<ConvTap>& taps) {
  ConvTable t;
  const std::int64_t block = walk.block_channels;
  for (std::int64_t c = 0; c < walk.channels; c += block) {
    std::vector<TileEntry>& list = walk.channels - c < block ? t.tail : t.whole;
    for (const ConvTap& tap : taps) {
      list.push_back({c / block * walk.block + tap.source * walk.row,
                      c * walk.weight_step + tap.k * spec.kw * kPixel});
    }
  }
  look_ahead(t, taps.size());
  return t;
}

void add_rows(ConvWalk& walk, const ir::ConvSpec& spec) {
  const ConvAxis axis = conv_rows(spec);
  std::map<std::vector<ConvTap>, std::size_t> known;
  for (std::int64_t y = 0; y < axis.results; ++y) {
    std::vector<ConvTap> taps = taps_of(axis, y);
    std::erase_if(taps, [&](const ConvTap& tap) { return !axis.inside(tap.source); });
    const std::int64_t first = taps.empty() ? 0 : taps.front().source;
    for (ConvTap& tap : taps) tap.source -= first;
    const auto [found, is_new] = known.try_emplace(taps, walk.tables.size());
    if (is_new) walk.tables.push_back(table(walk, spec, taps));
    walk.rows.push_back({found->second, first});
  }
}

void add_columns(ConvWalk& walk, const ConvAxis& axis) {
  const std::int64_t period = axis.period();
  for (std::int64_t phase = 0; phase < std::min(period, axis.results); ++phase)
    walk.columns.push_back({phase, period, divide_up(axis.results - phase, period),
                            axis.source_step(), taps_of(axis, phase)});
}

}  // namespace

std::optional<std::int64_t> ConvAxis::source(std::int64_t r, std::int64_t k) const {
  if (!backward) return r * stride - pad + k * dilation;
  const std::int64_t scaled = r + pad - k * dilation;
  if (scaled % stride != 0) return std::nullopt;
  return scaled / stride;
}

ConvAxis conv_rows(const ir::ConvSpec& spec) {
  ConvAxis axis{spec.oh, spec.ih, spec.kh, spec.stride[0], spec.dilation[0], spec.pad_top};
  return turned(axis, spec.pass);
}

ConvAxis conv_columns(const ir::ConvSpec& spec) {
  ConvAxis axis{spec.ow, spec.iw, spec.kw, spec.stride[1], spec.dilation[1], spec.pad_left};
  return turned(axis, spec.pass);
}

ir::ConvSpec flattened(ir::ConvSpec spec) {
  const bool pointwise = spec.kh == 1 && spec.kw == 1 &&
                         spec.stride == std::array<std::int64_t, 2>{1, 1} && spec.pad_top == 0 &&
                         spec.pad_left == 0 && spec.oh == spec.ih && spec.ow == spec.iw;
  if (pointwise) {
    spec.iw = spec.ow = spec.ih * spec.iw;
    spec.ih = spec.oh = 1;
  }
  return spec;
}

ConvWalk conv_walk(const ir::ConvSpec& original) {
  const ir::ConvSpec spec = flattened(original);
  const bool forward = spec.pass == ir::ConvPass::forward;
  ConvWalk walk;
  walk.channels = forward ? spec.ic : spec.oc;
  walk.height = forward ? spec.ih : spec.oh;
  walk.width = forward ? spec.iw : spec.ow;
  const bool plain = forward && spec.input == ir::Layout::plain;
  if (spec.integers) {
    walk.channels = divide_up(spec.ic, ir::kGroup);
    walk.block_channels = ir::kBlock / ir::kGroup;
  }
  walk.pixel = plain ? kF32 : walk.block_channels * kF32;
  walk.row = walk.width * walk.pixel;
  walk.channel = plain ? walk.height * walk.row : kF32;
  walk.block = plain ? ir::kBlock * walk.channel : walk.height * walk.row;
  const std::int64_t blocks = divide_up(walk.channels, walk.block_channels);
  walk.image = plain ? walk.channels * walk.channel : blocks * walk.block;
  walk.result_channels = forward ? spec.oc : spec.ic;
  walk.result_height = forward ? spec.oh : spec.ih;
  walk.result_width = forward ? spec.ow : spec.iw;
  walk.result_pixel = ir::kBlock * static_cast<std::int64_t>(ir::byte_size(spec.epilogue.result));
  walk.weight_step = spec.kh * spec.kw * kPixel;
  walk.weight_block = walk.channels * walk.weight_step;
  add_rows(walk, spec);
  add_columns(walk, conv_columns(spec));
  return walk;
}

}  // namespace taper::codegen
