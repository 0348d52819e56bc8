// Pooling, backward, over c16. The gradient of a max goes to the tap that forward numbered; or the
// max is found again in the input: the first tap that equals it (the first NaN if any). Windows are
// taken in scan order, so that where they overlap the sum of an element has a fixed order.
#include <cstddef>
#include <cstring>
#include <vector>

#include "codegen/batch_kernel.h"
#include "codegen/element_epilogue.h"
#include "codegen/expr.h"
#include "codegen/maximum.h"
#include "codegen/pool_window.h"
#include "codegen/routine_emitter.h"
#include "ir/attrs.h"

namespace taper::codegen {
namespace {

struct PoolBackwardArgs {
  std::intptr_t input = 0;     // first tap inside the input; or the first window's indices
  std::intptr_t gradient = 0;  // of the first window
  float* result = nullptr;     // where the first tap's gradient goes
  std::int64_t count = 0;      // windows of a run, or positions of a sweep
  WindowArgs window;           // in elements
  OperandPointers operands{};
};

// Windows that do not overlap write their gradients through the epilogue; others add to the result.
bool windows_overlap(const ir::PoolSpec& spec) {
  return spec.stride[0] < spec.kernel[0] || spec.stride[1] < spec.kernel[1];
}

class PoolBackwardEmitter : RoutineEmitter {
 public:
  PoolBackwardEmitter(const ir::PoolSpec& spec, const ir::Isa& isa)
      : RoutineEmitter(isa),
        spec_(spec),
        overlap_(windows_overlap(spec)),
        max_(spec.kind == ir::PoolKind::max && !spec.indices) {}

  // A run of `count` windows inside the input.
  Routine emit_whole() {
    begin_pool("pool_backward_whole");
    const Gp gradient = argument(offsetof(PoolBackwardArgs, gradient));
    loop(argument(offsetof(PoolBackwardArgs, count)), [&] {
      for (int h = 0; h < halves(); ++h) emit_whole_half(gradient, h);
      const std::int64_t stride = spec_.stride[1];
      m_.add(input_, spec_.indices ? kLanes : stride * kPixel);
      m_.add(result_, stride * kPixel);
      m_.add(element_, stride * kLanes);
      m_.add(gradient, kPixel);
    });
    return end();
  }

  // One window of a size known at run time.
  Routine emit_clipped() {
    begin_pool("pool_backward_clipped");
    const std::vector<Vec> max = vectors(max_ || spec_.indices), rest = vectors(true);
    if (spec_.indices) {
      for (int h = 0; h < halves(); ++h) load_indices(max[static_cast<std::size_t>(h)], h);
      m_.broadcast(tap_, window(offsetof(WindowArgs, first_tap)));
    }
    if (max_) {
      for (const Vec v : max) m_.constant(v, kLowest);
      each_tap([&](int h) { take_max(max[static_cast<std::size_t>(h)], {input_, h * bytes()}); });
      m_.load(input_, {m_.args(), offsetof(PoolBackwardArgs, input)});
      m_.load(result_, {m_.args(), offsetof(PoolBackwardArgs, result)});
      m_.move(element_, 0);
    }
    const Gp gradient = argument(offsetof(PoolBackwardArgs, gradient));
    for (int h = 0; h < halves(); ++h)
      load_gradient(rest[static_cast<std::size_t>(h)], {gradient, h * bytes()});
    m_.release(gradient);
    each_tap([&](int h) {
      const auto i = static_cast<std::size_t>(h);
      write_tap(max.empty() ? Vec{} : max[i], rest[i], 0, h);
    });
    return end();
  }

  // Puts `count` positions of the result through the epilogue; a position's accumulator is its
  // content, or zero where no window reaches (`from_zero`).
  Routine emit_sweep(bool from_zero) {
    begin_pool("pool_backward_sweep");
    loop(argument(offsetof(PoolBackwardArgs, count)), [&] {
      for (int h = 0; h < halves(); ++h) {
        from_zero ? m_.zero(x_) : m_.load(x_, {result_, h * bytes()});
        apply_epilogue(x_, 0, h);
        m_.store({result_, h * bytes()}, x_);
      }
      m_.add(result_, kPixel);
      m_.add(element_, kLanes);
    });
    return end();
  }

 private:
  std::int64_t bytes() const { return m_.isa().lanes * 4; }

  Address window(std::int64_t field) const {
    return Address{m_.args(), offsetof(PoolBackwardArgs, window)} + field;
  }
  std::vector<Vec> vectors(bool wanted) {
    std::vector<Vec> all;
    for (int h = 0; wanted && h < halves(); ++h) all.push_back(m_.vec());
    return all;
  }

  void begin_pool(const char* name) {
    begin(name);
    input_ = argument(offsetof(PoolBackwardArgs, input));
    result_ = argument(offsetof(PoolBackwardArgs, result));
    element_ = m_.gp();
    m_.move(element_, 0);
    x_ = m_.vec();
    scratch_ = m_.vec();
    if (!spec_.indices) return;
    tap_ = m_.vec();
    m_.constant(one_ = m_.vec(), 1);
  }

