#include "frontend/safetensors_types.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <iterator>
#include <limits>

#include "ir/narrow_float.h"

namespace taper::safetensors {
namespace {

static_assert(std::endian::native == std::endian::little);

template <class Integer>
Integer saturated(float value) {
  constexpr auto above =
      static_cast<float>(std::uint64_t{1} << std::numeric_limits<Integer>::digits);
  if (std::isnan(value)) return 0;
  if (value >= above) return std::numeric_limits<Integer>::max();
  if (value < static_cast<float>(std::numeric_limits<Integer>::min()))
    return std::numeric_limits<Integer>::min();
  return static_cast<Integer>(value);
}

template <class Number>
float as_float(Number value) {
  return static_cast<float>(value);
}
std::uint8_t to_truth(float value) {
  return value != 0 ? 1 : 0;
}
float from_truth(std::uint8_t value) {
  return value != 0 ? 1.0f : 0.0f;
}

template <class Stored, Stored (*convert)(float)>
std::vector<std::byte> encoded(std::span<const float> values) {
  std::vector<std::byte> bytes(values.size() * sizeof(Stored));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const Stored stored = convert(values[i]);
    std::memcpy(bytes.data() + i * sizeof stored, &stored, sizeof stored);
  }
  return bytes;
}

template <class Stored, float (*convert)(Stored)>
std::vector<float> decoded(std::span<const std::byte> bytes) {
  std::vector<float> values(bytes.size() / sizeof(Stored));
  for (std::size_t i = 0; i < values.size(); ++i) {
    Stored stored;
    std::memcpy(&stored, bytes.data() + i * sizeof stored, sizeof stored);
    values[i] = convert(stored);
  }
  return values;
}

struct TypeRow {
  std::string_view name;
  std::size_t bytes;
  std::vector<std::byte> (*encode)(std::span<const float>);
  std::vector<float> (*decode)(std::span<const std::byte>);
};
template <class Stored, Stored (*to)(float), float (*from)(Stored) = as_float<Stored>>
constexpr TypeRow row(std::string_view name) {
  return {name, sizeof(Stored), encoded<Stored, to>, decoded<Stored, from>};
}
// In the order of Type.
constexpr TypeRow kTypes[] = {row<std::uint8_t, to_truth, from_truth>("BOOL"),
                              row<std::uint8_t, saturated>("U8"),
                              row<std::int8_t, saturated>("I8"),
                              row<std::uint16_t, to_f16, from_f16>("F16"),
                              row<std::uint16_t, to_bf16, from_bf16>("BF16"),
                              row<std::int32_t, saturated>("I32"),
                              row<float, as_float>("F32"),
                              row<std::int64_t, saturated>("I64")};

const TypeRow& row_of(Type type) {
  return kTypes[static_cast<std::size_t>(type)];
}

}  // namespace

std::size_t byte_size(Type type) {
  return row_of(type).bytes;
}
std::string_view name(Type type) {
  return row_of(type).name;
}

std::optional<Type> type_named(std::string_view name) {
  for (std::size_t i = 0; i < std::size(kTypes); ++i)
    if (kTypes[i].name == name) return static_cast<Type>(i);
  return std::nullopt;
}

std::vector<std::byte> encode(std::span<const float> values, Type type) {
  return row_of(type).encode(values);
}
std::vector<float> decode(std::span<const std::byte> bytes, Type type) {
  return row_of(type).decode(bytes);
}

}  // namespace taper::safetensors
