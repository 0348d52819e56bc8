#include "codegen/weights_tile.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "codegen/routine_emitter.h"
#include "codegen/sizes.h"

namespace taper::codegen {
namespace {

// Enough work per turn of the column loop to hide its control.
constexpr std::int64_t kFmasPerTurn = 48;
// How far ahead operands are asked for: bytes of gradients, output rows of inputs.
struct Ahead {
  Prefetch to;
  std::int64_t bytes, rows;
};
// Far enough to come from the second-level cache or beyond in time.
constexpr Ahead kNear{Prefetch::first_level, 1024, 1};
// Depthwise passes wait for memory, which has more lines on their way to the second-level cache.
constexpr Ahead kFar{Prefetch::second_level, 4096, 2};

bool depthwise(const ir::ConvSpec& spec) {
  return spec.groups > 1;
}

int vectors(const ir::Isa& isa, std::int64_t blocks) {
  return isa.vectors_per_block() * static_cast<int>(blocks);
}

// One vector per input value: the broadcast is part of the FMA.
bool fused_broadcast(const ir::ConvSpec& spec, const ir::Isa& isa, std::int64_t blocks) {
  return vectors(isa, blocks) == 1 && !depthwise(spec);
}

class WeightsEmitter : RoutineEmitter {
 public:
  WeightsEmitter(const ir::ConvSpec& spec, const WeightsTile& tile, const ir::Isa& isa)
      : RoutineEmitter(isa), spec_(spec), tile_(tile), blocks_(tile.blocks) {
    const bool plain = spec.input == ir::Layout::plain;
    column_ = plain ? 4 : kPixel;
    channel_ = plain ? spec.ih * spec.iw * 4 : 4;
    for (const WeightRow& row : tile.rows) taps_.push_back(row.kx);
  }

  Routine emit(const std::string& name) {
    begin(name);
    take_registers();
    loop(images_, [&] {
      for (const Vec acc : accumulators_) m_.zero(acc);
      emit_rows();
      fold();
      next_image();
    });
    return end();
  }

 private:
  void take_registers() {
    input_ = argument(offsetof(WeightsTileArgs, input));
    gradient_ = argument(offsetof(WeightsTileArgs, gradient));
    result_ = argument(offsetof(WeightsTileArgs, result));
    images_ = argument(offsetof(WeightsTileArgs, images));
    store_ = argument(offsetof(WeightsTileArgs, store));
    rows_left_ = m_.gp();
    columns_left_ = m_.gp();
    const int width = vectors(m_.isa(), blocks_);
    for (std::size_t i = 0; i < tile_.rows.size() * static_cast<std::size_t>(width); ++i)
      accumulators_.push_back(m_.vec());
    for (int v = 0; v < width; ++v) pixel_.push_back(m_.vec());
    if (!fused_broadcast(spec_, m_.isa(), blocks_)) value_ = m_.vec();
  }

  // The pointers stand at output pixel (at_y_, at_x_); pixels near it are reached by displacement.
  void go_to(std::int64_t y, std::int64_t x) {
    const std::int64_t dy = y - at_y_, dx = x - at_x_;
    const std::int64_t input = (dy * spec_.stride[0] * spec_.iw + dx * spec_.stride[1]) * column_;
    const std::int64_t gradient = (dy * spec_.ow + dx) * kPixel;
    if (input != 0) m_.add(input_, input);
    if (gradient != 0) m_.add(gradient_, gradient);
    at_y_ = y;
    at_x_ = x;
  }

  void emit_rows() {
    const std::vector<PixelRun> horizontal = runs_of(conv_columns(spec_), taps_);
    for (const PixelRun& run : tile_.vertical) {
      if (!run.any()) continue;
      go_to(run.begin, 0);
      const Label top = m_.label();
      if (run.count > 1) {
        m_.move(rows_left_, run.count);
        m_.bind(top);
      }
      for (const PixelRun& columns : horizontal) emit_columns(run.active, columns);
      if (run.count > 1) {
        go_to(run.begin + 1, 0);
        m_.loop(rows_left_, top);
        at_y_ = run.begin + run.count;
      }
    }
  }