  // Walks input_, result_ and element_ over the taps of a clipped window.
  template <class Body>
  void each_tap(Body&& body) {
    const Gp rows = m_.gp(), columns = m_.gp();
    m_.load(rows, window(offsetof(WindowArgs, rows)));
    loop(rows, [&] {
      m_.load(columns, window(offsetof(WindowArgs, columns)));
      loop(columns, [&] {
        for (int h = 0; h < halves(); ++h) body(h);
        m_.add(input_, kPixel);
        m_.add(result_, kPixel);
        m_.add(element_, kLanes);
        if (spec_.indices) m_.add(tap_, tap_, one_);
      });
      if (spec_.indices) {
        m_.broadcast(x_, window(offsetof(WindowArgs, skipped_taps)));
        m_.add(tap_, tap_, x_);
      }
      m_.load(columns, window(offsetof(WindowArgs, skip)));
      m_.add(element_, columns);
      m_.shift_left(columns, 2);
      m_.add(input_, columns);
      m_.add(result_, columns);
    });
    m_.release(columns);
    m_.release(rows);
  }

  void emit_whole_half(Gp gradient, int h) {
    const std::int64_t half = h * bytes();
    const auto tap_element = [&](std::int64_t tap) {
      return (tap / spec_.kernel[1] * spec_.iw + tap % spec_.kernel[1]) * kLanes;
    };
    const Vec max = m_.vec(), rest = m_.vec();
    if (max_) {
      m_.load(max, {input_, half});
      for (std::int64_t tap = 1; tap < pool_taps(spec_); ++tap)
        take_max(max, {input_, tap_element(tap) * 4 + half});
    }
    if (spec_.indices) load_indices(max, h);
    load_gradient(rest, {gradient, half});
    for (std::int64_t tap = 0; tap < pool_taps(spec_); ++tap) {
      if (spec_.indices) m_.constant(tap_, static_cast<float>(tap));
      write_tap(max, rest, tap_element(tap), h);
    }
    m_.release(rest);
    m_.release(max);
  }

  void load_indices(Vec d, int h) {
    load_lanes(m_, d, {input_, h * m_.isa().lanes}, ir::DType::u8, false);
  }

  void take_max(Vec max, Address tap) {
    m_.load(x_, tap);
    maximum_into(m_, max, x_, scratch_);
  }

  void load_gradient(Vec d, Address a) {
    m_.load(d, a);
    if (max_ || spec_.indices) return;
    m_.broadcast(x_, window(offsetof(WindowArgs, divisor)));
    m_.div(d, d, x_);
  }

  // Gives the tap at `element` its share: with indices, all if `max` says tap_; for max, what
  // `rest` still holds in the lanes where the tap is the max (or the first NaN); a lane of `rest`
  // is empty once it has been given away.
  void write_tap(Vec max, Vec rest, std::int64_t element, int h) {
    const std::int64_t offset = element * 4 + h * bytes();
    Vec share = scratch_;
    if (spec_.indices) {
      m_.compare(share, Predicate::eq, max, tap_);
      m_.bit_and(share, share, rest);
    } else if (max_) {
      m_.load(x_, {input_, offset});
      m_.compare(scratch_, Predicate::eq, x_, max);
      m_.compare(x_, Predicate::ne, x_, x_);
      m_.bit_or(scratch_, scratch_, x_);
      m_.bit_and(scratch_, scratch_, rest);
      m_.bit_xor(rest, rest, scratch_);
    } else {
      m_.move(share, rest);
    }
    if (overlap_) {
      m_.load(x_, {result_, offset});
      m_.add(share, x_, share);
    } else {
      apply_epilogue(share, element, h);
    }
    m_.store({result_, offset}, share);
  }

  void apply_epilogue(Vec acc, std::int64_t element, int h) {
    const Address operands{m_.args(), offsetof(PoolBackwardArgs, operands)};
    const int lane = h * m_.isa().lanes;
    emit_epilogue(m_, spec_.epilogue, acc,
                  {.pointers = operands, .element = element_, .offset = element, .lane = lane});
  }

  const ir::PoolSpec& spec_;
  bool overlap_, max_;
  Gp input_, result_, element_;
  Vec x_, scratch_, tap_, one_;
};

class PoolBackwardKernel final : public BatchKernel {
 public:
  PoolBackwardKernel(const ir::PoolSpec& spec, const ir::Isa& isa)
      : BatchKernel(spec.images, blocks_of(spec.channels)),
        spec_(spec),
        windows_(pool_windows(spec)),
        overlap_(windows_overlap(spec)) {
    check_epilogue(spec.epilogue, "pool", true);
    clipped_ = PoolBackwardEmitter(spec_, isa).emit_clipped();
    if (pool_taps(spec) <= kUnrolledTaps)
      whole_.push_back(PoolBackwardEmitter(spec_, isa).emit_whole());
    if (!spec.epilogue.expr.empty())
      sweep_.push_back(PoolBackwardEmitter(spec_, isa).emit_sweep(!overlap_));
    gaps_ = uncovered(windows_.columns, spec.iw);
  }

