// Masm: the tail, narrow types in memory, and where code lives.
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <string>

#include "codegen/expr.h"
#include "ir/error.h"
#include "masm_run.h"

namespace taper {
namespace {

using codegen::Gp;
using codegen::Vec;
using ir::DType;

constexpr float kInf = std::numeric_limits<float>::infinity();
const float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr DType kDTypes[] = {DType::f32, DType::f16, DType::bf16,   DType::i8,
                             DType::u8,  DType::i32, DType::boolean};

float f16_value(int bits) {
  const int exponent = bits >> 10 & 31, mantissa = bits & 1023;
  float magnitude = std::ldexp(static_cast<float>(mantissa | 1024), exponent - 25);
  if (exponent == 0) magnitude = std::ldexp(static_cast<float>(mantissa), -24);
  if (exponent == 31) magnitude = mantissa == 0 ? kInf : kNan;
  return bits >> 15 != 0 ? -magnitude : magnitude;
}

// The nearest f16, ties to even, by search; 65520 and above is infinity.
int f16_bits(float x) {
  const int sign = std::signbit(x) ? 0x8000 : 0;
  const double magnitude = std::fabs(x);
  if (magnitude >= 65520) return sign | 0x7c00;
  int low = 0, high = 0x7c00;
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    (f16_value(middle) <= magnitude ? low : high) = middle;
  }
  const double above = high == 0x7c00 ? 65536 : f16_value(high);
  const double down = magnitude - f16_value(low), up = above - magnitude;
  return sign | (up < down || (up == down && high % 2 == 0) ? high : low);
}

class MasmMemoryTest : public testing::TestWithParam<const ir::Isa*> {
 protected:
  const ir::Isa& isa_ = *GetParam();

  // Loads `from` from one buffer and stores it as `to` in another, one vector, with a tail of
  // `count` unless negative.
  template <typename From, typename To>
  void move_vector(DType from, DType to, const From* source, To* target, std::int64_t count) {
    const auto m = codegen::make_masm(isa_);
    const codegen::CodeMemory code = assemble(*m, [&] {
      const Gp in = pointer(*m, 0), out = pointer(*m, 1), n = pointer(*m, 2);
      const Vec v = m->vec();
      if (count >= 0) m->set_tail(n);
      codegen::load_lanes(*m, v, {in}, from, count >= 0);
      codegen::store_lanes(*m, {out}, v, to, count >= 0);
    });
    const void* args[] = {source, target, reinterpret_cast<const void*>(count)};
    code.entry()(args);
  }

