// Asking for cache lines ahead of their use.
#pragma once

#include <cstddef>
#include <cstdint>

namespace taper::ir {

inline constexpr std::int64_t kCacheLine = 64;

// Asks the second-level cache for `count` lines, `step` bytes apart.
inline void ask_for_lines(const std::byte* first, std::int64_t count,
                          std::int64_t step = kCacheLine) {
  constexpr int kSecondLevel = 2;  // as the builtin calls it
  for (std::int64_t i = 0; i < count; ++i) __builtin_prefetch(first + i * step, 0, kSecondLevel);
  // GCC would take this for a function without effects, and drop its calls.
  asm volatile("");
}

}  // namespace taper::ir
