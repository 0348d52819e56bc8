// Buffers as kernels expect them: 64-byte aligned, zeroed, with 64 readable bytes past their end.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

namespace taper::runtime {

inline constexpr std::size_t kAlignment = 64;

constexpr std::size_t align_up(std::size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

struct AlignedFree {
  void operator()(std::byte* p) const { std::free(p); }
};
using AlignedBytes = std::unique_ptr<std::byte[], AlignedFree>;

// Throws std::bad_alloc.
inline AlignedBytes allocate_aligned(std::size_t bytes) {
  const std::size_t size = align_up(bytes) + kAlignment;
  auto* p = static_cast<std::byte*>(std::aligned_alloc(kAlignment, size));
  if (p == nullptr) throw std::bad_alloc();
  std::memset(p, 0, size);
  return AlignedBytes(p);
}

}  // namespace taper::runtime
