// What a caller gives for an input.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace taper::runtime {

// Bytes of an input, row-major: in one piece, or each image where it lies, say in a data set that
// is in memory. They must stay as they are until the run is over.
struct InputBytes {
  std::span<const std::byte> bytes;
  std::span<const std::byte* const> images;  // if not empty, `bytes` is
  std::size_t image_bytes = 0;               // of each of `images`

  InputBytes() = default;
  InputBytes(std::span<const std::byte> all) : bytes(all) {}
  InputBytes(std::span<const std::byte* const> addresses, std::size_t each)
      : images(addresses), image_bytes(each) {}

  std::size_t size() const { return images.empty() ? bytes.size() : images.size() * image_bytes; }

  // Copies images [begin, end) of `count` to their places in `to`, which has room for all.
  void copy(std::int64_t begin, std::int64_t end, std::int64_t count, std::byte* to) const;

  // Asks for an image soon after this one, before `end`: shuffled ones come from anywhere, and
  // reading them one by one is waiting for memory.
  void ask_behind(std::int64_t image, std::int64_t end) const;

  // All of it in one piece: where it lies, or copied into `storage`.
  std::span<const std::byte> in_one_piece(std::vector<std::byte>& storage) const;
};

}  // namespace taper::runtime
