// Sizes that all generators share.
#pragma once

#include <cstdint>

#include "ir/type.h"

namespace taper::codegen {

inline constexpr std::int64_t kF32 = 4;                // bytes of an element
inline constexpr std::int64_t kLanes = ir::kBlock;     // virtual lanes of a horizontal reduction
inline constexpr std::int64_t kPixel = kLanes * kF32;  // bytes of a pixel's block of channels

inline std::int64_t blocks_of(std::int64_t channels) {
  return (channels + ir::kBlock - 1) / ir::kBlock;
}

}  // namespace taper::codegen
