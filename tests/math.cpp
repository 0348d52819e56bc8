// Our transcendentals: accuracy over all exponents, special values, the same bits on every ISA.
#include "codegen/math.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <limits>
#include <random>
#include <thread>

#include "ir/eval.h"
#include "masm_run.h"
#include "runtime/thread_pool.h"

namespace taper {
namespace {

using codegen::Gp;
using codegen::Label;
using codegen::Masm;
using codegen::Math;
using codegen::Vec;

constexpr float kInf = std::numeric_limits<float>::infinity();
const float kNan = std::numeric_limits<float>::quiet_NaN();

using Unary = void (Math::*)(Vec, Vec);

// y[i] = f(x[i]); the number of elements is a multiple of 16.
using Body = std::function<void(Masm& m, Vec d, Vec a)>;
codegen::CodeMemory assemble_loop(const ir::Isa& isa, const Body& f) {
  const auto m = codegen::make_masm(isa);
  return assemble(*m, [&] {
    const Gp in = pointer(*m, 0), out = pointer(*m, 1), count = pointer(*m, 2);
    const Vec a = m->vec(), d = m->vec();
    const int before = m->free_vecs();
    const Label top = m->label();
    m->bind(top);
    m->load(a, {in});
    f(*m, d, a);
    EXPECT_EQ(m->free_vecs(), before);
    m->store({out}, d);
    m->add(in, 4 * isa.lanes);
    m->add(out, 4 * isa.lanes);
    m->add(count, -isa.lanes);
    m->jump_if(codegen::Condition::greater, count, 0, top);
  });
}

void run(const codegen::CodeMemory& code, const std::vector<float>& x, std::vector<float>& y) {
  y.resize(x.size());
  const void* args[] = {x.data(), y.data(), reinterpret_cast<const void*>(x.size())};
  const runtime::FlushDenormals flush;  // as the threads of a program do
  code.entry()(args);
}

std::vector<float> apply(const ir::Isa& isa, const Body& f, const std::vector<float>& x) {
  std::vector<float> y;
  run(assemble_loop(isa, f), x, y);
  return y;
}

Body body_of(Unary f) {
  return [f](Masm& m, Vec d, Vec a) {
    Math math(m);
    (math.*f)(d, a);
  };
}

std::vector<float> apply(const ir::Isa& isa, Unary f, const std::vector<float>& x) {
  return apply(isa, body_of(f), x);
}

// Distance in units of the last place of the exact result, a normal number.
double ulps(float got, double want) {
  const std::uint64_t exponent = std::bit_cast<std::uint64_t>(want) >> 52 & 0x7ff;
  return std::fabs(got - want) * std::bit_cast<double>((2 * 1023 + 23 - exponent) << 52);
}

// Values of both signs, every exponent, and a dense sweep of [-110, 110].
std::vector<float> sweep() {
  std::vector<float> x;
  std::mt19937 random(1);
  for (std::uint32_t exponent = 1; exponent < 255; ++exponent)
    for (int i = 0; i < 1000; ++i) {
      const std::uint32_t bits = exponent << 23 | (static_cast<std::uint32_t>(random()) >> 9);
      x.push_back(from_bits(bits));
      x.push_back(-x.back());
    }
  std::uniform_real_distribution<float> middle(-110, 110), small(-3, 3);
  for (int i = 0; i < 400000; ++i) {
    x.push_back(middle(random));
    x.push_back(small(random));
  }
  x.resize((x.size() + 15) / 16 * 16, 1.0f);
  return x;
}

struct Worst {
  double error = 0;  // ulps
  float where = 0;
};

// Where the exact result is a normal f32, how far off; elsewhere the result must be what flushing
// and overflow make of it. A denormal x counts as zero.
void measure(const std::vector<float>& x, const std::vector<float>& y, double (*exact)(double),
             Worst& worst) {
  for (std::size_t i = 0; i < x.size(); ++i) {
    const bool denormal = std::fabs(x[i]) < std::numeric_limits<float>::min();
    const double want = exact(denormal ? std::copysign(0.0f, x[i]) : x[i]);
    if (std::isnan(want)) {
      ASSERT_TRUE(std::isnan(y[i])) << x[i];
    } else if (std::fabs(want) > std::numeric_limits<float>::max()) {
      ASSERT_EQ(y[i], want > 0 ? kInf : -kInf) << x[i];
    } else if (std::fabs(want) < std::numeric_limits<float>::min()) {
      ASSERT_LE(std::fabs(y[i] - want), std::numeric_limits<float>::min() * 1.000001) << x[i];
    } else if (const double error = ulps(y[i], want); !(error <= worst.error)) {
      worst = {error, x[i]};
    }
  }
}

// One function assembled for every instruction set of the host.
class Everywhere {
 public:
  explicit Everywhere(Unary unary) {
    const Body f = body_of(unary);
    for (const ir::Isa* isa : host_isas()) programs_.emplace_back(isa, f);
  }

