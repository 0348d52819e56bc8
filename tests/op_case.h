// A case of tests/op_sweep.cpp: an op, its operands and how to build it from them.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "ir/builder.h"
#include "ir/eval.h"

namespace taper::op_cases {

using namespace ir;

inline constexpr Dim N = kBatch;

enum class Fill : std::uint8_t {
  spread,    // evenly in [-1.5, 1.5]
  positive,  // evenly in [0.3, 2.5]
  integers,  // whole numbers in [-range, range]: ties
  labels,    // whole numbers in [0, range)
  special,   // NaN, infinities, zeros, halves, the limits of integers
};

struct Operand {
  Shape shape;
  Fill fill = Fill::spread;
  DType dtype = DType::f32;
  std::int64_t range = 3;
};

// How the result must agree with the interpreter's. Gradients always agree as `tensor`.
enum class Match : std::uint8_t {
  exact,      // the same values
  pointwise,  // a few units in the last place
  tensor,     // relative to the largest element and the length of the reductions
};

using Values = std::vector<ValueId>;
using Build = std::function<ValueId(Builder&, const Values&)>;

struct Case {
  Op op;
  std::vector<Operand> operands;
  Build build;
  Match match = Match::tensor;
  bool gradients = true;
  Dim max_batch = 5;  // where the case uses N
};

inline double make_element(const Operand& operand, std::uint32_t random) {
  static const std::vector<double> kSpecial = {
      0,    -0.0, 1,   -1,   0.5,  -0.5, 1.5,   -2.5,       127.5,     128,
      -129, 255,  256, 1e-3, 1e20, -40,  -1e20, 2147483648, 70000.125, -1000};
  const double unit = random / 4294967296.0;
  const double infinity = std::numeric_limits<double>::infinity();
  const std::size_t pick = random % (kSpecial.size() + 3);
  switch (operand.fill) {
    case Fill::spread:
      return 3 * unit - 1.5;
    case Fill::positive:
      return 0.3 + 2.2 * unit;
    case Fill::integers:
      return std::floor(unit * static_cast<double>(2 * operand.range + 1)) -
             static_cast<double>(operand.range);
    case Fill::labels:
      return std::floor(unit * static_cast<double>(operand.range));
    case Fill::special:
      if (pick < kSpecial.size()) return kSpecial[pick];
      return pick == kSpecial.size() ? std::nan("") : pick % 2 != 0 ? infinity : -infinity;
  }
  return 0;
}

inline Shape at_batch(Shape shape, Dim batch) {
  if (!shape.empty() && shape.front() == N) shape.front() = batch;
  return shape;
}

// The contents of `operand` at N = batch, the same in every run.
inline Value make_value(const Operand& operand, Dim batch, std::uint64_t stream) {
  Value value{{operand.dtype, at_batch(operand.shape, batch)}, {}};
  const auto count = static_cast<std::uint64_t>(element_count(value.type.shape, 1));
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint32_t random = philox(i, 0, stream, 17);
    value.data.push_back(round_to(operand.dtype, make_element(operand, random)));
  }
  return value;
}

inline std::uint16_t f16_bits(double value) {
  const auto sign = static_cast<std::uint16_t>(std::signbit(value) ? 0x8000 : 0);
  const double size = std::fabs(value);
  if (std::isnan(value)) return 0x7e00;
  if (std::isinf(value)) return static_cast<std::uint16_t>(sign | 0x7c00);
  if (size < 0x1p-14) return static_cast<std::uint16_t>(sign | static_cast<int>(size * 0x1p24));
  const int exponent = std::ilogb(size);
  const double fraction = std::ldexp(size, -exponent) - 1;
  const int bits = (exponent + 15) << 10 | static_cast<int>(fraction * 1024);
  return static_cast<std::uint16_t>(sign | bits);
}

// The memory of a plain tensor, as a program takes it.
inline std::vector<std::byte> to_bytes(const Value& value) {
  std::vector<std::byte> bytes;
  const auto append = [&](const auto& element) {
    const auto* begin = reinterpret_cast<const std::byte*>(&element);
    bytes.insert(bytes.end(), begin, begin + sizeof element);
  };
  for (const double x : value.data) {
    const auto f32 = static_cast<float>(x);
    std::uint32_t bits;
    std::memcpy(&bits, &f32, sizeof bits);
    switch (value.type.dtype) {
      case DType::f32:
        append(f32);
        break;
      case DType::f16:
        append(f16_bits(x));
        break;
      case DType::bf16:
        append(static_cast<std::uint16_t>(bits >> 16));
        break;
      case DType::i32:
        append(static_cast<std::int32_t>(x));
        break;
      case DType::i8:
        append(static_cast<std::int8_t>(x));
        break;
      case DType::u8:
      case DType::boolean:
        append(static_cast<std::uint8_t>(x));
        break;
    }
  }
  return bytes;
}

}  // namespace taper::op_cases
