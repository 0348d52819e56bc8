#include "codegen/math.h"

#include <limits>
#include <utility>

namespace taper::codegen {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kSmallestNormal = std::numeric_limits<float>::min();
constexpr std::uint32_t kSign = 0x80000000u, kNan = 0x7fc00000u;

// p = coefficients[0] * x^n + ... + coefficients[n]; clobbers q.
template <std::size_t count>
void horner(Masm& m, Vec& p, Vec& q, Vec x, const float (&coefficients)[count]) {
  m.constant(p, coefficients[0]);
  for (std::size_t i = 1; i < count; ++i) {
    m.constant(q, coefficients[i]);
    m.fma(q, p, x);
    std::swap(p, q);
  }
}

// d *= 2^n for integers n in i32 lanes, |n| <= 252: in two steps, because 2^128 is not a f32.
void scale_by_power(Masm& m, Vec d, Vec n, Vec s, Vec t) {
  m.shift_right_i32(s, n, 1);
  m.sub_i32(n, n, s);
  m.constant_i32(t, 127);
  for (const Vec part : {s, n}) {
    m.add_i32(part, part, t);
    m.shift_left_i32(part, part, 23);
    m.mul(d, d, part);
  }
}

}  // namespace

int Math::scratch(ir::Op op) {
  using ir::Op;
  for (const Op big : {Op::exp, Op::log, Op::sigmoid, Op::tanh, Op::erf, Op::random})
    if (op == big) return kScratch;
  for (const Op small : {Op::maximum, Op::minimum, Op::neg, Op::abs, Op::relu, Op::relu6})
    if (op == small) return 1;
  return 0;
}

// e^a = 2^n * e^r, n = round(a / ln 2), |r| <= ln(2) / 2; the polynomial is Cephes' expf.
void Math::exp(Vec d, Vec a) {
  constexpr float kCoefficients[] = {1.9875691500e-4f,
                                     1.3981999507e-3f,
                                     8.3334519073e-3f,
                                     4.1665795894e-2f,
                                     1.6666665459e-1f,
                                     5.0000001201e-1f,
                                     1.0f,
                                     1.0f};
  constexpr float kLog2E = 1.44269504f, kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
  constexpr float kLargest = 88.7228317f, kSmallest = -87.3365402f;
  Vec n = m_.vec(), p = m_.vec(), q = m_.vec();
  m_.constant(p, kLog2E);
  m_.mul(n, a, p);
  m_.round(n, n);
  m_.move(d, a);
  m_.constant(p, kLn2High);
  m_.fnma(d, n, p);
  m_.constant(p, kLn2Low);
  m_.fnma(d, n, p);
  horner(m_, p, q, d, kCoefficients);
  m_.move(d, p);
  m_.to_i32(n, n);
  scale_by_power(m_, d, n, p, q);
  m_.constant(q, kLargest);
  m_.compare(q, Predicate::lt, q, a);
  m_.constant(n, kInfinity);
  m_.select(d, q, n, d);
  m_.constant(q, kSmallest);
  m_.compare(q, Predicate::lt, a, q);
  m_.zero(n);
  m_.select(d, q, n, d);
  for (const Vec r : {n, p, q}) m_.release(r);
}

