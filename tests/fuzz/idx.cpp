// The first byte is the rank; the rest a file, plain or gzip.
#include "frontend/idx.h"

#include "ir/error.h"
#include "tests/fuzz/memory_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const MemoryFile memory(data + 1, size - 1);
  try {
    const int rank = data[0] % 4;
    const taper::data::IdxFile file = taper::data::read_idx(memory.path(), rank);
    std::int64_t count = 1;
    for (const std::int64_t extent : file.extents) count *= extent;
    require(static_cast<int>(file.extents.size()) == rank);
    require(count == static_cast<std::int64_t>(file.bytes.size()));
  } catch (const taper::Error&) {
  }
  return 0;
}
