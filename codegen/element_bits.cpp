#include "codegen/element_bits.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "ir/eval.h"

namespace taper::codegen {
namespace {

// The bits of `value`, which is a value of half precision.
std::uint16_t half_bits(double value) {
  const auto sign = static_cast<std::uint16_t>(std::signbit(value) ? 0x8000 : 0);
  const double size = std::fabs(value);
  if (std::isnan(value)) return static_cast<std::uint16_t>(sign | 0x7e00);
  if (std::isinf(value)) return static_cast<std::uint16_t>(sign | 0x7c00);
  if (size == 0) return sign;
  const int exponent = std::max(std::ilogb(size), -14);
  const auto steps = static_cast<int>(std::ldexp(size, 10 - exponent));  // of 2^(exponent - 10)
  // Subnormals have steps < 1024: the implicit bit is then missing from the sum.
  return static_cast<std::uint16_t>(sign | (((exponent + 14) << 10) + steps));
}

}  // namespace

std::uint32_t element_bits(ir::DType dtype, double value) {
  const double rounded = ir::round_to(dtype, value);
  switch (dtype) {
    case ir::DType::f32:
      return std::bit_cast<std::uint32_t>(static_cast<float>(rounded));
    case ir::DType::bf16:
      return std::bit_cast<std::uint32_t>(static_cast<float>(rounded)) >> 16;
    case ir::DType::f16:
      return half_bits(rounded);
    case ir::DType::i8:
    case ir::DType::u8:
    case ir::DType::i32:
    case ir::DType::boolean:
      break;
  }
  return static_cast<std::uint32_t>(static_cast<std::int64_t>(rounded));
}

}  // namespace taper::codegen
