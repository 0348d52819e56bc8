// Instruction sets: the rows, and the choice among them from faked CPUs.
#include <gtest/gtest.h>

#include <cstdlib>

#include "ir/error.h"
#include "ir/isa.h"

namespace taper::ir {
namespace {

constexpr std::uint64_t kAvxState = 0x7, kAvx512State = 0xe7;

CpuFeatures haswell() {
  CpuFeatures f;
  f.avx2 = f.fma = f.f16c = f.bmi2 = f.osxsave = true;
  f.xcr0 = kAvxState;
  return f;
}

CpuFeatures skylake_server() {
  CpuFeatures f = haswell();
  f.avx512f = f.avx512bw = f.avx512dq = f.avx512vl = true;
  f.xcr0 = kAvx512State;
  return f;
}

CpuFeatures arm() {
  CpuFeatures f;
  f.neon = true;
  return f;
}

CpuFeatures without(CpuFeatures f, bool CpuFeatures::*bit) {
  f.*bit = false;
  return f;
}

CpuFeatures with_state(CpuFeatures f, std::uint64_t xcr0) {
  f.xcr0 = xcr0;
  return f;
}

std::string chosen(const CpuFeatures& features, std::optional<std::string> cap = {}) {
  const Isa* isa = select_isa(features, std::move(cap));
  return isa == nullptr ? "none" : std::string(isa->name);
}

TEST(Isa, RowsAreConsistent) {
  for (const Isa* isa : all_isas()) {
    EXPECT_EQ(isa->lanes * isa->vectors_per_block(), 16) << isa->name;
    const int accumulators = isa->tile_rows * isa->tile_blocks * isa->vectors_per_block();
    // A tile needs its accumulators, one vector of weights per column and the broadcast registers.
    const int tile = accumulators + isa->broadcast_registers + isa->tile_blocks;
    EXPECT_LE(tile, isa->vector_registers) << isa->name;
    EXPECT_LE(isa->small_tile_rows * isa->vectors_per_block(), isa->small_tile_vectors)
        << isa->name;
    EXPECT_LE(isa->small_tile_vectors + isa->broadcast_registers, isa->vector_registers)
        << isa->name;
    EXPECT_EQ(&isa_named(isa->name), isa);
  }
}

TEST(Isa, UnknownNameIsAnError) {
  try {
    isa_named("sse9");
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "\"sse9\" is not an instruction set: it is avx512_vnni, avx512, avx2, neon_i8mm, "
                 "neon_dot or neon");
  }
  EXPECT_THROW(select_isa(haswell(), "AVX2"), Error);
}

TEST(Isa, RunsOnlyWhereTheCpuHasIt) {
  for (const Isa* isa : all_isas()) {
    EXPECT_FALSE(runs_on(*isa, {})) << isa->name;
    EXPECT_EQ(runs_on(*isa, haswell()), isa == &kAvx2) << isa->name;
    EXPECT_EQ(runs_on(*isa, skylake_server()), isa == &kAvx2 || isa == &kAvx512) << isa->name;
  }
}

TEST(Isa, TakesTheBestThatTheCpuHas) {
  EXPECT_EQ(chosen({}), "none");
  EXPECT_EQ(chosen(haswell()), "avx2");
  EXPECT_EQ(chosen(skylake_server()), "avx512");
  CpuFeatures cascade_lake = skylake_server();
  cascade_lake.avx512vnni = true;
  EXPECT_EQ(chosen(cascade_lake), "avx512_vnni");
  EXPECT_EQ(chosen(cascade_lake, "avx512"), "avx512");
  EXPECT_EQ(chosen(cascade_lake, "avx2"), "avx2");
  EXPECT_EQ(chosen(arm()), "neon");
}

TEST(Isa, EveryFeatureBitCounts) {
  for (const auto bit : {&CpuFeatures::avx2, &CpuFeatures::fma, &CpuFeatures::f16c,
                         &CpuFeatures::bmi2, &CpuFeatures::osxsave}) {
    EXPECT_EQ(chosen(without(haswell(), bit)), "none");
    EXPECT_EQ(chosen(without(skylake_server(), bit)), "none");
  }
  for (const auto bit : {&CpuFeatures::avx512f, &CpuFeatures::avx512bw, &CpuFeatures::avx512dq,
                         &CpuFeatures::avx512vl}) {
    EXPECT_EQ(chosen(without(skylake_server(), bit)), "avx2");
  }
}

TEST(Isa, TheOperatingSystemMustSaveTheRegisters) {
  EXPECT_EQ(chosen(with_state(haswell(), 0x3)), "none");
  EXPECT_EQ(chosen(with_state(haswell(), 0x5)), "none");
  EXPECT_EQ(chosen(with_state(skylake_server(), 0x3)), "none");
  for (const std::uint64_t partial : {0x07, 0x27, 0x47, 0x87, 0x67, 0xa7, 0xc7}) {
    EXPECT_EQ(chosen(with_state(skylake_server(), partial)), "avx2") << partial;
  }
}

TEST(Isa, TheCapLimitsTheChoice) {
  EXPECT_EQ(chosen(skylake_server(), "avx512"), "avx512");
  EXPECT_EQ(chosen(skylake_server(), "avx2"), "avx2");
  EXPECT_EQ(chosen(skylake_server(), "neon"), "none");
  EXPECT_EQ(chosen(haswell(), "avx512"), "avx2");
  EXPECT_EQ(chosen(arm(), "avx2"), "none");
  EXPECT_EQ(chosen(arm(), "neon"), "neon");
  CpuFeatures neoverse = arm();
  neoverse.asimddp = true;
  EXPECT_EQ(chosen(neoverse), "neon_dot");
  EXPECT_EQ(chosen(neoverse, "neon_i8mm"), "neon_dot");
  EXPECT_EQ(chosen(neoverse, "neon"), "neon");
  EXPECT_EQ(chosen(neoverse, "avx512_vnni"), "none");
  neoverse.i8mm = true;
  EXPECT_EQ(chosen(neoverse), "neon_i8mm");
  EXPECT_EQ(chosen(neoverse, "neon_dot"), "neon_dot");
}

TEST(Isa, TheEnvironmentCapsTheHost) {
  const char* before = std::getenv("TAPER_MAX_ISA");
  const std::string saved = before == nullptr ? "" : before;
  ::setenv("TAPER_MAX_ISA", "avx2", 1);
  EXPECT_EQ(host_isa(), select_isa(host_features(), "avx2"));
  ::setenv("TAPER_MAX_ISA", "", 1);
  EXPECT_EQ(host_isa(), select_isa(host_features(), std::nullopt));
  ::setenv("TAPER_MAX_ISA", "pentium", 1);
  EXPECT_THROW(host_isa(), Error);
  ::setenv("TAPER_MAX_ISA", saved.c_str(), 1);
}

TEST(Isa, TheHostReportsAKnownFamily) {
  const CpuFeatures f = host_features();
#if defined(__x86_64__)
  EXPECT_FALSE(f.neon);
  EXPECT_TRUE(f.avx2 || !f.avx512f);
#elif defined(__aarch64__)
  EXPECT_TRUE(f.neon);
#endif
  EXPECT_TRUE(f.osxsave || !f.avx2);
}

}  // namespace
}  // namespace taper::ir
