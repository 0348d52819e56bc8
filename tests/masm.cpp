// Masm: every lane-wise operation on every ISA against scalar references, bit for bit.
#include "codegen/masm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "masm_run.h"
#include "runtime/thread_pool.h"

namespace taper {
namespace {

using codegen::Gp;
using codegen::Masm;
using codegen::Predicate;
using codegen::Vec;

constexpr float kInf = std::numeric_limits<float>::infinity();
const float kNan = std::numeric_limits<float>::quiet_NaN();

Lanes random_lanes(unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> values(-100, 100);
  Lanes lanes;
  for (float& x : lanes) x = values(random);
  return lanes;
}

Lanes random_words(unsigned seed) {
  std::mt19937 random(seed);
  Lanes lanes;
  for (float& x : lanes) x = from_bits(static_cast<std::uint32_t>(random()));
  return lanes;
}

void expect_bits(const Lanes& got, const std::function<std::uint32_t(std::size_t)>& want) {
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_EQ(to_bits(got[i]), want(i)) << "lane " << i;
}

class MasmTest : public testing::TestWithParam<const ir::Isa*> {
 protected:
  const ir::Isa& isa_ = *GetParam();

  // Checks d = op(a, b) and the forms where d is a or b.
  void check(const Lanes& a, const Lanes& b, const LaneBody& body,
             const std::function<std::uint32_t(std::size_t)>& want) {
    expect_bits(run_lanes(isa_, a, b, body), want);
    expect_bits(run_lanes(isa_, a, b,
                          [&](Masm& m, Vec d, Vec x, Vec y) {
                            m.move(d, x);
                            body(m, d, d, y);
                          }),
                want);
    expect_bits(run_lanes(isa_, a, b,
                          [&](Masm& m, Vec d, Vec x, Vec y) {
                            m.move(d, y);
                            body(m, d, x, d);
                          }),
                want);
  }