  // The error on the first instruction set, and the same bits on the others.
  void measure(const std::vector<float>& x, double (*exact)(double), Worst& worst) const {
    std::vector<float> first, y;
    for (const Program& program : programs_) {
      run(program.code, x, first.empty() ? first : y);
      if (y.empty()) {
        taper::measure(x, first, exact, worst);
        if (testing::Test::HasFatalFailure()) return;
        continue;
      }
      if (std::memcmp(y.data(), first.data(), 4 * x.size()) == 0) continue;
      for (std::size_t i = 0; i < y.size(); ++i) {
        if (std::isnan(y[i]) && std::isnan(first[i])) continue;
        ASSERT_EQ(to_bits(y[i]), to_bits(first[i])) << x[i] << " on " << program.isa->name;
      }
    }
  }

 private:
  struct Program {
    Program(const ir::Isa* where, const Body& f) : isa(where), code(assemble_loop(*where, f)) {}
    const ir::Isa* isa;
    codegen::CodeMemory code;
  };
  std::deque<Program> programs_;
};

// Every f32, in blocks that the threads of this machine take in turn.
void measure_all(const Everywhere& everywhere, double (*exact)(double), Worst& worst) {
  constexpr std::uint64_t kBlock = 1 << 16;
  std::atomic<std::uint64_t> next{0};
  const auto work = [&](Worst& mine) {
    std::vector<float> x(kBlock);
    for (std::uint64_t begin; (begin = next.fetch_add(kBlock)) < std::uint64_t{1} << 32;) {
      for (std::uint64_t i = 0; i < kBlock; ++i)
        x[i] = from_bits(static_cast<std::uint32_t>(begin + i));
      everywhere.measure(x, exact, mine);
      if (testing::Test::HasFatalFailure()) return;
    }
  };
  std::vector<Worst> found(std::max(1u, std::thread::hardware_concurrency()));
  std::vector<std::thread> threads;
  for (Worst& mine : found) threads.emplace_back(work, std::ref(mine));
  for (std::thread& thread : threads) thread.join();
  for (const Worst& mine : found)
    if (mine.error > worst.error) worst = mine;
}

// A sweep; every f32 where TAPER_FULL is set, as tests/run.sh --full does.
void check(Unary f, double (*exact)(double), double bound) {
  const Everywhere everywhere(f);
  Worst worst;
  if (std::getenv("TAPER_FULL") == nullptr)
    everywhere.measure(sweep(), exact, worst);
  else
    measure_all(everywhere, exact, worst);
  std::printf("at most %.4f ulp, at %a\n", worst.error, static_cast<double>(worst.where));
  EXPECT_LE(worst.error, bound) << "at " << worst.where;
}

float at(Unary f, float x) {
  float result = 0;
  for (const ir::Isa* isa : host_isas()) result = apply(*isa, f, std::vector<float>(16, x))[5];
  return result;
}

TEST(Math, Exp) {
  check(
      &Math::exp, [](double x) { return std::exp(x); }, 0.8943);
}
TEST(Math, Log) {
  check(
      &Math::log, [](double x) { return std::log(x); }, 0.8266);
}
TEST(Math, Sigmoid) {
  check(
      &Math::sigmoid, [](double x) { return 1 / (1 + std::exp(-x)); }, 2.4808);
}
TEST(Math, Tanh) {
  check(
      &Math::tanh, [](double x) { return std::tanh(x); }, 1.3708);
}

TEST(Math, Erf) {
  check(
      &Math::erf, [](double x) { return std::erf(x); }, 1.1715);
}

TEST(Math, SpecialValues) {
  for (const Unary f :
       {&Math::exp, &Math::log, &Math::sigmoid, &Math::tanh, &Math::erf, &Math::relu, &Math::relu6})
    EXPECT_TRUE(std::isnan(at(f, kNan)));
  EXPECT_EQ(at(&Math::exp, kInf), kInf);
  EXPECT_EQ(at(&Math::exp, -kInf), 0);
  EXPECT_EQ(at(&Math::exp, 0), 1);
  EXPECT_EQ(at(&Math::exp, 88.7228317f), std::exp(88.7228317f));
  EXPECT_EQ(at(&Math::exp, 88.7228394f), kInf);
  EXPECT_EQ(at(&Math::exp, -87.5f), 0);
  EXPECT_EQ(at(&Math::log, 0), -kInf);
  EXPECT_EQ(at(&Math::log, -0.0f), -kInf);
  EXPECT_EQ(at(&Math::log, kInf), kInf);
  EXPECT_TRUE(std::isnan(at(&Math::log, -1)));
  EXPECT_TRUE(std::isnan(at(&Math::log, -kInf)));
  EXPECT_EQ(to_bits(at(&Math::log, 1)), 0u);
  EXPECT_EQ(at(&Math::sigmoid, -kInf), 0);
  EXPECT_EQ(at(&Math::sigmoid, kInf), 1);
  EXPECT_EQ(at(&Math::sigmoid, 0), 0.5f);
  EXPECT_EQ(at(&Math::erf, kInf), 1);
  EXPECT_EQ(at(&Math::erf, -kInf), -1);
  EXPECT_EQ(to_bits(at(&Math::erf, -0.0f)), 0x80000000u);
  EXPECT_EQ(at(&Math::tanh, kInf), 1);
  EXPECT_EQ(at(&Math::tanh, -kInf), -1);
  EXPECT_EQ(to_bits(at(&Math::tanh, -0.0f)), 0x80000000u);
  EXPECT_EQ(at(&Math::relu, -2), 0);
  EXPECT_EQ(at(&Math::relu, 2), 2);
  EXPECT_EQ(at(&Math::relu6, -2), 0);
  EXPECT_EQ(at(&Math::relu6, 2), 2);
  EXPECT_EQ(at(&Math::relu6, 7), 6);
  EXPECT_EQ(to_bits(at(&Math::neg, 0)), 0x80000000u);
  EXPECT_EQ(at(&Math::abs, -7), 7);
}

TEST(Math, MaximumAndMinimumPropagateNan) {
  const Lanes a{1, kNan, 2, kNan, -1, kInf, 3, 3}, b{2, 1, kNan, kNan, -2, 0, 3, -kInf};
  for (const ir::Isa* isa : host_isas()) {
    const Lanes most =
        run_lanes(*isa, a, b, [](Masm& m, Vec d, Vec x, Vec y) { Math(m).maximum(d, x, y); });
    const Lanes least =
        run_lanes(*isa, a, b, [](Masm& m, Vec d, Vec x, Vec y) { Math(m).minimum(d, x, y); });
    for (std::size_t i = 0; i < 8; ++i) {
      const bool nan = std::isnan(a[i]) || std::isnan(b[i]);
      EXPECT_EQ(std::isnan(most[i]), nan);
      EXPECT_EQ(std::isnan(least[i]), nan);
      if (nan) continue;
      EXPECT_EQ(most[i], std::max(a[i], b[i]));
      EXPECT_EQ(least[i], std::min(a[i], b[i]));
    }
  }
}

TEST(Math, RandomIsPhilox) {
  constexpr std::uint64_t kSeed = 0x0123456789abcdefull, kStream = 77;
  Lanes index{}, step{};
  for (std::size_t i = 0; i < 16; ++i) {
    index[i] = from_bits(static_cast<std::uint32_t>(i * 0x10000001u));
    step[i] = 1234;
  }
  for (const ir::Isa* isa : host_isas()) {
    const Lanes got = run_lanes(*isa, index, step, [](Masm& m, Vec d, Vec i, Vec s) {
      Math(m).random(d, i, s, kSeed, kStream);
    });
    for (std::size_t i = 0; i < 16; ++i) {
      const std::uint32_t word = ir::philox(to_bits(index[i]), 1234, kStream, kSeed);
      EXPECT_EQ(got[i], static_cast<float>(word >> 8) * 0x1p-24f) << i;
    }
  }
}

// Every mantissa with an even and with an odd exponent, so in the middle range every input; zeros,
// extremes and special values among normal lanes.
TEST(Math, SquareRootIsCorrectlyRounded) {
  std::vector<float> x = sweep();
  for (std::uint32_t bits = 127u << 23; bits < 129u << 23; ++bits) x.push_back(from_bits(bits));
  const std::size_t special = x.size();
  x.resize(special + 16, 3.0f);
  const float extremes[] = {0.0f, -0.0f, kInf, -kInf, kNan, -1.0f, 0x1p-126f, 0x1.fffffep127f};
  std::copy(std::begin(extremes), std::end(extremes),
            x.begin() + static_cast<std::ptrdiff_t>(special));
  for (const ir::Isa* isa : host_isas()) {
    const std::vector<float> y = apply(
        *isa, [](Masm& m, Vec d, Vec a) { m.sqrt(d, a); }, x);
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const float want = std::sqrt(x[i]);
      wrong += std::isnan(want) ? !std::isnan(y[i]) : to_bits(y[i]) != to_bits(want);
    }
    EXPECT_EQ(wrong, 0u) << isa->name;
  }
}

}  // namespace
}  // namespace taper
