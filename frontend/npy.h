// NumPy's array files: .npy, and .npz archives of them. The files are untrusted: sizes are checked
// before memory is taken. Every function throws taper::Error naming the file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "ir/type.h"

namespace taper::data {

enum class NpyType : std::uint8_t { boolean, i8, u8, i16, u16, i32, u32, i64, u64, f16, f32, f64 };

std::size_t byte_size(NpyType type);
std::string_view name(NpyType type);  // NumPy's: "bool", "int8", ..., "float64"

struct NpyArray {
  NpyType type = NpyType::f32;
  ir::Shape shape;               // empty: one number
  std::vector<std::byte> bytes;  // row-major, little-endian, whatever the file's order was
  std::string file = {};         // where it came from, for messages

  std::int64_t size() const { return static_cast<std::int64_t>(bytes.size() / byte_size(type)); }

  // The elements as T: float, double, std::int8_t, std::uint8_t, std::int32_t or std::int64_t.
  // Floating-point results are rounded to nearest even; an integer T takes whole numbers that it
  // can hold, and anything else is a taper::Error.
  template <class T>
  std::vector<T> to() const;

  // The array of `values`, whose type is one of `to`'s.
  template <class T>
  static NpyArray of(ir::Shape shape, const std::vector<T>& values);
};

// At most 2^31 bytes of numbers or booleans; other element types are errors.
NpyArray read_npy(const std::filesystem::path& path);
void write_npy(const std::filesystem::path& path, const NpyArray& array);  // replaced as a whole

// The arrays of an archive, without the suffix .npy, in the archive's order.
std::vector<std::string> npz_names(const std::filesystem::path& path);
NpyArray read_npz(const std::filesystem::path& path, std::string_view array);
// As numpy.savez does, without compression.
void write_npz(const std::filesystem::path& path,
               const std::vector<std::pair<std::string, NpyArray>>& arrays);

// Up to `size` next bytes of a stream to `to`; fewer only at its end.
using NpySource = std::function<std::size_t(std::byte* to, std::size_t size)>;
// The array that is all of a stream; `file` is its name in errors.
NpyArray read_npy(const NpySource& source, std::string file);
std::vector<std::byte> npy_bytes(const NpyArray& array);  // header and elements

}  // namespace taper::data
