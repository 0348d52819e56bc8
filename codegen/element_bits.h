// How one element lies in memory.
#pragma once

#include <cstdint>

#include "ir/type.h"

namespace taper::codegen {

// The bytes of `value` rounded to `dtype`, in the low byte_size(dtype) bytes.
std::uint32_t element_bits(ir::DType dtype, double value);

}  // namespace taper::codegen