  void emit_columns(const std::vector<bool>& row_active, const PixelRun& run) {
    std::vector<std::size_t> active;
    for (std::size_t r = 0; r < tile_.rows.size(); ++r)
      if (row_active[r] && run.active[r]) active.push_back(r);
    if (active.empty()) return;
    const auto fmas = static_cast<std::int64_t>(active.size()) * vectors(m_.isa(), blocks_);
    const std::int64_t unroll = std::clamp<std::int64_t>(kFmasPerTurn / fmas, 1, 8);
    std::int64_t x = run.begin;
    const std::int64_t end = run.begin + run.count;
    if (const std::int64_t turns = run.count / unroll; turns > 2) {
      go_to(at_y_, x);
      m_.move(columns_left_, turns);
      loop(columns_left_, [&] {
        for (std::int64_t i = 0; i < unroll; ++i) emit_pixel(active, x + i);
        go_to(at_y_, x + unroll);
      });
      x += turns * unroll;
      at_x_ = x;
    }
    for (; x < end; ++x) emit_pixel(active, x);
  }

  void emit_pixel(const std::vector<std::size_t>& active, std::int64_t x) {
    const int per_block = m_.isa().vectors_per_block();
    const std::int64_t vector_bytes = std::int64_t{m_.isa().lanes} * 4;
    for (std::size_t v = 0; v < pixel_.size(); ++v) {
      const auto i = static_cast<std::int64_t>(v);
      const std::int64_t block = i / per_block * spec_.oh * spec_.ow * kPixel;
      const std::int64_t lane = i % per_block * vector_bytes;
      m_.load(pixel_[v], {gradient_, (x - at_x_) * kPixel + block + lane});
    }
    if (tile_.stream) prefetch(x - at_x_);
    for (const std::size_t r : active) {
      const Address value = input_address(tile_.rows[r], x);
      const Vec* acc = &accumulators_[r * pixel_.size()];
      if (fused_broadcast(spec_, m_.isa(), blocks_)) {
        is_half(0) ? m_.fma_half(acc[0], pixel_[0], value)
                   : m_.fma_broadcast(acc[0], pixel_[0], value);
        continue;
      }
      if (!depthwise(spec_)) m_.broadcast(value_, value);
      for (std::size_t v = 0; v < pixel_.size(); ++v) {
        if (depthwise(spec_)) m_.load(value_, value + static_cast<std::int64_t>(v) * vector_bytes);
        is_half(v) ? m_.fma_half(acc[v], pixel_[v], value_) : m_.fma(acc[v], pixel_[v], value_);
      }
    }
  }

  bool is_half(std::size_t v) const { return tile_.half && v + 1 == pixel_.size(); }

  // A plain input has 16 pixels to a cache line: what it misses is little.
  void prefetch(std::int64_t pixels) {
    const Ahead& ahead = depthwise(spec_) ? kFar : kNear;
    for (std::int64_t b = 0; b < blocks_; ++b)
      m_.prefetch({gradient_, (b * spec_.oh * spec_.ow + pixels) * kPixel + ahead.bytes}, ahead.to);
    if (spec_.input != ir::Layout::c16) return;
    // What the pixel below this one reads first, all rows and columns that a stride passes.
    const std::int64_t last = std::ranges::max_element(tile_.rows, {}, &WeightRow::ky)->ky;
    const std::int64_t below =
        spec_.oh > 1 ? ahead.rows * spec_.stride[0] * spec_.iw * column_ : ahead.bytes;
    for (std::int64_t up = 0; up < std::min(spec_.stride[0], last + 1); ++up) {
      const std::int64_t row = (last - up) * spec_.dilation[0] * spec_.iw;
      for (std::int64_t x = 0; x < spec_.stride[1]; ++x)
        m_.prefetch({input_, (row + pixels * spec_.stride[1] + x) * column_ + below}, ahead.to);
    }
  }

