// Rounding to dtypes and counter-based random numbers.
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "ir/eval_ops.h"
#include "ir/narrow_float.h"

namespace taper::ir {
namespace {

// Rounds to `digits` significant bits, to nearest even, with gradual underflow below
// 2^min_exponent and overflow to infinity above `largest`.
double round_float(double value, int digits, int min_exponent, double largest) {
  if (!std::isfinite(value) || value == 0) return value;
  const int exponent = std::max(std::ilogb(value), min_exponent);
  const double rounded =
      std::ldexp(std::nearbyint(std::ldexp(value, digits - 1 - exponent)), exponent - digits + 1);
  if (std::fabs(rounded) <= largest) return rounded;
  return std::copysign(std::numeric_limits<double>::infinity(), value);
}

template <class Integer>
double round_integer(double value) {
  if (std::isnan(value)) return 0;
  return std::clamp(std::trunc(value), static_cast<double>(std::numeric_limits<Integer>::min()),
                    static_cast<double>(std::numeric_limits<Integer>::max()));
}

// A step counter as 32 bits; saturates, so that every double is valid.
std::uint32_t step_of(double counter) {
  return static_cast<std::uint32_t>(round_integer<std::uint32_t>(counter));
}

}  // namespace

double round_to(DType dtype, double value) {
  switch (dtype) {
    case DType::f32:
      return static_cast<float>(value);
    case DType::f16:
      return round_float(value, 11, -14, 65504.0);
    case DType::bf16:
      return round_float(value, 8, -126, 0x1.fep127);
    case DType::i8:
      return round_integer<std::int8_t>(value);
    case DType::u8:
      return round_integer<std::uint8_t>(value);
    case DType::i32:
      return round_integer<std::int32_t>(value);
    case DType::boolean:
      return value != 0 ? 1 : 0;
  }
  return value;
}

std::uint32_t element_bits(DType dtype, double value) {
  const double rounded = round_to(dtype, value);
  const auto single = static_cast<float>(rounded);
  if (dtype == DType::f32) return std::bit_cast<std::uint32_t>(single);
  if (dtype == DType::bf16) return to_bf16(single);
  if (dtype == DType::f16) return to_f16(single);
  return static_cast<std::uint32_t>(static_cast<std::int64_t>(rounded));
}

std::uint32_t philox(std::uint64_t index, std::uint32_t step, std::uint64_t stream,
                     std::uint64_t seed) {
  std::uint32_t c0 = static_cast<std::uint32_t>(index);
  std::uint32_t c1 = static_cast<std::uint32_t>(index >> 32);
  std::uint32_t c2 = step;
  std::uint32_t c3 = static_cast<std::uint32_t>(stream);
  std::uint32_t k0 = static_cast<std::uint32_t>(seed);
  std::uint32_t k1 = static_cast<std::uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53} * c0;
    const std::uint64_t p1 = std::uint64_t{0xCD9E8D57} * c2;
    c0 = static_cast<std::uint32_t>(p1 >> 32) ^ c1 ^ k0;
    c1 = static_cast<std::uint32_t>(p1);
    c2 = static_cast<std::uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c3 = static_cast<std::uint32_t>(p0);
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  return c0;
}

double uniform(std::int64_t index, double counter, std::uint64_t stream, std::uint64_t seed) {
  const std::uint32_t word =
      philox(static_cast<std::uint64_t>(index), step_of(counter), stream, seed);
  return static_cast<double>(word >> 8) * 0x1p-24;
}

Results eval_random(const EvalRequest& r) {
  const auto& attrs = r.attrs<RandomAttrs>();
  const double counter = r.operand(0).data.front();
  Value y = r.result();
  for (std::size_t i = 0; i < y.data.size(); ++i)
    y.data[i] = uniform(static_cast<std::int64_t>(i), counter, attrs.stream, attrs.seed);
  return {std::move(y)};
}

}  // namespace taper::ir
