// Files that are replaced as a whole.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

namespace taper {

// Afterwards `path` holds `parts` one after another, also after a power cut. Whatever happens
// before, `kill -9` included, leaves what it held: the bytes go to "PATH.partial", which is synced
// and renamed. Savers of the same path take turns. A link is followed. Throws taper::Error naming
// the file, also for what is no regular file; the old one is unchanged then.
void write_atomically(const std::filesystem::path& path,
                      std::span<const std::span<const std::byte>> parts);
inline void write_atomically(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  write_atomically(path, std::span(&bytes, 1));
}

}  // namespace taper
