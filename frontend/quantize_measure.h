// Whether a layer is faster in bytes on this host.
#pragma once

#include <optional>

#include "frontend/quantize_ranges.h"
#include "runtime/executable.h"

namespace taper::quantize {

struct Duration {
  double f32 = 0, integers = 0;  // seconds of its kernels at max_batch, the shortest of several
};

// Runs the layer with a ReLU, from f32 to f32 and from bytes to bytes, in turn, and takes the time
// of its kernels. Nothing where the interpreter runs, which has none.
std::optional<Duration> measure(const ir::Graph& graph, const Candidate& layer,
                                runtime::CompileOptions options);

}  // namespace taper::quantize