// log(a) = e ln 2 + log(1 + f), 1 + f in [sqrt(1/2), sqrt(2)); the polynomial is Cephes' logf.
// Denormals count as zero.
void Math::log(Vec d, Vec a) {
  constexpr float kCoefficients[] = {7.0376836292e-2f,  -1.1514610310e-1f, 1.1676998740e-1f,
                                     -1.2420140846e-1f, 1.4249322787e-1f,  -1.6668057665e-1f,
                                     2.0000714765e-1f,  -2.4999993993e-1f, 3.3333331174e-1f};
  constexpr float kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
  constexpr std::uint32_t kSqrtHalf = 0x3f3504f3u;
  Vec e = m_.vec(), f = m_.vec(), z = m_.vec(), p = m_.vec(), q = m_.vec();
  m_.constant_i32(d, kSqrtHalf);
  m_.sub_i32(e, a, d);
  m_.shift_right_i32(e, e, 23);
  m_.shift_left_i32(f, e, 23);
  m_.sub_i32(f, a, f);
  m_.to_f32(e, e);
  m_.constant(d, 1.0f);
  m_.sub(f, f, d);
  m_.mul(z, f, f);
  horner(m_, p, q, f, kCoefficients);
  m_.mul(p, p, f);
  m_.mul(p, p, z);
  m_.constant(q, kLn2Low);
  m_.fma(p, e, q);
  m_.constant(q, 0.5f);
  m_.fnma(p, z, q);
  m_.add(d, f, p);
  m_.constant(q, kLn2High);
  m_.fma(d, e, q);
  m_.constant(q, kInfinity);
  m_.compare(p, Predicate::lt, a, q);
  m_.select(d, p, d, a);  // infinity and NaN
  m_.constant(q, kSmallestNormal);
  m_.compare(p, Predicate::lt, a, q);
  m_.constant(q, -kInfinity);
  m_.select(d, p, q, d);
  m_.zero(q);
  m_.compare(p, Predicate::lt, a, q);
  m_.constant_i32(q, kNan);
  m_.select(d, p, q, d);
  for (const Vec r : {e, f, z, p, q}) m_.release(r);
}

void Math::sigmoid(Vec d, Vec a) {
  const Vec t = m_.vec();
  neg(t, a);
  exp(d, t);
  m_.constant(t, 1.0f);
  m_.add(d, d, t);
  m_.div(d, t, d);
  m_.release(t);
}

// On |a|, the sign put back: 1 - 2 / (e^2|a| + 1), or Cephes' polynomial where that would cancel.
void Math::tanh(Vec d, Vec a) {
  constexpr float kCoefficients[] = {-5.70498872745e-3f, 2.06390887954e-2f, -5.37397155531e-2f,
                                     1.33314422036e-1f, -3.33332819422e-1f};
  constexpr float kSmall = 0.625f;
  const Vec x = m_.vec(), z = m_.vec();
  abs(x, a);
  m_.add(z, x, x);
  exp(d, z);
  Vec p = m_.vec(), q = m_.vec();
  m_.constant(p, 1.0f);
  m_.add(d, d, p);
  m_.constant(q, 2.0f);
  m_.div(d, q, d);
  m_.sub(d, p, d);
  m_.mul(z, x, x);
  horner(m_, p, q, z, kCoefficients);
  m_.mul(z, z, x);
  m_.move(q, x);
  m_.fma(q, p, z);
  m_.constant(p, kSmall);
  m_.compare(p, Predicate::lt, x, p);
  m_.select(d, p, q, d);
  m_.constant_i32(p, kSign);
  m_.bit_and(p, p, a);
  m_.bit_or(d, d, p);
  for (const Vec r : {x, z, p, q}) m_.release(r);
}

// a + a P(a^2) up to 0.9; beyond it, on |a|, the sign put back, 1 - e^(|a| Q(|a|)). P and Q are
// minimax polynomials of erf(a) / a - 1 and log(erfc(a)) / a; from 4 on erf is 1.
void Math::erf(Vec d, Vec a) {
  constexpr float kSmall[] = {8.51310469e-5f, -8.17563967e-4f, 5.20385895e-3f, -2.68605091e-2f,
                              1.12837151e-1f, -3.76126349e-1f, 1.28379166e-1f};
  constexpr float kLarge[] = {-5.29705221e-6f, 4.99410708e-5f,  2.74322392e-5f,  -2.86911312e-3f,
                              2.25756038e-2f,  -1.05169483e-1f, -6.35673165e-1f, -1.12854147f};
  constexpr float kSplit = 0.9f, kOne = 4.0f;
  const Vec x = m_.vec();
  Vec p = m_.vec(), q = m_.vec();
  abs(d, a);
  m_.constant(q, kOne);
  m_.min(x, q, d);
  horner(m_, p, q, x, kLarge);
  m_.mul(x, p, x);
  m_.release(p);
  m_.release(q);
  exp(d, x);
  p = m_.vec(), q = m_.vec();
  m_.constant(p, 1.0f);
  m_.sub(d, p, d);
  m_.constant_i32(p, kSign);
  m_.bit_and(p, p, a);
  m_.bit_or(d, d, p);
  m_.mul(x, a, a);
  horner(m_, p, q, x, kSmall);
  m_.move(q, a);
  m_.fma(q, p, a);
  abs(x, a);
  m_.constant(p, kSplit);
  m_.compare(p, Predicate::lt, x, p);
  m_.select(d, p, q, d);
  for (const Vec r : {x, p, q}) m_.release(r);
}