  Address input_address(const WeightRow& row, std::int64_t x) const {
    const std::int64_t down = row.ky * spec_.dilation[0] * spec_.iw;
    const std::int64_t right = (x - at_x_) * spec_.stride[1] + row.kx * spec_.dilation[1];
    return {input_, (down + right) * column_ + row.channel * channel_};
  }

  // The result's own padding lanes take whatever the gradient's lanes held.
  void fold() {
    const Label stored = m_.label();
    m_.jump_if(Condition::not_equal, store_, 0, stored);
    for (std::size_t i = 0; i < accumulators_.size(); ++i) {
      m_.load(pixel_[0], result_address(i));
      m_.add(accumulators_[i], pixel_[0], accumulators_[i]);
    }
    m_.bind(stored);
    for (std::size_t i = 0; i < accumulators_.size(); ++i)
      m_.store(result_address(i), accumulators_[i]);
    m_.move(store_, 0);
  }

  Address result_address(std::size_t accumulator) const {
    const WeightRow& row = tile_.rows[accumulator / pixel_.size()];
    const auto v = static_cast<std::int64_t>(accumulator % pixel_.size());
    const int per_block = m_.isa().vectors_per_block();
    const std::int64_t channels = depthwise(spec_) ? 1 : spec_.ic;
    const std::int64_t in_block = v / per_block * channels + row.channel;
    const std::int64_t position = (in_block * spec_.kh + row.ky) * spec_.kw + row.kx;
    return {result_, position * kPixel + v % per_block * m_.isa().lanes * 4};
  }

  void next_image() {
    go_to(0, 0);
    const std::int64_t channels = spec_.input == ir::Layout::plain ? spec_.ic : blocks_of(spec_.ic);
    m_.add(input_, channels * spec_.ih * spec_.iw * column_);
    m_.add(gradient_, blocks_of(spec_.oc) * spec_.oh * spec_.ow * kPixel);
  }

  const ir::ConvSpec& spec_;
  const WeightsTile& tile_;
  std::int64_t blocks_;
  std::int64_t column_ = 0, channel_ = 0;  // bytes of one step in the input
  std::vector<std::int64_t> taps_;
  Gp input_, gradient_, result_, images_, store_, rows_left_, columns_left_;
  std::vector<Vec> accumulators_, pixel_;
  Vec value_;
  std::int64_t at_y_ = 0, at_x_ = 0;
};

}  // namespace

bool PixelRun::any() const {
  return std::find(active.begin(), active.end(), true) != active.end();
}

std::vector<PixelRun> runs_of(const ConvAxis& axis, const std::vector<std::int64_t>& taps) {
  std::vector<PixelRun> runs;
  for (std::int64_t o = 0; o < axis.results; ++o) {
    std::vector<bool> active;
    active.reserve(taps.size());
    for (const std::int64_t tap : taps) active.push_back(axis.inside(*axis.source(o, tap)));
    if (runs.empty() || runs.back().active != active) runs.push_back({o, 0, std::move(active)});
    ++runs.back().count;
  }
  return runs;
}

std::int64_t weights_tile_rows(const ir::ConvSpec& spec, const ir::Isa& isa, std::int64_t blocks) {
  const int width = vectors(isa, blocks);
  const int values = fused_broadcast(spec, isa, blocks) ? isa.broadcast_registers : 1;
  const int free = make_masm(isa)->free_vecs();
  return std::max(1, (free - width - values) / width);
}

Routine compile_weights_tile(const ir::ConvSpec& spec, const WeightsTile& tile, const ir::Isa& isa,
                             const std::string& name) {
  return WeightsEmitter(spec, tile, isa).emit(name);
}

}  // namespace taper::codegen
