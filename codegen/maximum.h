// acc = the larger of acc and x, NaN if either is. The instruction returns its second operand when
// one is NaN, so both orders are taken and or-ed: equal bits stay, a NaN stays a NaN (of zeros of
// both signs the result is -0).
#pragma once

#include <limits>

#include "codegen/masm.h"

namespace taper::codegen {

// Where a maximum starts.
inline constexpr float kLowest = -std::numeric_limits<float>::infinity();

// Clobbers x and scratch.
inline void maximum_into(Masm& m, Vec acc, Vec x, Vec scratch) {
  m.max(scratch, acc, x);
  m.max(x, x, acc);
  m.bit_or(acc, scratch, x);
}

}  // namespace taper::codegen
