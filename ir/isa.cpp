#include "ir/isa.h"

#include <array>
#include <cstdlib>

#include "ir/error.h"

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
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

CpuFeatures ask_processor() {
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
  f.asimddp = (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
  f.i8mm = (getauxval(AT_HWCAP2) & HWCAP2_I8MM) != 0;
#endif
  return f;
}

}  // namespace

using enum Architecture;
using enum IntegerDot;
const Isa kAvx2{"avx2", x86_64, 8, 16, 1, 6, 1, 6, 12, none};
const Isa kAvx512{"avx512", x86_64, 16, 32, 2, 14, 2, 16, 16, none};
const Isa kAvx512Vnni{"avx512_vnni", x86_64, 16, 32, 2, 14, 2, 16, 16, mixed};
// The emitter takes one register more for itself.
const Isa kNeon{"neon", aarch64, 4, 31, 1, 6, 1, 6, 28, none};
const Isa kNeonDot{"neon_dot", aarch64, 4, 31, 1, 6, 1, 6, 28, signed_bytes};
const Isa kNeonI8mm{"neon_i8mm", aarch64, 4, 31, 1, 6, 1, 6, 28, mixed};

std::span<const Isa* const> all_isas() {
  static constexpr std::array kAll{&kAvx512Vnni, &kAvx512, &kAvx2, &kNeonI8mm, &kNeonDot, &kNeon};
  return kAll;
}

// Asked once: inside a virtual machine each question takes microseconds.
CpuFeatures host_features() {
  static const CpuFeatures features = ask_processor();
  return features;
}

bool runs_on(const Isa& isa, const CpuFeatures& features) {
  if (&isa == &kNeonI8mm) return features.neon && features.i8mm;
  if (&isa == &kNeonDot) return features.neon && features.asimddp;
  if (&isa == &kNeon) return features.neon;
  if (&isa == &kAvx512Vnni) return has_avx512(features) && features.avx512vnni;
  if (&isa == &kAvx512) return has_avx512(features);
  return &isa == &kAvx2 && has_avx2(features);
}

const Isa* select_isa(const CpuFeatures& features, std::optional<std::string> cap) {
  const Isa* highest = cap ? &isa_named(*cap) : nullptr;
  bool allowed = highest == nullptr;
  for (const Isa* isa : all_isas()) {
    allowed = allowed || isa == highest;
    const bool other = highest != nullptr && isa->architecture != highest->architecture;
    if (allowed && !other && runs_on(*isa, features)) return isa;
  }
  return nullptr;
}

const Isa* host_isa() {
  const char* cap = std::getenv("TAPER_MAX_ISA");
  const bool capped = cap != nullptr && *cap != '\0';
  if (!capped) return select_isa(host_features(), std::nullopt);
  try {
    return select_isa(host_features(), std::string(cap));
  } catch (const Error& error) {
    throw Error("TAPER_MAX_ISA: {}", error.what());
  }
}

const Isa& isa_named(std::string_view name) {
  for (const Isa* isa : all_isas())
    if (isa->name == name) return *isa;
  throw Error("\"{}\" is not an instruction set: it is {}", name, isa_names());
}

std::string isa_names() {
  std::string names;
  for (const Isa* isa : all_isas()) {
    if (!names.empty()) names += isa == all_isas().back() ? " or " : ", ";
    names += isa->name;
  }
  return names;
}

}  // namespace taper::ir
