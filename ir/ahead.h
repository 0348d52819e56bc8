// Asking for cache lines ahead of their use.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

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

// Takes part `i` of `parts` of the lines over from other caches, by writing what they hold: a line
// that others have read is taken by no prefetch. Nobody else may read or write them meanwhile.
inline void take_lines_over(std::span<std::byte> lines, std::int64_t i, std::int64_t parts) {
  if (lines.empty()) return;  // as for most kernels, whose small tiles two divisions would delay
  const std::int64_t count = std::ssize(lines) / kCacheLine;
  for (std::int64_t line = count * i / parts; line < count * (i + 1) / parts; ++line) {
    volatile std::byte& first = lines[static_cast<std::size_t>(line * kCacheLine)];
    first = first;
  }
}

}  // namespace taper::ir