  using Binary = void (Masm::*)(Vec, Vec, Vec);
  void check_float(Binary op, float (*want)(float, float)) {
    const Lanes a = random_lanes(1), b = random_lanes(2);
    check(
        a, b, [&](Masm& m, Vec d, Vec x, Vec y) { (m.*op)(d, x, y); },
        [&](std::size_t i) { return to_bits(want(a[i], b[i])); });
  }
  void check_word(Binary op, std::uint32_t (*want)(std::uint32_t, std::uint32_t)) {
    const Lanes a = random_words(3), b = random_words(4);
    check(
        a, b, [&](Masm& m, Vec d, Vec x, Vec y) { (m.*op)(d, x, y); },
        [&](std::size_t i) { return want(to_bits(a[i]), to_bits(b[i])); });
  }
};

INSTANTIATE_TEST_SUITE_P(Isas, MasmTest, testing::ValuesIn(host_isas()),
                         [](const auto& info) { return std::string(info.param->name); });

TEST_P(MasmTest, LaneWiseFloat) {
  check_float(&Masm::add, [](float a, float b) { return a + b; });
  check_float(&Masm::sub, [](float a, float b) { return a - b; });
  check_float(&Masm::mul, [](float a, float b) { return a * b; });
  check_float(&Masm::div, [](float a, float b) { return a / b; });
  check_float(&Masm::max, [](float a, float b) { return a > b ? a : b; });
  check_float(&Masm::min, [](float a, float b) { return a < b ? a : b; });
  const Lanes a = random_lanes(5);
  const auto root = [](Masm& m, Vec d, Vec x, Vec) { m.sqrt(d, x); };
  expect_bits(run_lanes(isa_, a, a,
                        [&](Masm& m, Vec d, Vec x, Vec) {
                          m.mul(d, x, x);
                          root(m, d, d, x);
                        }),
              [&](std::size_t i) { return to_bits(std::sqrt(a[i] * a[i])); });
}

TEST_P(MasmTest, MaxAndMinGiveTheSecondOperandOfNan) {
  Lanes a{}, b{};
  a.fill(kNan);
  b.fill(2);
  for (const Binary op : {static_cast<Binary>(&Masm::max), static_cast<Binary>(&Masm::min)}) {
    const auto body = [&](Masm& m, Vec d, Vec x, Vec y) { (m.*op)(d, x, y); };
    EXPECT_EQ(run_lanes(isa_, a, b, body)[9], 2);
    EXPECT_TRUE(std::isnan(run_lanes(isa_, b, a, body)[9]));
  }
}

TEST_P(MasmTest, MaxAndMinFlushDenormals) {
  Lanes tiny{}, other{};
  tiny.fill(from_bits(0x80000123));
  const runtime::FlushDenormals flush;
  for (const auto& [op, limit] : {std::pair{static_cast<Binary>(&Masm::max), -1.0f},
                                  std::pair{static_cast<Binary>(&Masm::min), 1.0f}}) {
    const auto body = [&](Masm& m, Vec d, Vec x, Vec y) { (m.*op)(d, x, y); };
    other.fill(limit);
    EXPECT_EQ(to_bits(run_lanes(isa_, tiny, other, body)[9]), 0x80000000);
    EXPECT_EQ(to_bits(run_lanes(isa_, other, tiny, body)[9]), 0x80000000);
  }
}

TEST_P(MasmTest, ZipTakesLanesInTurn) {
  const auto lanes = static_cast<std::size_t>(isa_.lanes);
  const Lanes a = random_lanes(6), b = random_lanes(7);
  for (const bool high : {false, true}) {
    const Lanes got = run_lanes(isa_, a, b, [&](Masm& m, Vec d, Vec x, Vec y) {
      const Vec other = m.vec();
      m.zip(high ? other : d, high ? d : other, x, y);
      m.release(other);
    });
    expect_bits(got, [&](std::size_t i) {
      const std::size_t first = i / lanes * lanes, from = i % lanes + (high ? lanes : 0);
      return to_bits((from % 2 == 0 ? a : b)[first + from / 2]);
    });
  }
}

TEST_P(MasmTest, LaneWiseInteger) {
  check_word(&Masm::bit_and, [](std::uint32_t a, std::uint32_t b) { return a & b; });
  check_word(&Masm::bit_or, [](std::uint32_t a, std::uint32_t b) { return a | b; });
  check_word(&Masm::bit_xor, [](std::uint32_t a, std::uint32_t b) { return a ^ b; });
  check_word(&Masm::add_i32, [](std::uint32_t a, std::uint32_t b) { return a + b; });
  check_word(&Masm::sub_i32, [](std::uint32_t a, std::uint32_t b) { return a - b; });
  check_word(&Masm::mul_low_i32, [](std::uint32_t a, std::uint32_t b) { return a * b; });
  const Lanes a = random_words(6), b = random_words(7);
  expect_bits(
      run_lanes(isa_, a, b, [](Masm& m, Vec d, Vec x, Vec y) { m.mul_high_u32(d, x, y); }),
      [&](std::size_t i) {
        return static_cast<std::uint32_t>(std::uint64_t{to_bits(a[i])} * to_bits(b[i]) >> 32);
      });
}

TEST_P(MasmTest, Shifts) {
  const Lanes a = random_words(8);
  for (const int bits : {1, 8, 31}) {
    expect_bits(
        run_lanes(isa_, a, a, [&](Masm& m, Vec d, Vec x, Vec) { m.shift_left_i32(d, x, bits); }),
        [&](std::size_t i) { return to_bits(a[i]) << bits; });
    expect_bits(
        run_lanes(isa_, a, a, [&](Masm& m, Vec d, Vec x, Vec) { m.shift_right_u32(d, x, bits); }),
        [&](std::size_t i) { return to_bits(a[i]) >> bits; });
    expect_bits(
        run_lanes(isa_, a, a, [&](Masm& m, Vec d, Vec x, Vec) { m.shift_right_i32(d, x, bits); }),
        [&](std::size_t i) {
          return static_cast<std::uint32_t>(std::bit_cast<std::int32_t>(a[i]) >> bits);
        });
  }
}

TEST_P(MasmTest, RoundingAndConversion) {
  const Lanes a{0.5f, 1.5f, 2.5f,  -0.5f, -1.5f, 1e9f, 0,  -3.7f,
                7.2f, 8.8f, 1e-3f, 99.5f, 3,     -100, 42, -0.25f};
  expect_bits(run_lanes(isa_, a, a, [](Masm& m, Vec d, Vec x, Vec) { m.round(d, x); }),
              [&](std::size_t i) { return to_bits(std::nearbyint(a[i])); });
  expect_bits(run_lanes(isa_, a, a, [](Masm& m, Vec d, Vec x, Vec) { m.to_i32(d, x); }),
              [&](std::size_t i) {
                return static_cast<std::uint32_t>(static_cast<int>(std::nearbyint(a[i])));
              });
  const Lanes words = random_words(9);
  expect_bits(run_lanes(isa_, words, a, [](Masm& m, Vec d, Vec x, Vec) { m.to_f32(d, x); }),
              [&](std::size_t i) {
                return to_bits(static_cast<float>(std::bit_cast<std::int32_t>(words[i])));
              });
}

TEST_P(MasmTest, Compare) {
  const Lanes a{1, 2, 3, kNan, 0.0f, kInf, -kInf, 5, 1, 2, 3, kNan, 4, 4, 4, -1};
  const Lanes b{2, 2, 1, 1, -0.0f, kInf, 0, kNan, 2, 2, 1, kNan, 5, 4, 3, -1};
  const auto check_predicate = [&](Predicate p, bool (*want)(float, float)) {
    check(
        a, b, [&](Masm& m, Vec d, Vec x, Vec y) { m.compare(d, p, x, y); },
        [&](std::size_t i) { return want(a[i], b[i]) ? 0xffffffffu : 0; });
  };
  check_predicate(Predicate::eq, [](float x, float y) { return x == y; });
  check_predicate(Predicate::ne, [](float x, float y) { return x != y; });
  check_predicate(Predicate::lt, [](float x, float y) { return x < y; });
  check_predicate(Predicate::le, [](float x, float y) { return x <= y; });
}

TEST_P(MasmTest, SelectIsBitwise) {
  const Lanes a = random_words(10), b = random_words(11);
  constexpr std::uint32_t kMask = 0xf0f01234u;
  const auto want = [&](std::size_t i) {
    return (to_bits(a[i]) & kMask) | (to_bits(b[i]) & ~kMask);
  };
  check(
      a, b,
      [](Masm& m, Vec d, Vec x, Vec y) {
        const Vec mask = m.vec();
        m.constant_i32(mask, kMask);
        m.select(d, mask, x, y);
        m.release(mask);
      },
      want);
  expect_bits(run_lanes(isa_, a, b,
                        [](Masm& m, Vec d, Vec x, Vec y) {
                          m.constant_i32(d, kMask);
                          m.select(d, d, x, y);
                        }),
              want);
}

TEST_P(MasmTest, FusedMultiplyAddOfTheFirstHalf) {
  const Lanes a = random_lanes(12), b = random_lanes(13);
  const Lanes sum = run_lanes(isa_, a, b, [](Masm& m, Vec d, Vec x, Vec y) {
    m.constant(d, 0.1f);
    m.fma_half(d, x, y);
  });
  const Lanes scaled = run_lanes(isa_, a, b, [](Masm& m, Vec d, Vec x, Vec) {
    const Gp p = pointer(m, 1);
    m.constant(d, 0.1f);
    m.fma_half(d, x, codegen::Address{p, 12});
    m.release(p);
  });
  const auto lanes = static_cast<std::size_t>(isa_.lanes);
  for (std::size_t i = 0; i < sum.size(); ++i) {
    if (i % lanes >= lanes / 2) continue;
    EXPECT_EQ(to_bits(sum[i]), to_bits(std::fma(a[i], b[i], 0.1f))) << i;
    EXPECT_EQ(to_bits(scaled[i]), to_bits(std::fma(a[i], b[3], 0.1f))) << i;
  }
}

TEST_P(MasmTest, FusedMultiplyAdd) {
  const Lanes a = random_lanes(12), b = random_lanes(13);
  expect_bits(run_lanes(isa_, a, b,
                        [](Masm& m, Vec d, Vec x, Vec y) {
                          m.constant(d, 0.1f);
                          m.fma(d, x, y);
                        }),
              [&](std::size_t i) { return to_bits(std::fma(a[i], b[i], 0.1f)); });
  expect_bits(run_lanes(isa_, a, b,
                        [](Masm& m, Vec d, Vec x, Vec y) {
                          m.constant(d, 0.1f);
                          m.fnma(d, x, y);
                        }),
              [&](std::size_t i) { return to_bits(std::fma(-a[i], b[i], 0.1f)); });
  expect_bits(run_lanes(isa_, a, b,
                        [](Masm& m, Vec d, Vec x, Vec) {
                          const Gp p = pointer(m, 1);
                          m.zero(d);
                          m.fma_broadcast(d, x, {p, 12});
                          m.release(p);
                        }),
              [&](std::size_t i) { return to_bits(std::fma(a[i], b[3], 0.0f)); });
}

TEST_P(MasmTest, BroadcastsAndConstants) {
  const Lanes a = random_words(14);
  const std::size_t lanes = static_cast<std::size_t>(isa_.lanes);
  const auto run = [&](const LaneBody& body) { return run_lanes(isa_, a, a, body); };
  expect_bits(run([](Masm& m, Vec d, Vec x, Vec) { m.broadcast(d, x); }),
              [&](std::size_t i) { return to_bits(a[i / lanes * lanes]); });
  expect_bits(run([](Masm& m, Vec d, Vec, Vec) { m.constant(d, 2.5f); }),
              [](std::size_t) { return to_bits(2.5f); });
  expect_bits(run([](Masm& m, Vec d, Vec, Vec) { m.iota(d); }),
              [&](std::size_t i) { return static_cast<std::uint32_t>(i % lanes); });
  expect_bits(run([](Masm& m, Vec d, Vec, Vec) { m.zero(d); }), [](std::size_t) { return 0u; });
  expect_bits(run([](Masm& m, Vec d, Vec, Vec) {
                const Gp p = pointer(m, 0);
                m.load_scalar(d, {p, 20});
                m.store_scalar(m.stack(4), d);
                m.broadcast(d, m.stack(4));
                m.release(p);
              }),
              [&](std::size_t) { return to_bits(a[5]); });
}

TEST_P(MasmTest, HorizontalFoldsFollowTheFixedTree) {
  const auto fold = [&](const Lanes& a, bool sum) {
    const auto m = codegen::make_masm(isa_);
    const codegen::CodeMemory code = assemble(*m, [&] {
      const Gp in = pointer(*m, 0), out = pointer(*m, 1);
      std::vector<Vec> v;
      for (int i = 0; i < isa_.vectors_per_block(); ++i) {
        v.push_back(m->vec());
        m->load(v.back(), {in, 4 * isa_.lanes * i});
      }
      if (sum)
        m->fold_lanes(v, false);
      else
        m->fold_lanes(v, true);
      m->store_scalar({out}, v[0]);
    });
    float result = 0;
    const void* args[] = {a.data(), &result};
    code.entry()(args);
    return result;
  };
  for (unsigned seed = 20; seed < 40; ++seed) {
    const Lanes a = random_lanes(seed);
    Lanes tree = a, most = a;
    for (std::size_t step = 8; step > 0; step /= 2)
      for (std::size_t i = 0; i < step; ++i) {
        tree[i] += tree[i + step];
        most[i] = std::max(most[i], most[i + step]);
      }
    EXPECT_EQ(to_bits(fold(a, true)), to_bits(tree[0]));
    EXPECT_EQ(fold(a, false), most[0]);
  }
}

}  // namespace
}  // namespace taper
