// Pooling, forward, over c16. Taps are combined in scan order in one chain per element; a NaN in
// the window is its max. An average is the sum divided by the window's count.
#include <cstddef>
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

struct PoolArgs {
  std::intptr_t input;  // first tap inside the input
  std::intptr_t result;
  std::intptr_t indices;
  std::int64_t count;  // whole windows: how many
  WindowArgs window;   // in bytes
  OperandPointers operands;
};

std::int64_t element_size(const ir::PoolSpec& spec) {
  return static_cast<std::int64_t>(ir::byte_size(spec.dtype));
}

class PoolEmitter : RoutineEmitter {
 public:
  PoolEmitter(const ir::PoolSpec& spec, const ir::Isa& isa) : RoutineEmitter(isa), spec_(spec) {}

  // A run of `count` windows inside the input.
  Routine emit_whole() {
    begin_pool("pool_whole");
    loop(argument(offsetof(PoolArgs, count)), [&] {
      for (int h = 0; h < halves(); ++h) {
        const Vec acc = m_.vec();
        load_lanes(m_, acc, {input_, h * bytes()}, spec_.dtype, false);
        Vec index;
        if (spec_.indices) m_.zero(index = m_.vec());
        for (std::int64_t tap = 1; tap < pool_taps(spec_); ++tap) {
          const std::int64_t y = tap / spec_.kernel[1], x = tap % spec_.kernel[1];
          if (spec_.indices) m_.constant(tap_, static_cast<float>(tap));
          combine(acc, index, {input_, (y * spec_.iw + x) * block() + h * bytes()});
        }
        finish(acc, index, h);
        m_.release(acc);
        if (spec_.indices) m_.release(index);
      }
      m_.add(input_, spec_.stride[1] * block());
      m_.add(result_, block());
      if (spec_.indices) m_.add(indices_, kLanes);
      m_.add(element_, kLanes);
    });
    return end();
  }

  // One window of a size known at run time.
  Routine emit_clipped() {
    begin_pool("pool_clipped");
    std::vector<Vec> acc, index(static_cast<std::size_t>(halves()));
    for (int h = 0; h < halves(); ++h) {
      acc.push_back(m_.vec());
      m_.constant(acc.back(), max() ? kLowest : 0.0f);
    }
    Vec one;
    if (spec_.indices) {
      m_.broadcast(tap_, window(offsetof(WindowArgs, first_tap)));
      for (Vec& v : index) m_.move(v = m_.vec(), tap_);
      m_.constant(one = m_.vec(), 1);
    }
    const Gp rows = m_.gp(), columns = m_.gp();
    m_.load(rows, window(offsetof(WindowArgs, rows)));
    loop(rows, [&] {
      m_.load(columns, window(offsetof(WindowArgs, columns)));
      loop(columns, [&] {
        for (std::size_t i = 0; i < acc.size(); ++i)
          combine(acc[i], index[i], {input_, static_cast<std::int64_t>(i) * bytes()});
        m_.add(input_, block());
        if (spec_.indices) m_.add(tap_, tap_, one);
      });
      m_.load(columns, window(offsetof(WindowArgs, skip)));
      m_.add(input_, columns);
      if (!spec_.indices) return;
      m_.broadcast(x_, window(offsetof(WindowArgs, skipped_taps)));
      m_.add(tap_, tap_, x_);
    });
    m_.release(columns);
    m_.release(rows);
    for (int h = 0; h < halves(); ++h) {
      const auto i = static_cast<std::size_t>(h);
      finish(acc[i], index[i], h);
    }
    return end();
  }

 private:
  std::int64_t bytes() const { return m_.isa().lanes * element_size(spec_); }
  std::int64_t block() const { return kLanes * element_size(spec_); }
  bool max() const { return spec_.kind == ir::PoolKind::max; }

  Address window(std::int64_t field) const {
    return Address{m_.args(), offsetof(PoolArgs, window)} + field;
  }

  void begin_pool(const char* name) {
    begin(name);
    input_ = argument(offsetof(PoolArgs, input));
    result_ = argument(offsetof(PoolArgs, result));
    element_ = m_.gp();
    m_.move(element_, 0);
    x_ = m_.vec();
    scratch_ = m_.vec();
    if (spec_.indices) {
      indices_ = argument(offsetof(PoolArgs, indices));
      tap_ = m_.vec();
      next_ = m_.vec();
    }
    if (max()) return;
    divisor_ = m_.vec();
    m_.broadcast(divisor_, window(offsetof(WindowArgs, divisor)));
  }

