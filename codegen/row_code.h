// The routine of the row kernel.
#pragma once

#include <cstdint>

#include "codegen/kernel.h"

namespace taper::codegen {

struct RowArgs {  // pointers to the first row's entries; those that the kind lacks are null
  const float* x;
  const std::int32_t* labels;
  const float* dloss;
  float* loss;
  float* result;
  std::int64_t rows;
};

// All steps of a row, row after row, in the order that row.cpp states.
Routine emit_rows(const ir::RowSpec& spec, const ir::Isa& isa);

}  // namespace taper::codegen
