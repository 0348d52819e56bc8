// Lane-wise arithmetic, constants, scalars and horizontal folds.
#include "codegen/masm_x86.h"

#include <numeric>

namespace taper::codegen {

using namespace asmjit;

namespace {

// AVX2 spells the bitwise operations without a lane size.
InstId avx2_id(InstId id) {
  if (id == x86::Inst::kIdVpandd) return x86::Inst::kIdVpand;
  if (id == x86::Inst::kIdVpord) return x86::Inst::kIdVpor;
  if (id == x86::Inst::kIdVpxord) return x86::Inst::kIdVpxor;
  return id;
}

int predicate_code(Predicate p) {
  switch (p) {
    case Predicate::eq:
      return 0x00;  // ordered, quiet
    case Predicate::ne:
      return 0x04;  // unordered, quiet
    case Predicate::lt:
      return 0x11;  // ordered, quiet
    case Predicate::le:
      return 0x12;  // ordered, quiet
  }
  throw Error("unknown predicate");
}

// vpternlogd tables of mask ? a : b, by which of them is the destination (the table's highest bit).
constexpr int kSelectIntoMask = 0xca;  // (mask, a, b)
constexpr int kSelectIntoA = 0xe2;     // (a, mask, b)
constexpr int kSelectIntoB = 0xb8;     // (b, mask, a)

}  // namespace

x86::Vec MasmX86::v(Vec r) const {
  if (wide()) return x86::zmm(r.id);
  return x86::ymm(r.id);
}

x86::Vec MasmX86::half(Vec r) const {
  if (wide()) return x86::ymm(r.id);
  return x86::xmm(r.id);
}

#define TAPER_VEC_OP_1(name, id, a64, lanes) \
  void MasmX86::name(Vec d, Vec a) {         \
    a_.emit(x86::Inst::kId##id, v(d), v(a)); \
  }
#define TAPER_VEC_OP_2(name, id, a64, lanes)                \
  void MasmX86::name(Vec d, Vec a, Vec b) {                 \
    const InstId any = x86::Inst::kId##id;                  \
    a_.emit(wide() ? any : avx2_id(any), v(d), v(a), v(b)); \
  }
#define TAPER_VEC_SHIFT(name, id, a64, lanes)           \
  void MasmX86::name(Vec d, Vec a, int bits) {          \
    a_.emit(x86::Inst::kId##id, v(d), v(a), Imm(bits)); \
  }
#include "codegen/vec_ops.def"

void MasmX86::constant_i32(Vec d, std::uint32_t bits) {
  if (bits == 0) return zero(d);
  a_.vbroadcastss(v(d), pool({bits}));
}

void MasmX86::iota(Vec d) {
  std::vector<std::uint32_t> numbers(static_cast<std::size_t>(isa_.lanes));
  std::iota(numbers.begin(), numbers.end(), 0u);
  a_.vmovups(v(d), pool(std::move(numbers)));
}

void MasmX86::zero(Vec d) {
  bit_xor(d, d, d);
}

void MasmX86::broadcast(Vec d, Address a) {
  a_.vbroadcastss(v(d), mem(a));
}
void MasmX86::broadcast(Vec d, Vec s) {
  a_.vbroadcastss(v(d), x86::xmm(s.id));
}
void MasmX86::load_scalar(Vec d, Address a) {
  a_.vmovss(x86::xmm(d.id), mem(a));
}
void MasmX86::store_scalar(Address a, Vec s) {
  a_.vmovss(mem(a), x86::xmm(s.id));
}

// Without the instruction: the products of even and of odd bytes apart, as two of them could exceed
// the 16 bits that vpmaddubsw saturates to.
void MasmX86::dot_u8_i8(Vec acc, Vec a, Vec b) {
  if (isa_.integer_dot == ir::IntegerDot::mixed) {
    a_.vpdpbusd(v(acc), v(a), v(b));
    return;
  }
  const auto ones = pool(std::vector<std::uint32_t>(static_cast<std::size_t>(isa_.lanes), 0x10001));
  for (const std::uint32_t bytes : {0x00ff00ffu, 0xff00ff00u}) {
    a_.emit(wide() ? x86::Inst::kIdVpandd : x86::Inst::kIdVpand, v(temp()), v(a), splat(bytes));
    a_.vpmaddubsw(v(temp()), v(temp()), v(b));
    a_.vpmaddwd(v(temp()), v(temp()), ones);
    a_.vpaddd(v(acc), v(acc), v(temp()));
  }
}

void MasmX86::fma_broadcast(Vec acc, Vec a, Address scalar) {
  if (wide()) {
    a_.vfmadd231ps(v(acc), v(a), mem(scalar)._1to16());
    return;
  }
  a_.vbroadcastss(v(temp()), mem(scalar));
  a_.vfmadd231ps(v(acc), v(a), v(temp()));
}

void MasmX86::fma_half(Vec acc, Vec a, Vec b) {
  if (!wide()) return fma(acc, a, b);
  a_.vfmadd231ps(half(acc), half(a), half(b));
}

void MasmX86::fma_half(Vec acc, Vec a, Address scalar) {
  if (!wide()) return fma_broadcast(acc, a, scalar);
  a_.vfmadd231ps(half(acc), half(a), mem(scalar)._1to8());
}

void MasmX86::move(Vec d, Vec s) {
  if (d != s) a_.vmovaps(v(d), v(s));
}

void MasmX86::ones_where_k2(Vec d) {
  a_.k(x86::k2).z().vpternlogd(v(d), v(d), v(d), 0xff);
}

void MasmX86::compare(Vec d, Predicate p, Vec a, Vec b) {
  if (!wide()) {
    a_.vcmpps(v(d), v(a), v(b), predicate_code(p));
    return;
  }
  a_.vcmpps(x86::k2, v(a), v(b), predicate_code(p));
  ones_where_k2(d);
}

void MasmX86::mask(Vec d, Predicate p, Vec a, Vec b, Vec x) {
  if (!wide()) return Masm::mask(d, p, a, b, x);
  a_.vcmpps(x86::k2, v(a), v(b), predicate_code(p));
  a_.k(x86::k2).z().vmovaps(v(d), v(x));
}

void MasmX86::select(Vec d, Vec mask, Vec a, Vec b) {
  if (!wide()) {
    const Vec t = temp();
    a_.vxorps(v(t), v(a), v(b));
    a_.vandps(v(t), v(t), v(mask));
    a_.vxorps(v(d), v(t), v(b));
    return;
  }
  if (d == a) {
    a_.vpternlogd(v(d), v(mask), v(b), kSelectIntoA);
  } else if (d == b) {
    a_.vpternlogd(v(d), v(mask), v(a), kSelectIntoB);
  } else {
    move(d, mask);
    a_.vpternlogd(v(d), v(a), v(b), kSelectIntoMask);
  }
}

void MasmX86::round(Vec d, Vec a) {
  constexpr int kNearestEvenQuiet = 0x08;
  a_.emit(wide() ? x86::Inst::kIdVrndscaleps : x86::Inst::kIdVroundps, v(d), v(a),
          Imm(kNearestEvenQuiet));
}

void MasmX86::mul_high_u32(Vec d, Vec a, Vec b) {
  const Vec t = temp();
  a_.vpsrlq(v(d), v(a), 32);
  a_.vpsrlq(v(t), v(b), 32);
  a_.vpmuludq(v(t), v(d), v(t));  // odd lanes: the high halves are in place
  a_.vpmuludq(v(d), v(a), v(b));
  a_.vpsrlq(v(d), v(d), 32);
  if (!wide()) {
    a_.vpblendd(v(d), v(d), v(t), 0xaa);
    return;
  }
  a_.mov(x86::r11d, 0xaaaa);
  a_.kmovw(x86::k2, x86::r11d);
  a_.k(x86::k2).vmovdqa32(v(d), v(t));
}

void MasmX86::zip(Vec low, Vec high, Vec a, Vec b) {
  if (!wide()) {
    constexpr int kLowHalves = 0x20, kHighHalves = 0x31;
    const Vec t = temp();
    a_.vunpcklps(v(low), v(a), v(b));
    a_.vunpckhps(v(t), v(a), v(b));
    a_.vperm2f128(v(high), v(low), v(t), kHighHalves);
    a_.vperm2f128(v(low), v(low), v(t), kLowHalves);
    return;
  }
  std::vector<std::uint32_t> first, second;  // lanes of b count on from those of a
  for (std::uint32_t lane = 0; lane < 8; ++lane) {
    for (const std::uint32_t from : {lane, lane + 16}) {
      first.push_back(from);
      second.push_back(from + 8);
    }
  }
  const Mem low_lanes = pool(std::move(first)), high_lanes = pool(std::move(second));
  a_.vmovups(v(low), low_lanes);
  a_.vpermi2ps(v(low), v(a), v(b));
  a_.vmovups(v(high), high_lanes);
  a_.vpermi2ps(v(high), v(a), v(b));
}

// Folds 16 virtual lanes into lane 0 of v[0]: halves of 8, 4, 2, 1.
void MasmX86::fold_lanes(const std::vector<Vec>& regs, bool maximum) {
  const InstId op = maximum ? x86::Inst::kIdVmaxps : x86::Inst::kIdVaddps;
  const Vec s = regs[0], t = temp();
  const x86::Xmm low = x86::xmm(s.id), other = x86::xmm(t.id);
  if (wide()) {
    a_.vextractf64x4(half(t), v(s), 1);
    a_.emit(op, half(s), half(s), half(t));
    a_.vextractf32x4(other, half(s), 1);
  } else {
    a_.emit(op, v(s), v(s), v(regs[1]));
    a_.vextractf128(other, v(s), 1);
  }
  a_.emit(op, low, low, other);
  a_.vmovhlps(other, low, low);
  a_.emit(op, low, low, other);
  a_.vmovshdup(other, low);
  a_.emit(op, low, low, other);
}

}  // namespace taper::codegen
