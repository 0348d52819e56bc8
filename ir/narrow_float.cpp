#include "ir/narrow_float.h"

#include <bit>
#include <cmath>

namespace taper {
namespace {

constexpr std::uint32_t kInfinity = 0x7f800000u;

// value / 2^shift, to the nearest, ties to even.
std::uint32_t rounded_shift(std::uint32_t value, std::uint32_t shift) {
  const std::uint32_t half = (1u << (shift - 1)) - 1;
  return (value + half + (value >> shift & 1u)) >> shift;
}

}  // namespace

std::uint16_t to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const bool is_nan = (bits & 0x7fffffffu) > kInfinity;
  return static_cast<std::uint16_t>(is_nan ? bits >> 16 | 0x40u : rounded_shift(bits, 16));
}

std::uint16_t to_f16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = bits >> 16 & 0x8000u;
  const std::uint32_t magnitude = bits & 0x7fffffffu;
  const auto exponent = static_cast<std::int32_t>(magnitude >> 23) - 127;
  std::uint32_t result;
  if (magnitude > kInfinity) {
    result = 0x7e00u | (magnitude >> 13 & 0x3ffu);
  } else if (exponent > 15) {
    result = 0x7c00u;
  } else if (exponent >= -14) {  // rounding carries into the exponent, up to infinity
    result = rounded_shift(magnitude - (112u << 23), 13);
  } else if (exponent >= -25) {  // denormal: the leading one becomes explicit
    const std::uint32_t fraction = (magnitude & 0x7fffffu) | 0x800000u;
    result = rounded_shift(fraction, static_cast<std::uint32_t>(-1 - exponent));
  } else {
    result = 0;
  }
  return static_cast<std::uint16_t>(sign | result);
}

float from_bf16(std::uint16_t bits) {
  return std::bit_cast<float>(std::uint32_t{bits} << 16);
}

float from_f16(std::uint16_t bits) {
  const std::uint32_t sign = (bits & 0x8000u) << 16;
  const std::uint32_t exponent = bits >> 10 & 31u;
  const std::uint32_t fraction = bits & 0x3ffu;
  if (exponent == 0) {
    const float magnitude = std::ldexp(static_cast<float>(fraction), -24);
    return sign != 0 ? -magnitude : magnitude;
  }
  const std::uint32_t wide = exponent == 31 ? kInfinity : (exponent + 112u) << 23;
  return std::bit_cast<float>(sign | wide | fraction << 13);
}

}  // namespace taper
