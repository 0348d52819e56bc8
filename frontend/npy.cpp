#include "frontend/npy.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <utility>

#include "frontend/atomic_file.h"
#include "frontend/npy_header.h"
#include "ir/error.h"
#include "ir/narrow_float.h"

namespace taper::data {
namespace {

constexpr std::size_t kMaxHeader = std::size_t{1} << 16;
constexpr std::size_t kChunk = std::size_t{1} << 20;
static_assert(std::endian::native == std::endian::little);

std::string read_header(const NpySource& source, const std::string& file) {
  std::array<std::byte, 12> start{};
  const auto byte = [&](std::size_t i) { return std::to_integer<std::size_t>(start[i]); };
  if (source(start.data(), 8) != 8 || std::memcmp(start.data(), "\x93NUMPY", 6) != 0)
    throw Error("{}: is no .npy data of NumPy", file);
  const std::size_t version = byte(6);
  if (version < 1 || version > 3)
    throw Error("{}: version {} of the .npy format is unknown", file, version);
  const std::size_t width = version == 1 ? 2 : 4;
  const bool whole = source(start.data() + 8, width) == width;
  std::size_t length = byte(8) | byte(9) << 8;
  if (version > 1) length |= byte(10) << 16 | byte(11) << 24;
  if (!whole || length > kMaxHeader)
    throw Error("{}: the header of the .npy data is {}", file,
                whole ? "longer than 64 KB" : "truncated");
  std::string text(length, ' ');
  if (source(reinterpret_cast<std::byte*>(text.data()), length) != length)
    throw Error("{}: the header of the .npy data is truncated", file);
  return text;
}

// Grown chunk by chunk: a short file with a huge header takes little memory.
std::vector<std::byte> read_elements(const NpySource& source, std::size_t size,
                                     const std::string& file) {
  std::vector<std::byte> bytes;
  while (bytes.size() < size) {
    const std::size_t have = bytes.size();
    const std::size_t want = std::min(kChunk, size - have);
    bytes.resize(have + want);
    const std::size_t got = source(bytes.data() + have, want);
    if (got < want)
      throw Error("{}: truncated, {} of {} bytes of elements are there", file, have + got, size);
  }
  std::byte extra;
  if (source(&extra, 1) != 0)
    throw Error("{}: longer than the {} bytes its header states", file, size);
  return bytes;
}

void swap_bytes(std::vector<std::byte>& bytes, std::size_t width) {
  for (auto element = bytes.begin(); element != bytes.end();
       element += static_cast<std::ptrdiff_t>(width))
    std::reverse(element, element + static_cast<std::ptrdiff_t>(width));
}

// Column-major elements to row-major ones.
std::vector<std::byte> reordered(const std::vector<std::byte>& bytes, const ir::Shape& shape,
                                 std::size_t width) {
  std::vector<std::size_t> stride(shape.size(), width), at(shape.size(), 0);
  for (std::size_t axis = 1; axis < shape.size(); ++axis)
    stride[axis] = stride[axis - 1] * static_cast<std::size_t>(shape[axis - 1]);
  std::vector<std::byte> result(bytes.size());
  std::size_t from = 0;
  for (std::size_t to = 0; to < bytes.size(); to += width) {
    std::memcpy(result.data() + to, bytes.data() + from, width);
    for (std::size_t axis = shape.size(); axis-- > 0;) {
      from += stride[axis];
      if (++at[axis] < static_cast<std::size_t>(shape[axis])) break;
      from -= stride[axis] * at[axis];
      at[axis] = 0;
    }
  }
  return result;
}

template <class To, class From>
bool fits(From value) {
  if constexpr (std::is_floating_point_v<To>) {
    return true;
  } else if constexpr (std::is_integral_v<From>) {
    return std::in_range<To>(value);
  } else {
    // The largest value plus 1 is a power of two, which every floating-point type holds.
    constexpr auto low = static_cast<From>(std::numeric_limits<To>::min());
    constexpr auto above = static_cast<From>(std::uint64_t{1} << std::numeric_limits<To>::digits);
    return value >= low && value < above && value == std::trunc(value);
  }
}

// The bits of a float16, which C++20 has no type for.
struct Half {
  std::uint16_t bits;
  float operator+() const { return from_f16(bits); }
};

template <class To, class From>
std::vector<To> converted(const NpyArray& array) {
  std::vector<To> result(static_cast<std::size_t>(array.size()));
  for (std::size_t i = 0; i < result.size(); ++i) {
    From stored;
    std::memcpy(&stored, array.bytes.data() + i * sizeof stored, sizeof stored);
    const auto value = +stored;
    if (!fits<To>(value))
      throw Error("{}: element {} is {}, which is no whole number from {} to {}", array.file, i,
                  value, std::numeric_limits<To>::min(), std::numeric_limits<To>::max());
    result[i] = static_cast<To>(value);
  }
  return result;
}

template <class T>
constexpr NpyType type_of() {
  if constexpr (std::is_same_v<T, float>) return NpyType::f32;
  if constexpr (std::is_same_v<T, double>) return NpyType::f64;
  if constexpr (std::is_same_v<T, std::int8_t>) return NpyType::i8;
  if constexpr (std::is_same_v<T, std::uint8_t>) return NpyType::u8;
  if constexpr (std::is_same_v<T, std::int32_t>) return NpyType::i32;
  if constexpr (std::is_same_v<T, std::int64_t>) return NpyType::i64;
}

}  // namespace

template <class T>
std::vector<T> NpyArray::to() const {
  // In the order of NpyType; a boolean is a byte.
  static constexpr std::vector<T> (*kConversions[])(const NpyArray&) = {
      converted<T, std::uint8_t>,  converted<T, std::int8_t>,   converted<T, std::uint8_t>,
      converted<T, std::int16_t>,  converted<T, std::uint16_t>, converted<T, std::int32_t>,
      converted<T, std::uint32_t>, converted<T, std::int64_t>,  converted<T, std::uint64_t>,
      converted<T, Half>,          converted<T, float>,         converted<T, double>};
  return kConversions[static_cast<std::size_t>(type)](*this);
}

template <class T>
NpyArray NpyArray::of(ir::Shape shape, const std::vector<T>& values) {
  std::int64_t count = 1;
  for (const std::int64_t extent : shape) count *= extent;
  if (count != static_cast<std::int64_t>(values.size()))
    throw Error("npy: {} values do not make an array of [{}]", values.size(),
                fmt::join(shape, ","));
  const auto bytes = std::as_bytes(std::span(values));
  return {type_of<T>(), std::move(shape), {bytes.begin(), bytes.end()}, "npy"};
}

#define TAPER_NPY_TYPE(T)                          \
  template std::vector<T> NpyArray::to<T>() const; \
  template NpyArray NpyArray::of(ir::Shape, const std::vector<T>&);
TAPER_NPY_TYPE(float)
TAPER_NPY_TYPE(double)
TAPER_NPY_TYPE(std::int8_t)
TAPER_NPY_TYPE(std::uint8_t)
TAPER_NPY_TYPE(std::int32_t)
TAPER_NPY_TYPE(std::int64_t)
#undef TAPER_NPY_TYPE

NpyArray read_npy(const NpySource& source, std::string file) {
  const NpyHeader header = parse_npy_header(read_header(source, file), file);
  const std::size_t width = byte_size(header.type);
  std::size_t size = width;
  for (const std::int64_t extent : header.shape) size *= static_cast<std::size_t>(extent);
  NpyArray array{header.type, header.shape, read_elements(source, size, file), std::move(file)};
  if (header.big_endian) swap_bytes(array.bytes, width);
  if (header.fortran_order && header.shape.size() > 1)
    array.bytes = reordered(array.bytes, array.shape, width);
  return array;
}

NpyArray read_npy(const std::filesystem::path& path) {
  std::error_code none;
  std::ifstream stream;
  if (std::filesystem::is_regular_file(path, none)) stream.open(path, std::ios::binary);
  if (!stream.is_open()) throw Error("{}: cannot be opened as a file", path.string());
  const NpySource source = [&](std::byte* to, std::size_t size) {
    stream.read(reinterpret_cast<char*>(to), static_cast<std::streamsize>(size));
    return static_cast<std::size_t>(stream.gcount());
  };
  return read_npy(source, path.string());
}

std::vector<std::byte> npy_bytes(const NpyArray& array) {
  const std::string header = npy_header(array.type, array.shape);
  const auto start = std::as_bytes(std::span(header));
  std::vector<std::byte> bytes(start.begin(), start.end());
  bytes.insert(bytes.end(), array.bytes.begin(), array.bytes.end());
  return bytes;
}

void write_npy(const std::filesystem::path& path, const NpyArray& array) {
  write_atomically(path, npy_bytes(array));
}

}  // namespace taper::data