  std::vector<const Routine*> routines() const override {
    return with_routines({whole_, sweep_}, {&clipped_});
  }

  void run(const Call& call) const override {
    for (std::int64_t plane = call.begin * each(); plane < call.end * each(); ++plane) {
      if (overlap_) {
        clear(call, plane, 0, spec_.ih * spec_.iw);
        for (std::int64_t y = 0; y < spec_.oh; ++y) run_row(call, plane, y);
        if (!sweep_.empty()) sweep(call, plane, 0, spec_.ih * spec_.iw);
      } else {
        write_plane(call, plane);
      }
    }
  }

 private:
  struct Gap {
    std::int64_t first = 0, count = 0;
  };

  static std::vector<Gap> uncovered(const std::vector<WindowRange>& windows, std::int64_t extent) {
    std::vector<Gap> gaps;
    std::int64_t next = 0;
    for (const WindowRange& w : windows) {
      if (w.first > next) gaps.push_back({next, w.first - next});
      next = w.first + w.count;
    }
    if (extent > next) gaps.push_back({next, extent - next});
    return gaps;
  }

  float* result(const Call& call, std::int64_t element) const {
    return static_cast<float*>(call.buffers[2 + spec_.epilogue.operands.size()]) + element;
  }
  std::int64_t element(std::int64_t plane, std::int64_t position) const {
    return (plane * spec_.ih * spec_.iw + position) * kLanes;
  }
  void bind_operands(PoolBackwardArgs& args, const Call& call, std::int64_t plane,
                     std::int64_t at) const {
    set_operand_pointers(args.operands, spec_.epilogue, call.buffers + 2, at,
                         plane % blocks_of(spec_.channels) * kLanes);
  }

  void clear(const Call& call, std::int64_t plane, std::int64_t first, std::int64_t count) const {
    std::memset(result(call, element(plane, first)), 0, static_cast<std::size_t>(count * kPixel));
  }

  void sweep(const Call& call, std::int64_t plane, std::int64_t first, std::int64_t count) const {
    PoolBackwardArgs args;
    args.result = result(call, element(plane, first));
    args.count = count;
    bind_operands(args, call, plane, element(plane, first));
    sweep_.front()(&args);
  }

  // Positions that no window reaches.
  void write_gap(const Call& call, std::int64_t plane, std::int64_t first,
                 std::int64_t count) const {
    if (count <= 0) return;
    sweep_.empty() ? clear(call, plane, first, count) : sweep(call, plane, first, count);
  }

  void write_plane(const Call& call, std::int64_t plane) const {
    std::int64_t next = 0;
    for (std::int64_t y = 0; y < spec_.oh; ++y) {
      const WindowRange& rows = windows_.rows[static_cast<std::size_t>(y)];
      write_gap(call, plane, next * spec_.iw, (rows.first - next) * spec_.iw);
      next = rows.first + rows.count;
      run_row(call, plane, y);
      for (const Gap& gap : gaps_)
        for (std::int64_t row = rows.first; row < next; ++row)
          write_gap(call, plane, row * spec_.iw + gap.first, gap.count);
    }
    write_gap(call, plane, next * spec_.iw, (spec_.ih - next) * spec_.iw);
  }

  void run_row(const Call& call, std::int64_t plane, std::int64_t y) const {
    const WindowRange& rows = windows_.rows[static_cast<std::size_t>(y)];
    const auto run = [&](std::int64_t x, std::int64_t count, bool whole) {
      const WindowRange& columns = windows_.columns[static_cast<std::size_t>(x)];
      const std::int64_t at = element(plane, rows.first * spec_.iw + columns.first);
      const std::int64_t from = ((plane * spec_.oh + y) * spec_.ow + x) * kLanes;
      PoolBackwardArgs args;
      args.input = address(call.buffers[0], spec_.indices ? from : at * kF32);
      args.gradient = address(call.buffers[1], from * kF32);
      args.result = result(call, at);
      args.count = count;
      set_window_args(args.window, spec_, rows, columns, kLanes);
      bind_operands(args, call, plane, at);
      (whole ? whole_.front() : clipped_)(&args);
    };
    windows_.visit_row(rows.whole && !whole_.empty(), run);
  }

  ir::PoolSpec spec_;
  PoolWindows windows_;
  bool overlap_;
  std::vector<Gap> gaps_;  // columns that no window reaches
  Routine clipped_;
  std::vector<Routine> whole_, sweep_;  // one each, where needed
};

}  // namespace

std::shared_ptr<const Kernel> compile_pool_backward(const ir::PoolSpec& spec, const ir::Isa& isa) {
  return std::make_shared<PoolBackwardKernel>(spec, isa);
}

}  // namespace taper::codegen
