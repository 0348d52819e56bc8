// The first byte chooses: a .npy or a .npz file. An array that is accepted converts, or says why
// not, and comes back from what is written of it.
#include "frontend/npy.h"

#include <algorithm>

#include "ir/error.h"
#include "tests/fuzz/memory_file.h"

namespace {

using namespace taper::data;

template <class T>
void convert(const NpyArray& array) {
  try {
    require(static_cast<std::int64_t>(array.to<T>().size()) == array.size());
  } catch (const taper::Error&) {
  }
}

NpyArray read(const std::vector<std::byte>& bytes) {
  std::size_t position = 0;
  const NpySource source = [&](std::byte* to, std::size_t size) {
    const std::size_t count = std::min(size, bytes.size() - position);
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(position), count, to);
    position += count;
    return count;
  };
  return read_npy(source, "fuzz");
}

void check(const NpyArray& array) {
  convert<float>(array);
  convert<std::uint8_t>(array);
  convert<std::int32_t>(array);
  convert<std::int64_t>(array);
  const NpyArray again = read(npy_bytes(array));
  require(again.type == array.type && again.shape == array.shape && again.bytes == array.bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  try {
    const MemoryFile memory(data + 1, size - 1);
    if (data[0] % 2 == 0) {
      check(read_npy(memory.path()));
      return 0;
    }
    for (const std::string& name : npz_names(memory.path())) {
      try {
        check(read_npz(memory.path(), name));
      } catch (const taper::Error&) {
      }
    }
  } catch (const taper::Error&) {
  }
  return 0;
}
