// The routines of the reduction kernel.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "codegen/element_epilogue.h"
#include "codegen/kernel.h"

namespace taper::codegen {

// What a prologue may read.
inline constexpr std::size_t kMaxReduceInputs = 4;
// Results of one walk.
inline constexpr std::size_t kMaxReduceTerms = 2;

struct AccumulateArgs {
  std::array<const void*, kMaxReduceInputs> sources;
  float* totals;            // 16 lanes of each result, which the piece is added to
  std::int64_t rows, tail;  // rows of 16 elements, then `tail` more elements
};
struct FinishArgs {
  const float* totals;
  float* result;
  std::int64_t lanes;  // results to store
  float count;         // divisor of a mean
  OperandPointers operands;
};

// How a routine reads one input of the prologue.
struct ReduceSource {
  ir::DType dtype = ir::DType::f32;
  bool walked = true;  // along the rows; else all rows read the same
  bool splat = false;  // one element for all lanes, of what is not walked
};

struct AccumulateSpec {
  ir::ReduceKind kind{};
  std::int64_t stride = 0;  // between rows, in elements
  bool with_tail = false;   // else args.tail is not looked at
  std::vector<ReduceSource> sources;
  ir::Expr prologue;  // empty: source 0 itself
};

// Adds (or compares) one piece of rows in the order that reduce.cpp states. Throws taper::Error for
// a prologue that needs more registers than there are.
Routine emit_reduce_accumulate(const ir::Isa& isa, const AccumulateSpec& spec);

// Totals, through the division of a mean and the epilogue, to the result.
Routine emit_reduce_finish(const ir::Isa& isa, const ir::ReduceSpec& spec);

}  // namespace taper::codegen