  template <typename To>
  To store_one(float value, DType to) {
    float source[32] = {};
    source[3] = value;
    To target[64] = {};
    move_vector(DType::f32, to, source, target, -1);
    return target[3];
  }
};

INSTANTIATE_TEST_SUITE_P(Isas, MasmMemoryTest, testing::ValuesIn(host_isas()),
                         [](const auto& info) { return std::string(info.param->name); });

TEST_P(MasmMemoryTest, TailIsClampedAndWritesNothingMore) {
  for (const std::int64_t count : {-9ll, 0ll, 1ll, 2ll, 3ll, 4ll, 5ll, 6ll, 7ll, 8ll, 9ll, 11ll,
                                   15ll, 16ll, 17ll, 256ll, 1ll << 40, -(1ll << 40)}) {
    const auto m = codegen::make_masm(isa_);
    const codegen::CodeMemory code = assemble(*m, [&] {
      const Gp in = pointer(*m, 0), out = pointer(*m, 1), n = pointer(*m, 2);
      const Vec v = m->vec(), w = m->vec();
      m->set_tail(n);
      m->load_tail(v, {in});
      m->store({out}, v);
      m->load(v, {in});
      m->store_tail({out, 64}, v);
      m->constant(w, -1);
      m->select_tail(v, v, w);
      m->store({out, 128}, v);
    });
    float in[16], out[48];
    for (int i = 0; i < 16; ++i) in[i] = static_cast<float>(i + 1);
    std::fill(std::begin(out), std::end(out), 99.0f);
    const void* args[] = {in, out, reinterpret_cast<const void*>(count)};
    code.entry()(args);
    for (int i = 0; i < isa_.lanes; ++i) {
      EXPECT_EQ(out[i], i < count ? in[i] : 0) << count;
      EXPECT_EQ(out[16 + i], i < count ? in[i] : 99) << count;
      EXPECT_EQ(out[32 + i], i < count ? in[i] : -1) << count;
    }
    for (int i = isa_.lanes; i < 16; ++i) EXPECT_EQ(out[16 + i], 99);
  }
}

TEST_P(MasmMemoryTest, TailOfAConstantCount) {
  const auto m = codegen::make_masm(isa_);
  const codegen::CodeMemory code = assemble(*m, [&] {
    const Gp out = pointer(*m, 0);
    const Vec v = m->vec();
    m->constant(v, 5);
    m->set_tail(3);
    m->store_tail({out}, v);
  });
  float out[16] = {};
  const void* args[] = {out};
  code.entry()(args);
  EXPECT_EQ(std::count(out, out + 16, 5.0f), 3);
}

TEST_P(MasmMemoryTest, EveryTypeRoundTripsWithTails) {
  for (const DType dtype : kDTypes) {
    const auto size = static_cast<std::int64_t>(ir::byte_size(dtype));
    for (std::int64_t count = -1; count <= isa_.lanes; ++count) {
      alignas(64) std::uint8_t source[256], target[256];
      for (std::size_t i = 0; i < 256; ++i) {
        source[i] = static_cast<std::uint8_t>(dtype == DType::boolean ? i % 3 == 0 : i * 7 % 120);
        if (dtype == DType::i32) source[i] = i % 4 == 0 ? static_cast<std::uint8_t>(i) : 0;
      }
      std::fill(std::begin(target), std::end(target), std::uint8_t{0xee});
      move_vector(dtype, dtype, source, target, count);
      const std::int64_t bytes = (count < 0 ? isa_.lanes : count) * size;
      for (std::int64_t i = 0; i < 256; ++i)
        ASSERT_EQ(target[i], i < bytes ? source[i] : 0xee)
            << ir::name(dtype) << " tail " << count << " byte " << i;
    }
  }
}

TEST_P(MasmMemoryTest, LoadsConvert) {
  float out[16];
  std::uint8_t bytes[128];
  for (std::size_t i = 0; i < 128; ++i) bytes[i] = static_cast<std::uint8_t>(i * 37);
  move_vector(DType::u8, DType::f32, bytes, out, -1);
  for (int i = 0; i < isa_.lanes; ++i) EXPECT_EQ(out[i], static_cast<float>(bytes[i]));
  move_vector(DType::i8, DType::f32, bytes, out, -1);
  for (int i = 0; i < isa_.lanes; ++i)
    EXPECT_EQ(out[i], static_cast<float>(static_cast<std::int8_t>(bytes[i])));
  std::int32_t words[32] = {};
  words[2] = -1234567;
  move_vector(DType::i32, DType::f32, words, out, -1);
  EXPECT_EQ(out[2], -1234567.0f);
  std::uint8_t flags[64] = {0, 1, 2, 255};
  move_vector(DType::boolean, DType::f32, flags, out, -1);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(to_bits(out[i]), i == 0 ? 0 : 0xffffffffu);
}

TEST_P(MasmMemoryTest, IntegerStoresTruncateAndSaturate) {
  EXPECT_EQ(store_one<std::uint8_t>(200.9f, DType::u8), 200);
  EXPECT_EQ(store_one<std::uint8_t>(-3, DType::u8), 0);
  EXPECT_EQ(store_one<std::uint8_t>(1e30f, DType::u8), 255);
  EXPECT_EQ(store_one<std::uint8_t>(kNan, DType::u8), 0);
  EXPECT_EQ(store_one<std::int8_t>(-3.9f, DType::i8), -3);
  EXPECT_EQ(store_one<std::int8_t>(-kInf, DType::i8), -128);
  EXPECT_EQ(store_one<std::int8_t>(kInf, DType::i8), 127);
  EXPECT_EQ(store_one<std::int8_t>(kNan, DType::i8), 0);
  EXPECT_EQ(store_one<std::int32_t>(kNan, DType::i32), 0);
  EXPECT_EQ(store_one<std::int32_t>(-70000.9f, DType::i32), -70000);
  EXPECT_EQ(store_one<std::int32_t>(3e9f, DType::i32), std::numeric_limits<std::int32_t>::max());
  EXPECT_EQ(store_one<std::int32_t>(-3e9f, DType::i32), std::numeric_limits<std::int32_t>::min());
}

TEST_P(MasmMemoryTest, HalfPrecision) {
  for (const float x : {0.0f, -0.0f, 1.0f, -2.5f, 1.0009765f, 1.00048828125f, 1.00146484375f,
                        65504.f, 65519.f, 65520.f, 6e-8f, 3e-5f, -1e-7f, 1e9f, 0.333f}) {
    const auto bits = store_one<std::uint16_t>(x, DType::f16);
    EXPECT_EQ(bits, f16_bits(x)) << x;
  }
  EXPECT_TRUE(std::isnan(f16_value(store_one<std::uint16_t>(kNan, DType::f16))));
  std::uint16_t source[64] = {0x3c00, 0x83ff, 0x0001, 0x7c00, 0xc100, 0x7bff, 0x3555, 0};
  float out[16];
  move_vector(DType::f16, DType::f32, source, out, -1);
  for (int i = 0; i < std::min(8, isa_.lanes); ++i) EXPECT_EQ(out[i], f16_value(source[i]));
}

TEST_P(MasmMemoryTest, BrainFloat) {
  const auto stored = [&](std::uint32_t bits) {
    return store_one<std::uint16_t>(from_bits(bits), DType::bf16);
  };
  EXPECT_EQ(stored(0x3f800000), 0x3f80);
  EXPECT_EQ(stored(0x3f808000), 0x3f80);  // tie to even
  EXPECT_EQ(stored(0x3f818000), 0x3f82);
  EXPECT_EQ(stored(0x3f808001), 0x3f81);
  EXPECT_EQ(stored(0x7f7fffff), 0x7f80);  // infinity
  EXPECT_EQ(stored(0xff800000), 0xff80);
  EXPECT_EQ(stored(0x7fffffff), 0x7fc0);  // NaN
  EXPECT_EQ(stored(0xff800001), 0x7fc0);
  std::uint16_t source[64] = {0x3f80, 0xc2f7};
  float out[16];
  move_vector(DType::bf16, DType::f32, source, out, -1);
  EXPECT_EQ(to_bits(out[1]), 0xc2f70000u);
}

TEST_P(MasmMemoryTest, NoMappingIsWritableAndExecutable) {
  const auto m = codegen::make_masm(isa_);
  const codegen::CodeMemory code = assemble(*m, [] {});
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);)
    EXPECT_EQ(line.find("rwx"), std::string::npos) << line;
}

// Where the system refuses memory that becomes executable, compiling works or throws taper::Error.
TEST_P(MasmMemoryTest, UnderMemoryDenyWriteExecute) {
  constexpr int kSetMdwe = 65, kRefuseExecGain = 1;
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    prctl(kSetMdwe, kRefuseExecGain, 0, 0, 0);
    int status = 0;
    try {
      const auto m = codegen::make_masm(isa_);
      const codegen::CodeMemory code = assemble(*m, [&] {
        const Gp out = pointer(*m, 0), r = m->gp();
        m->move(r, 42);
        m->store({out}, r);
      });
      std::int64_t out = 0;
      const void* args[] = {&out};
      code.entry()(args);
      if (out != 42) status = 1;
    } catch (const Error&) {
    }
    _exit(status);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

}  // namespace
}  // namespace taper
