// The routines of the reduction kernel.
#pragma once

#include <cstdint>
#include <limits>

#include "codegen/element_epilogue.h"
#include "codegen/kernel.h"

namespace taper::codegen {

// Where a maximum starts.
inline constexpr float kLowest = -std::numeric_limits<float>::infinity();

struct AccumulateArgs {
  const float* source;
  float* totals;            // 16 lanes, which the piece is added to
  std::int64_t rows, tail;  // rows of 16 elements, then `tail` more elements
};
struct FinishArgs {
  const float* totals;
  float* result;
  std::int64_t lanes;  // results to store
  float count;         // divisor of a mean
  OperandPointers operands;
};

// Adds (or compares) one piece of rows, `stride` elements apart, in the order that reduce.cpp
// states. Without `with_tail`, args.tail is not looked at.
Routine emit_reduce_accumulate(const ir::Isa& isa, ir::ReduceKind kind, std::int64_t stride,
                               bool with_tail);

// Totals, through the division of a mean and the epilogue, to the result.
Routine emit_reduce_finish(const ir::Isa& isa, const ir::ReduceSpec& spec);

}  // namespace taper::codegen