void Math::relu(Vec d, Vec a) {
  m_.zero(d);
  m_.max(d, d, a);
}

void Math::relu6(Vec d, Vec a) {
  relu(d, a);
  const Vec top = m_.vec();
  m_.constant(top, 6.0f);
  m_.min(d, top, d);
  m_.release(top);
}

void Math::neg(Vec d, Vec a) {
  m_.constant_i32(d, kSign);
  m_.bit_xor(d, d, a);
}

void Math::abs(Vec d, Vec a) {
  m_.constant_i32(d, ~kSign);
  m_.bit_and(d, d, a);
}

// max and min give b when either is NaN.
void Math::maximum(Vec d, Vec a, Vec b) {
  m_.max(d, a, b);
  keep_nan(d, a);
}

void Math::minimum(Vec d, Vec a, Vec b) {
  m_.min(d, a, b);
  keep_nan(d, a);
}

void Math::keep_nan(Vec d, Vec a) {
  const Vec nan = m_.vec();
  m_.compare(nan, Predicate::ne, a, a);
  m_.select(d, nan, a, d);
  m_.release(nan);
}

// Philox4x32-10, counter (index, 0, step, low word of stream), key seed; as ir::philox.
void Math::random(Vec d, Vec index, Vec step, std::uint64_t seed, std::uint64_t stream) {
  constexpr std::uint32_t kMultiplier0 = 0xd2511f53u, kMultiplier1 = 0xcd9e8d57u;
  constexpr std::uint32_t kWeyl0 = 0x9e3779b9u, kWeyl1 = 0xbb67ae85u;
  auto key0 = static_cast<std::uint32_t>(seed), key1 = static_cast<std::uint32_t>(seed >> 32);
  // After 10 rounds of rotation by one word, word 0 is where word 2 began.
  Vec c[4] = {m_.vec(), m_.vec(), d, m_.vec()};
  const Vec constant = m_.vec(), high = m_.vec();
  m_.move(c[0], index);
  m_.zero(c[1]);
  m_.to_i32(c[2], step);
  m_.constant_i32(c[3], static_cast<std::uint32_t>(stream));
  for (int round = 0; round < 10; ++round) {
    m_.constant_i32(constant, kMultiplier1);
    m_.mul_high_u32(high, c[2], constant);
    m_.mul_low_i32(c[2], c[2], constant);
    m_.bit_xor(c[1], c[1], high);
    m_.constant_i32(constant, kMultiplier0);
    m_.mul_high_u32(high, c[0], constant);
    m_.mul_low_i32(c[0], c[0], constant);
    m_.bit_xor(c[3], c[3], high);
    m_.constant_i32(constant, key0);
    m_.bit_xor(c[1], c[1], constant);
    m_.constant_i32(constant, key1);
    m_.bit_xor(c[3], c[3], constant);
    key0 += kWeyl0;
    key1 += kWeyl1;
    const Vec first = c[0];
    c[0] = c[1], c[1] = c[2], c[2] = c[3], c[3] = first;
  }
  m_.shift_right_u32(d, c[0], 8);
  m_.to_f32(d, d);
  m_.constant(constant, 0x1p-24f);
  m_.mul(d, d, constant);
  for (const Vec r : {c[0], c[1], c[2], c[3], constant, high})
    if (!(r == d)) m_.release(r);
}

}  // namespace taper::codegen
