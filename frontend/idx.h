// The idx format of MNIST: a big-endian header and unsigned bytes, plain or gzip.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

namespace taper::data {

struct IdxFile {
  std::vector<std::int64_t> extents;
  std::vector<std::uint8_t> bytes;  // row-major
};

// Reads a file of unsigned bytes with `rank` extents. The file is untrusted: magic, sizes (at most
// 2^31 bytes) and length are checked before memory is taken. Throws taper::Error naming the file.
IdxFile read_idx(const std::filesystem::path& path, int rank);

}  // namespace taper::data
