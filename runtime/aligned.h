// Buffers as kernels expect them: 64-byte aligned, zeroed, with 64 readable bytes past their end.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

namespace taper::runtime {

inline constexpr std::size_t kAlignment = 64;
inline constexpr std::size_t kHugePage = std::size_t{2} << 20;
inline constexpr std::size_t kMapped = std::size_t{64} << 10;  // a whole number of pages anywhere

constexpr std::size_t align_up(std::size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

// A mapping has no red zones around it.
#ifdef __SANITIZE_ADDRESS__
inline constexpr bool kChecked = true;
#else
inline constexpr bool kChecked = false;
#endif

struct AlignedFree {
  std::size_t mapped = 0;  // bytes, when the memory is a mapping of its own
  void operator()(std::byte* p) const {
    if (mapped > 0)
      munmap(p, mapped);
    else
      std::free(p);
  }
};
using AlignedBytes = std::unique_ptr<std::byte[], AlignedFree>;

// `size` bytes, whole pages, that the system hands out zeroed when they are first touched. Large
// ones in huge pages: with small ones, kernels that walk many rows at once would wait for address
// translation. Throws std::bad_alloc.
inline AlignedBytes map_pages(std::size_t size) {
  const bool huge = size >= kHugePage;
  if (huge) size = (size + kHugePage - 1) / kHugePage * kHugePage;
  const std::size_t slack = huge ? kHugePage : 0;
  void* start =
      mmap(nullptr, size + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (start == MAP_FAILED) throw std::bad_alloc();
  auto* first = static_cast<std::byte*>(start);
  if (huge) {
    const std::size_t skipped = -reinterpret_cast<std::uintptr_t>(first) % kHugePage;
    if (skipped > 0) munmap(first, skipped);
    if (skipped < slack) munmap(first + skipped + size, slack - skipped);
    first += skipped;
    madvise(first, size, MADV_HUGEPAGE);
  }
  return AlignedBytes(first, AlignedFree{size});
}

// Throws std::bad_alloc.
inline AlignedBytes allocate_aligned(std::size_t bytes) {
  const std::size_t size = align_up(bytes) + kAlignment;
  if (size >= kMapped && !kChecked) return map_pages((size + kMapped - 1) / kMapped * kMapped);
  auto* p = static_cast<std::byte*>(std::aligned_alloc(kAlignment, size));
  if (p == nullptr) throw std::bad_alloc();
  std::memset(p, 0, size);
  return AlignedBytes(p);
}

}  // namespace taper::runtime
