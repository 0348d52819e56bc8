// Pooling, backward, over c16. The gradient of a max goes to the tap that forward numbered; or the
// max is found again in the input: the first tap that equals it (the first NaN if any). Windows are
// taken in scan order, so that where they overlap the sum of an element has a fixed order.
#include <cstring>
#include <vector>

#include "codegen/batch_kernel.h"
#include "codegen/pool_backward_code.h"
#include "codegen/pool_window.h"

namespace taper::codegen {
namespace {

class PoolBackwardKernel final : public BatchKernel {
 public:
  PoolBackwardKernel(const ir::PoolSpec& spec, const ir::Isa& isa)
      : BatchKernel(spec.images, blocks_of(spec.channels)),
        spec_(spec),
        windows_(pool_windows(spec)),
        overlap_(windows_overlap(spec)) {
    check_epilogue(spec.epilogue, "pool", true);
    clipped_ = emit_pool_backward_clipped(spec_, isa);
    if (pool_taps(spec) <= kUnrolledTaps) whole_.push_back(emit_pool_backward_whole(spec_, isa));
    if (!spec.epilogue.expr.empty())
      sweep_.push_back(emit_pool_backward_sweep(spec_, isa, !overlap_));
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
