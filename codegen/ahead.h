// Asking for cache lines ahead of their use, from C++ between generated routines.
#pragma once

#include <cstdint>

namespace taper::codegen {

inline constexpr std::int64_t kCacheLine = 64;

// Asks the second-level cache for `count` lines, `step` bytes apart.
inline void ask_for_lines(std::uintptr_t first, std::int64_t count,
                          std::int64_t step = kCacheLine) {
  constexpr int kSecondLevel = 2;  // as the builtin calls it
  for (std::int64_t i = 0; i < count; ++i) {
    const std::uintptr_t at = first + static_cast<std::uintptr_t>(i * step);
    __builtin_prefetch(reinterpret_cast<const void*>(at), 0, kSecondLevel);
  }
  // GCC would take this for a function without effects, and drop its calls.
  asm volatile("");
}

}  // namespace taper::codegen
