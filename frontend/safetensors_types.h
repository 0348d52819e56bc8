// The element types of safetensors files and their conversion from and to f32.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace taper::safetensors {

enum class Type : std::uint8_t { boolean, u8, i8, f16, bf16, i32, f32, i64 };

std::size_t byte_size(Type type);
std::string_view name(Type type);  // "BOOL", "U8", ..., "I64"
std::optional<Type> type_named(std::string_view name);

// To the nearest value, ties to even; integers truncate towards zero and saturate, NaN becomes 0.
std::vector<std::byte> encode(std::span<const float> values, Type type);

// Exact, but for I32 and I64 beyond 2^24: the nearest. `bytes` is a whole number of elements.
std::vector<float> decode(std::span<const std::byte> bytes, Type type);

}  // namespace taper::safetensors
