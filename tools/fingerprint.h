// A number that stands for bytes: equal bytes have equal ones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace taper::tools {

// 64-bit FNV-1a.
inline std::uint64_t fingerprint(std::span<const std::byte> bytes) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const std::byte byte : bytes)
    hash = (hash ^ static_cast<std::uint64_t>(byte)) * 0x100000001b3;
  return hash;
}

}  // namespace taper::tools
