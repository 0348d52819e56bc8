// Geometry of pooling windows, shared by the forward and the backward kernel.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "codegen/kernel.h"
#include "codegen/sizes.h"

namespace taper::codegen {

// Windows of more taps than this are walked by loops instead of straight code.
inline constexpr std::int64_t kUnrolledTaps = 32;

// One window along one axis.
struct WindowRange {
  std::int64_t first = 0, count = 0;  // its part inside the input
  std::int64_t cut = 0;               // its elements before the input
  std::int64_t divided_by = 0;        // its part of the divisor of an average
  bool whole = false;                 // count is the kernel's extent
};

struct PoolWindows {
  std::vector<WindowRange> rows, columns;
  std::int64_t whole_begin = 0, whole_end = 0;  // columns [whole_begin, whole_end) are whole

  // Calls run(first column, count, whole) for the windows of one row, left to right: one by one,
  // but for those that are whole when `unrolled`.
  template <class Run>
  void visit_row(bool unrolled, Run&& run) const {
    const auto end = static_cast<std::int64_t>(columns.size());
    const std::int64_t stop = unrolled ? whole_begin : end;
    for (std::int64_t c = 0; c < stop; ++c) run(c, 1, false);
    if (!unrolled) return;
    if (whole_begin < whole_end) run(whole_begin, whole_end - whole_begin, true);
    for (std::int64_t c = whole_end; c < end; ++c) run(c, 1, false);
  }
};

// Throws taper::Error when a window lies outside of the input.
PoolWindows pool_windows(const ir::PoolSpec& spec);

inline std::int64_t pool_taps(const ir::PoolSpec& spec) {
  return spec.kernel[0] * spec.kernel[1];
}

// Part of the args struct of a routine: a window that the borders of the input may cut.
struct WindowArgs {
  std::int64_t rows = 0, columns = 0;  // its taps inside the input
  std::int64_t skip = 0;   // from the end of one of its rows to the next one, in the routine's unit
  float divisor = 1;       // of an average
  float first_tap = 0;     // of those inside, by its number, row by row in the whole window
  float skipped_taps = 0;  // between two rows of those inside
};

// With a pixel of `pixel` units. In place: copying what was only just stored would wait for the
// stores.
inline void set_window_args(WindowArgs& args, const ir::PoolSpec& spec, const WindowRange& rows,
                            const WindowRange& columns, std::int64_t pixel) {
  args.rows = rows.count;
  args.columns = columns.count;
  args.skip = (spec.iw - columns.count) * pixel;
  args.divisor = static_cast<float>(rows.divided_by * columns.divided_by);
  args.first_tap = static_cast<float>(rows.cut * spec.kernel[1] + columns.cut);
  args.skipped_taps = static_cast<float>(spec.kernel[1] - columns.count);
}

std::shared_ptr<const Kernel> compile_pool_backward(const ir::PoolSpec&, const ir::Isa&);

}  // namespace taper::codegen
