// Reading and writing safetensors files: named tensors, row-major and little-endian, behind a JSON
// header. The files are untrusted: one is checked completely, up to the last offset, before memory
// for a tensor is taken. Every function throws taper::Error naming the file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "frontend/safetensors_types.h"
#include "ir/type.h"

namespace taper::safetensors {

using Metadata = std::map<std::string, std::string>;

// Where a tensor lies: bytes [begin, end) after the header, exactly as many as type and shape need.
struct Entry {
  Type type = Type::f32;
  ir::Shape shape;
  std::uint64_t begin = 0, end = 0;
};
std::string to_string(const Entry& entry);  // "F32[128,784]"

struct Header {
  std::map<std::string, Entry, std::less<>> tensors;
  Metadata metadata;
};

// The rules: JSON of UTF-8 that begins with '{', no key twice, nothing unknown, offsets that cover
// [0, data_bytes) without gap or overlap. `file` is the name in errors.
Header parse_header(std::string_view json, std::uint64_t data_bytes, std::string_view file);

// An open file. One that is replaced meanwhile stays readable.
class File {
 public:
  explicit File(const std::filesystem::path& path);

  const std::string& name() const { return name_; }
  const std::map<std::string, Entry, std::less<>>& tensors() const { return header_.tensors; }
  const Metadata& metadata() const { return header_.metadata; }
  const Entry* find(std::string_view tensor) const;  // nullptr: there is none

  std::vector<std::byte> read(const Entry& entry);

 private:
  std::string name_;
  std::ifstream stream_;
  Header header_;
  std::uint64_t data_begin_ = 0;
};

// A tensor to be written, row-major.
struct Tensor {
  std::string name;
  Type type = Type::f32;
  ir::Shape shape;
  std::vector<std::byte> bytes;
};

// Replaces the file as a whole (frontend/atomic_file.h). Names are different UTF-8 strings other
// than "__metadata__".
void write(const std::filesystem::path& path, const std::vector<Tensor>& tensors,
           const Metadata& metadata = {});

}  // namespace taper::safetensors
