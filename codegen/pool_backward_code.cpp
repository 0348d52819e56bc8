#include "codegen/pool_backward_code.h"

#include <cstddef>
#include <vector>

#include "codegen/expr.h"
#include "codegen/maximum.h"
#include "codegen/routine_emitter.h"
#include "ir/attrs.h"

namespace taper::codegen {
namespace {

class PoolBackwardEmitter : RoutineEmitter {
 public:
  PoolBackwardEmitter(const ir::PoolSpec& spec, const ir::Isa& isa)
      : RoutineEmitter(isa),
        spec_(spec),
        overlap_(windows_overlap(spec)),
        max_(spec.kind == ir::PoolKind::max && !spec.indices) {}

  Routine emit_whole() {
    begin_pool("pool_backward_whole");
    const Gp gradient = argument(offsetof(PoolBackwardArgs, gradient));
    const Gp count = argument(offsetof(PoolBackwardArgs, count));
    const Label top = m_.label();
    m_.bind(top);
    for (int h = 0; h < halves(); ++h) emit_whole_half(gradient, h);
    const std::int64_t stride = spec_.stride[1];
    m_.add(input_, spec_.indices ? kLanes : stride * kPixel);
    m_.add(result_, stride * kPixel);
    m_.add(element_, stride * kLanes);
    m_.add(gradient, kPixel);
    m_.loop(count, top);
    return end();
  }

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

  Routine emit_sweep(bool from_zero) {
    begin_pool("pool_backward_sweep");
    const Gp count = argument(offsetof(PoolBackwardArgs, count));
    const Label top = m_.label();
    m_.bind(top);
    for (int h = 0; h < halves(); ++h) {
      from_zero ? m_.zero(x_) : m_.load(x_, {result_, h * bytes()});
      apply_epilogue(x_, 0, h);
      m_.store({result_, h * bytes()}, x_);
    }
    m_.add(result_, kPixel);
    m_.add(element_, kLanes);
    m_.loop(count, top);
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
    const Label row = m_.label(), column = m_.label();
    m_.bind(row);
    m_.load(columns, window(offsetof(WindowArgs, columns)));
    m_.bind(column);
    for (int h = 0; h < halves(); ++h) body(h);
    m_.add(input_, kPixel);
    m_.add(result_, kPixel);
    m_.add(element_, kLanes);
    if (spec_.indices) m_.add(tap_, tap_, one_);
    m_.loop(columns, column);
    if (spec_.indices) {
      m_.broadcast(x_, window(offsetof(WindowArgs, skipped_taps)));
      m_.add(tap_, tap_, x_);
    }
    m_.load(columns, window(offsetof(WindowArgs, skip)));
    m_.add(element_, columns);
    m_.shift_left(columns, 2);
    m_.add(input_, columns);
    m_.add(result_, columns);
    m_.loop(rows, row);
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

}  // namespace

bool windows_overlap(const ir::PoolSpec& spec) {
  return spec.stride[0] < spec.kernel[0] || spec.stride[1] < spec.kernel[1];
}

Routine emit_pool_backward_whole(const ir::PoolSpec& spec, const ir::Isa& isa) {
  return PoolBackwardEmitter(spec, isa).emit_whole();
}
Routine emit_pool_backward_clipped(const ir::PoolSpec& spec, const ir::Isa& isa) {
  return PoolBackwardEmitter(spec, isa).emit_clipped();
}
Routine emit_pool_backward_sweep(const ir::PoolSpec& spec, const ir::Isa& isa, bool from_zero) {
  return PoolBackwardEmitter(spec, isa).emit_sweep(from_zero);
}

}  // namespace taper::codegen