  // `index` becomes tap_ in the lanes where the tap is larger than all before, or the first NaN.
  void combine(Vec acc, Vec index, Address tap) {
    load_lanes(m_, x_, tap, spec_.dtype, false);
    if (spec_.indices) {
      m_.move(next_, acc);
      maximum_into(m_, next_, x_, scratch_);
      m_.compare(x_, Predicate::ne, next_, acc);
      m_.compare(scratch_, Predicate::eq, acc, acc);
      m_.bit_and(x_, x_, scratch_);
      m_.select(index, x_, tap_, index);
      m_.move(acc, next_);
    } else if (max()) {
      maximum_into(m_, acc, x_, scratch_);
    } else {
      m_.add(acc, acc, x_);
    }
  }

  void finish(Vec acc, Vec index, int h) {
    if (!max()) m_.div(acc, acc, divisor_);
    const Address operands{m_.args(), offsetof(PoolArgs, operands)};
    const int lane = h * m_.isa().lanes;
    emit_epilogue(m_, spec_.epilogue, acc,
                  {.pointers = operands, .element = element_, .offset = 0, .lane = lane});
    store_lanes(m_, {result_, h * bytes()}, acc, spec_.dtype, false);
    if (spec_.positive) {
      m_.zero(x_);
      m_.compare(x_, Predicate::lt, x_, acc);
      m_.constant(next_, 255);
      m_.select(index, x_, index, next_);
    }
    if (spec_.indices) store_lanes(m_, {indices_, lane}, index, ir::DType::u8, false);
  }

  const ir::PoolSpec& spec_;
  Gp input_, result_, element_, indices_;
  Vec x_, scratch_, divisor_, tap_, next_;
};

class PoolKernel final : public BatchKernel {
 public:
  PoolKernel(const ir::PoolSpec& spec, const ir::Isa& isa)
      : BatchKernel(spec.images, blocks_of(spec.channels)),
        spec_(spec),
        windows_(pool_windows(spec)) {
    check_epilogue(spec.epilogue, "pool", true);
    if (pool_taps(spec) <= kUnrolledTaps) routines_.push_back(PoolEmitter(spec_, isa).emit_whole());
    routines_.push_back(PoolEmitter(spec_, isa).emit_clipped());
  }

  std::vector<const Routine*> routines() const override { return with_routines({routines_}); }

  void run(const Call& call) const override {
    for (std::int64_t plane = call.begin * each(); plane < call.end * each(); ++plane)
      for (std::int64_t y = 0; y < spec_.oh; ++y) run_row(call, plane, y);
  }

 private:
  void run_row(const Call& call, std::int64_t plane, std::int64_t y) const {
    const WindowRange& rows = windows_.rows[static_cast<std::size_t>(y)];
    PoolArgs args{};
    const auto run = [&](std::int64_t x, std::int64_t count, bool whole) {
      const WindowRange& columns = windows_.columns[static_cast<std::size_t>(x)];
      const std::int64_t from = ((plane * spec_.ih + rows.first) * spec_.iw + columns.first);
      const std::int64_t to = ((plane * spec_.oh + y) * spec_.ow + x) * kLanes;
      const std::int64_t size = element_size(spec_);
      void* const* results = call.buffers + 1 + spec_.epilogue.operands.size();
      args.input = address(call.buffers[0], from * kLanes * size);
      args.result = address(results[0], to * size);
      if (spec_.indices) args.indices = address(results[1], to);
      args.count = count;
      set_window_args(args.window, spec_, rows, columns, kLanes * size);
      set_operand_pointers(args.operands, spec_.epilogue, call.buffers + 1, to,
                           plane % blocks_of(spec_.channels) * kLanes);
      (whole ? routines_.front() : routines_.back())(&args);
    };
    windows_.visit_row(rows.whole && routines_.size() > 1, run);
  }

  ir::PoolSpec spec_;
  PoolWindows windows_;
  std::vector<Routine> routines_;  // for whole windows, when they are small; for clipped ones
};

}  // namespace

std::shared_ptr<const Kernel> compile_pool(const ir::PoolSpec& spec, const ir::Isa& isa) {
  if (spec.backward) return compile_pool_backward(spec, isa);
  return std::make_shared<PoolKernel>(spec, isa);
}

}  // namespace taper::codegen
