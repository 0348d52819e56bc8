#include "codegen/element_bits.h"

#include <bit>

#include "ir/eval.h"
#include "ir/narrow_float.h"

namespace taper::codegen {

std::uint32_t element_bits(ir::DType dtype, double value) {
  const double rounded = ir::round_to(dtype, value);
  switch (dtype) {
    case ir::DType::f32:
      return std::bit_cast<std::uint32_t>(static_cast<float>(rounded));
    case ir::DType::bf16:
      return to_bf16(static_cast<float>(rounded));
    case ir::DType::f16:
      return to_f16(static_cast<float>(rounded));
    case ir::DType::i8:
    case ir::DType::u8:
    case ir::DType::i32:
    case ir::DType::boolean:
      break;
  }
  return static_cast<std::uint32_t>(static_cast<std::int64_t>(rounded));
}

}  // namespace taper::codegen
