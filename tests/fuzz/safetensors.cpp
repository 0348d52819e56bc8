// The first byte chooses: a whole file, or a header for as many bytes of data as the next four say.
// A file that is accepted is read completely.
#include "frontend/safetensors.h"

#include <cstring>

#include "ir/error.h"
#include "tests/fuzz/memory_file.h"

namespace {

using namespace taper::safetensors;

void read_all(const std::uint8_t* data, std::size_t size) {
  const MemoryFile memory(data, size);
  File file(memory.path());
  std::size_t total = 0;
  for (const auto& [name, entry] : file.tensors()) {
    const auto bytes = file.read(entry);
    total += bytes.size();
    const auto values = decode(bytes, entry.type);
    require(values.size() * byte_size(entry.type) == bytes.size());
    require(encode(values, entry.type).size() == bytes.size());
  }
  require(total < size);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 5) return 0;
  try {
    if (data[0] % 2 == 0) {
      read_all(data + 1, size - 1);
    } else {
      std::uint32_t bytes;
      std::memcpy(&bytes, data + 1, sizeof bytes);
      parse_header({reinterpret_cast<const char*>(data + 5), size - 5}, bytes, "fuzz");
    }
  } catch (const taper::Error&) {
  }
  return 0;
}
