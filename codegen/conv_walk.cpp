#include "codegen/conv_walk.h"
#include "codegen/sizes.h"

#include <map>
#include <utility>

namespace taper::codegen {
namespace {

struct RowTap {
  std::int64_t kh = 0, source_row = 0;
  auto operator<=>(const RowTap&) const = default;
};

// What divide_down leaves, for positions left of the source as well.
std::int64_t modulo(std::int64_t a, std::int64_t b) {
  return (a % b + b) % b;
}

std::vector<RowTap> row_taps(const ir::ConvSpec& spec, std::int64_t y) {
  std::vector<RowTap> taps;
  const bool forward = spec.pass == ir::ConvPass::forward;
  for (std::int64_t kh = 0; kh < spec.kh; ++kh) {
    const std::int64_t tap = kh * spec.dilation[0] - spec.pad_top;
    if (!forward && modulo(y - tap, spec.stride[0]) != 0) continue;
    const std::int64_t row =
        forward ? y * spec.stride[0] + tap : ir::divide_down(y - tap, spec.stride[0]);
    if (row >= 0 && row < (forward ? spec.ih : spec.oh)) taps.push_back({kh, row});
  }
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

ConvTable table(const ConvWalk& walk, const ir::ConvSpec& spec, const std::vector<RowTap>& taps) {
  ConvTable t;
  const std::int64_t block = walk.block_channels;
  for (std::int64_t c = 0; c < walk.channels; c += block) {
    std::vector<TileEntry>& list = walk.channels - c < block ? t.tail : t.whole;
    for (const RowTap& tap : taps) {
      list.push_back({c / block * walk.block + tap.source_row * walk.row,
                      c * walk.weight_step + tap.kh * spec.kw * kPixel});
    }
  }
  look_ahead(t, taps.size());
  return t;
}

void add_rows(ConvWalk& walk, const ir::ConvSpec& spec) {
  std::map<std::vector<RowTap>, std::size_t> known;
  for (std::int64_t y = 0; y < walk.result_height; ++y) {
    std::vector<RowTap> taps = row_taps(spec, y);
    const std::int64_t first = taps.empty() ? 0 : taps.front().source_row;
    for (RowTap& tap : taps) tap.source_row -= first;
    const auto [found, is_new] = known.try_emplace(taps, walk.tables.size());
    if (is_new) walk.tables.push_back(table(walk, spec, taps));
    walk.rows.push_back({found->second, first});
  }
}

void add_columns(ConvWalk& walk, const ir::ConvSpec& spec) {
  const std::int64_t stride = spec.stride[1];
  if (spec.pass == ir::ConvPass::forward) {
    ConvColumns all{0, 1, spec.ow, stride, {}};
    for (std::int64_t kw = 0; kw < spec.kw; ++kw)
      all.taps.push_back({kw, kw * spec.dilation[1] - spec.pad_left});
    walk.columns.push_back(all);
    return;
  }
  for (std::int64_t phase = 0; phase < std::min(stride, spec.iw); ++phase) {
    ConvColumns some{phase, stride, divide_up(spec.iw - phase, stride), 1, {}};
    for (std::int64_t kw = 0; kw < spec.kw; ++kw) {
      const std::int64_t x = phase + spec.pad_left - kw * spec.dilation[1];
      if (modulo(x, stride) == 0) some.taps.push_back({kw, ir::divide_down(x, stride)});
    }
    walk.columns.push_back(some);
  }
}

}  // namespace

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
  add_columns(walk, spec);
  return walk;
}

}  // namespace taper::codegen
