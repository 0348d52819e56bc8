// Sizes that all generators share.
#pragma once

#include <cstdint>

#include "ir/type.h"

namespace taper::codegen {

inline constexpr std::int64_t kF32 = 4;                // bytes of an element
inline constexpr std::int64_t kLanes = ir::kBlock;     // virtual lanes of a horizontal reduction
inline constexpr std::int64_t kPixel = kLanes * kF32;  // bytes of a pixel's block of channels

// a / b and the rest, for a >= 0 and b > 0. What small calls spend on 64-bit division can exceed
// their work.
struct Division {
  std::int64_t quotient = 0, rest = 0;
};
inline Division divide(std::int64_t a, std::int64_t b) {
  if (a < b) return {0, a};
  if (((a | b) >> 32) == 0) {
    const auto small_a = static_cast<std::uint32_t>(a), small_b = static_cast<std::uint32_t>(b);
    return {small_a / small_b, small_a % small_b};
  }
  return {a / b, a % b};
}

inline std::int64_t divide_up(std::int64_t a, std::int64_t b) {
  return divide(a + b - 1, b).quotient;
}
using ir::blocks_of;

}  // namespace taper::codegen
