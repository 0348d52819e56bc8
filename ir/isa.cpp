#include "ir/isa.h"

#include <fmt/format.h>

#include <array>
#include <cstdlib>

#include "ir/error.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace taper::ir {
namespace {

constexpr std::uint64_t kAvxState = 0x06;     // XCR0: xmm, ymm
constexpr std::uint64_t kAvx512State = 0xe6;  // and opmasks, zmm, zmm16 to zmm31

bool os_saves(const CpuFeatures& f, std::uint64_t state) {
  return f.osxsave && (f.xcr0 & state) == state;
}
bool has_avx2(const CpuFeatures& f) {
  return f.avx2 && f.fma && f.f16c && f.bmi2 && os_saves(f, kAvxState);
}
bool has_avx512(const CpuFeatures& f) {
  return has_avx2(f) && f.avx512f && f.avx512bw && f.avx512dq && f.avx512vl &&
         os_saves(f, kAvx512State);
}

#if defined(__x86_64__)
// XGETBV as an instruction: the intrinsic would need this file to be compiled for XSAVE.
std::uint64_t read_xcr0() {
  std::uint32_t low = 0, high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return std::uint64_t{high} << 32 | low;
}
#endif

}  // namespace

const Isa kAvx2{"avx2", 8, 16, 1, 6, 1, false};
const Isa kAvx512{"avx512", 16, 32, 2, 14, 2, false};
const Isa kAvx512Vnni{"avx512_vnni", 16, 32, 2, 14, 2, true};
const Isa kNeon{"neon", 4, 31, 1, 6, 1, false};  // the emitter takes one more for itself

CpuFeatures host_features() {
  CpuFeatures f;
#if defined(__x86_64__)
  unsigned a = 0, b = 0, c = 0, d = 0;
  const auto bit = [](unsigned word, int index) { return (word >> index & 1) != 0; };
  if (__get_cpuid_count(1, 0, &a, &b, &c, &d)) {
    f.fma = bit(c, 12);
    f.osxsave = bit(c, 27);
    f.f16c = bit(c, 29);
  }
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
    f.avx2 = bit(b, 5);
    f.bmi2 = bit(b, 8);
    f.avx512f = bit(b, 16);
    f.avx512dq = bit(b, 17);
    f.avx512bw = bit(b, 30);
    f.avx512vl = bit(b, 31);
    f.avx512vnni = bit(c, 11);
  }
  if (f.osxsave) f.xcr0 = read_xcr0();
#elif defined(__aarch64__)
  f.neon = true;
#endif
  return f;
}

bool runs_on(const Isa& isa, const CpuFeatures& features) {
  if (isa.name == kNeon.name) return features.neon;
  if (isa.name == kAvx512Vnni.name) return has_avx512(features) && features.avx512vnni;
  if (isa.name == kAvx512.name) return has_avx512(features);
  return isa.name == kAvx2.name && has_avx2(features);
}

const Isa* select_isa(const CpuFeatures& features, std::optional<std::string> cap) {
  const Isa* highest = cap ? &isa_named(*cap) : nullptr;
  const auto allowed = [&](const Isa& isa) {
    // The x86 rows are ordered by lanes, then by features; NEON is above none of them.
    const bool same_family = highest == nullptr || (highest == &kNeon) == (&isa == &kNeon);
    if (highest == nullptr) return true;
    const bool below = isa.lanes < highest->lanes;
    return same_family &&
           (below || (isa.lanes == highest->lanes && isa.integer_dot <= highest->integer_dot));
  };
  for (const Isa* isa : {&kAvx512Vnni, &kAvx512, &kAvx2, &kNeon})
    if (runs_on(*isa, features) && allowed(*isa)) return isa;
  return nullptr;
}

const Isa* host_isa() {
  const char* cap = std::getenv("TAPER_MAX_ISA");
  const bool capped = cap != nullptr && *cap != '\0';
  return select_isa(host_features(), capped ? std::optional<std::string>(cap) : std::nullopt);
}

const Isa& isa_named(std::string_view name) {
  for (const Isa* isa : {&kAvx2, &kAvx512, &kAvx512Vnni, &kNeon}) {
    if (isa->name == name) return *isa;
  }
  throw Error(fmt::format(
      "\"{}\" is not an instruction set: it is avx2, avx512, avx512_vnni or neon", name));
}

}  // namespace taper::ir
