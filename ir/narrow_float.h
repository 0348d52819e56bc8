// The 16-bit floating-point formats, bit by bit.
#pragma once

#include <cstdint>

namespace taper {

// To the nearest, ties to even; overflow gives infinity, and NaN stays NaN.
std::uint16_t to_f16(float value);
std::uint16_t to_bf16(float value);

// Exact.
float from_f16(std::uint16_t bits);
float from_bf16(std::uint16_t bits);

}  // namespace taper
