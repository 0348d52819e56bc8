// Whether a layer is faster in bytes on this host.
#pragma once

#include "frontend/quantize_ranges.h"
#include "runtime/executable.h"

namespace taper::quantize {

struct Duration {
  double f32 = 0, integers = 0;  // seconds of a call at max_batch, the shortest of several
};

// Runs the layer alone, followed by ReLU, from f32 to f32 and from bytes to bytes, in turn.
Duration measure(const ir::Graph& graph, const Candidate& layer,
                 const runtime::CompileOptions& options);

}  // namespace taper::quantize
