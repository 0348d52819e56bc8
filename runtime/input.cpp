#include "runtime/input.h"

#include <algorithm>
#include <cstring>

#include "ir/ahead.h"

namespace taper::runtime {

void InputBytes::copy(std::int64_t begin, std::int64_t end, std::int64_t count,
                      std::byte* to) const {
  if (images.empty()) {
    const std::size_t image = bytes.size() / static_cast<std::size_t>(count);
    const std::size_t first = static_cast<std::size_t>(begin) * image;
    const std::size_t size = static_cast<std::size_t>(end - begin) * image;
    std::ranges::copy(bytes.subspan(first, size), to + first);
    return;
  }
  for (std::int64_t i = begin; i < end; ++i) {
    const auto image = static_cast<std::size_t>(i);
    ask_behind(i, end);
    std::memcpy(to + image * image_bytes, images[image], image_bytes);
  }
}

void InputBytes::ask_behind(std::int64_t image, std::int64_t end) const {
  constexpr std::int64_t kImagesAhead = 4, kMostLines = 64;
  const auto lines = static_cast<std::int64_t>(image_bytes) / ir::kCacheLine + 1;
  if (image + kImagesAhead < end)
    ir::ask_for_lines(images[static_cast<std::size_t>(image + kImagesAhead)],
                      std::min(lines, kMostLines));
}

std::span<const std::byte> InputBytes::in_one_piece(std::vector<std::byte>& storage) const {
  if (images.empty()) return bytes;
  storage.resize(size());
  const auto count = static_cast<std::int64_t>(images.size());
  copy(0, count, count, storage.data());
  return storage;
}

}  // namespace taper::runtime
