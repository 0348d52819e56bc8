// The routines of the backward pooling kernel.
#pragma once

#include <cstdint>

#include "codegen/element_epilogue.h"
#include "codegen/kernel.h"
#include "codegen/pool_window.h"

namespace taper::codegen {

struct PoolBackwardArgs {
  std::intptr_t input = 0;     // first tap inside the input; or the first window's indices
  std::intptr_t gradient = 0;  // of the first window
  float* result = nullptr;     // where the first tap's gradient goes
  std::int64_t count = 0;      // windows of a run, or positions of a sweep
  WindowArgs window;           // in elements
  OperandPointers operands{};
};

// Windows that do not overlap write their gradients through the epilogue; others add to the result.
bool windows_overlap(const ir::PoolSpec& spec);

// A run of `count` windows inside the input.
Routine emit_pool_backward_whole(const ir::PoolSpec& spec, const ir::Isa& isa);
// One window of a size known at run time.
Routine emit_pool_backward_clipped(const ir::PoolSpec& spec, const ir::Isa& isa);
// Puts `count` positions of the result through the epilogue; a position's accumulator is its
// content, or zero where no window reaches (`from_zero`).
Routine emit_pool_backward_sweep(const ir::PoolSpec& spec, const ir::Isa& isa, bool from_zero);

}  // namespace taper::codegen
