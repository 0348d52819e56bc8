#include "frontend/safetensors_types.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <iterator>
#include <limits>

#include "frontend/narrow_float.h"

namespace taper::safetensors {
namespace {

static_assert(std::endian::native == std::endian::little);

struct TypeRow {
  std::string_view name;
  std::size_t bytes;
};
constexpr TypeRow kTypes[] = {{"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F16", 2},
                              {"BF16", 2}, {"I32", 4}, {"F32", 4}, {"I64", 8}};

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

template <class Stored, class Convert>
std::vector<std::byte> encoded(std::span<const float> values, Convert&& convert) {
  std::vector<std::byte> bytes(values.size() * sizeof(Stored));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const Stored stored = convert(values[i]);
    std::memcpy(bytes.data() + i * sizeof stored, &stored, sizeof stored);
  }
  return bytes;
}

template <class Stored, class Convert>
std::vector<float> decoded(std::span<const std::byte> bytes, Convert&& convert) {
  std::vector<float> values(bytes.size() / sizeof(Stored));
  for (std::size_t i = 0; i < values.size(); ++i) {
    Stored stored;
    std::memcpy(&stored, bytes.data() + i * sizeof stored, sizeof stored);
    values[i] = convert(stored);
  }
  return values;
}

template <class Number>
std::vector<float> decoded(std::span<const std::byte> bytes) {
  return decoded<Number>(bytes, [](Number v) { return static_cast<float>(v); });
}

}  // namespace

std::size_t byte_size(Type type) {
  return kTypes[static_cast<std::size_t>(type)].bytes;
}
std::string_view name(Type type) {
  return kTypes[static_cast<std::size_t>(type)].name;
}

std::optional<Type> type_named(std::string_view name) {
  for (std::size_t i = 0; i < std::size(kTypes); ++i)
    if (kTypes[i].name == name) return static_cast<Type>(i);
  return std::nullopt;
}

std::vector<std::byte> encode(std::span<const float> values, Type type) {
  switch (type) {
    case Type::boolean:
      return encoded<std::uint8_t>(values, [](float v) -> std::uint8_t { return v != 0 ? 1 : 0; });
    case Type::u8:
      return encoded<std::uint8_t>(values, saturated<std::uint8_t>);
    case Type::i8:
      return encoded<std::int8_t>(values, saturated<std::int8_t>);
    case Type::f16:
      return encoded<std::uint16_t>(values, to_f16);
    case Type::bf16:
      return encoded<std::uint16_t>(values, to_bf16);
    case Type::i32:
      return encoded<std::int32_t>(values, saturated<std::int32_t>);
    case Type::i64:
      return encoded<std::int64_t>(values, saturated<std::int64_t>);
    case Type::f32:
      break;
  }
  const auto bytes = std::as_bytes(values);
  return {bytes.begin(), bytes.end()};
}

std::vector<float> decode(std::span<const std::byte> bytes, Type type) {
  switch (type) {
    case Type::boolean:
      return decoded<std::uint8_t>(bytes, [](std::uint8_t v) { return v != 0 ? 1.0f : 0.0f; });
    case Type::u8:
      return decoded<std::uint8_t>(bytes);
    case Type::i8:
      return decoded<std::int8_t>(bytes);
    case Type::f16:
      return decoded<std::uint16_t>(bytes, from_f16);
    case Type::bf16:
      return decoded<std::uint16_t>(bytes, from_bf16);
    case Type::i32:
      return decoded<std::int32_t>(bytes);
    case Type::i64:
      return decoded<std::int64_t>(bytes);
    case Type::f32:
      break;
  }
  return decoded<float>(bytes);
}

}  // namespace taper::safetensors
