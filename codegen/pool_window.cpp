#include "codegen/pool_window.h"

#include <algorithm>

#include "ir/error.h"

namespace taper::codegen {
namespace {

struct WindowAxis {
  std::int64_t extent, outputs, kernel, stride, before, after;
};

std::vector<WindowRange> ranges(const WindowAxis& axis, bool include_pad) {
  std::vector<WindowRange> all;
  for (std::int64_t o = 0; o < axis.outputs; ++o) {
    const std::int64_t begin = o * axis.stride - axis.before;
    const std::int64_t end = std::min(begin + axis.kernel, axis.extent + axis.after);
    WindowRange range;
    range.first = std::max<std::int64_t>(begin, 0);
    range.cut = range.first - begin;
    range.count = std::min(end, axis.extent) - range.first;
    range.divided_by = include_pad ? end - begin : range.count;
    range.whole = range.count == axis.kernel;
    if (range.count <= 0) {
      throw Error("pool: window {} of {} elements lies outside of the input's {}", o, axis.kernel,
                  axis.extent);
    }
    all.push_back(range);
  }
  return all;
}

}  // namespace

PoolWindows pool_windows(const ir::PoolSpec& s) {
  PoolWindows windows;
  windows.rows = ranges({s.ih, s.oh, s.kernel[0], s.stride[0], s.padding[0], s.padding[2]},
                        s.count_include_pad);
  windows.columns = ranges({s.iw, s.ow, s.kernel[1], s.stride[1], s.padding[1], s.padding[3]},
                           s.count_include_pad);
  const auto whole = [](const WindowRange& r) { return r.whole; };
  const auto& columns = windows.columns;
  const auto first = std::ranges::find_if(columns, whole);
  const auto end = std::find_if_not(first, columns.end(), whole);
  windows.whole_begin = first - columns.begin();
  windows.whole_end = end - columns.begin();
  return windows;
}

}  // namespace taper::codegen
