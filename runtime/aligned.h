// Buffers as kernels expect them: 64-byte aligned, zeroed, with 64 readable bytes past their end.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

namespace taper::runtime {

inline constexpr std::size_t kAlignment = 64;
inline constexpr std::size_t kHugePage = std::size_t{2} << 20;

constexpr std::size_t align_up(std::size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

struct AlignedFree {
  void operator()(std::byte* p) const { std::free(p); }
};
using AlignedBytes = std::unique_ptr<std::byte[], AlignedFree>;

// Throws std::bad_alloc.
inline AlignedBytes allocate_aligned(std::size_t bytes) {
  std::size_t size = align_up(bytes) + kAlignment;
  const bool large = size >= kHugePage;
  if (large) size = (size + kHugePage - 1) / kHugePage * kHugePage;
  auto* p = static_cast<std::byte*>(std::aligned_alloc(large ? kHugePage : kAlignment, size));
  if (p == nullptr) throw std::bad_alloc();
  // Kernels walk many rows at once: with small pages they would wait for address translation.
  if (large) madvise(p, size, MADV_HUGEPAGE);
  std::memset(p, 0, size);
  return AlignedBytes(p);
}

}  // namespace taper::runtime
