// The transpose of a matrix of 32-bit elements, by square tiles that stay in registers.
#pragma once

#include <cstdint>

#include "codegen/kernel.h"
#include "ir/isa.h"

namespace taper::codegen {

// Element (i, j) is at source[i * source_row + j] and goes to result[j * result_row + i].
struct Transpose {
  std::int64_t rows = 0, columns = 0;  // of the source
  std::int64_t source_row = 0, result_row = 0;
};

// Where a call finds element (0, 0).
struct TransposeArgs {
  const void* source;
  void* result;
};

Routine emit_transpose(const Transpose& shape, const ir::Isa& isa);

}  // namespace taper::codegen
