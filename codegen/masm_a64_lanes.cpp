// AArch64: lane-wise arithmetic, constants, scalars and horizontal folds.
#include "codegen/masm_a64.h"

namespace taper::codegen {

using namespace asmjit;

#define TAPER_VEC_OP_1(name, x86, op, lanes)           \
  void MasmA64::name(Vec d, Vec a) {                   \
    a_.op(a64::v(d.id).lanes(), a64::v(a.id).lanes()); \
  }
#define TAPER_VEC_OP_2(name, x86, op, lanes)                                 \
  void MasmA64::name(Vec d, Vec a, Vec b) {                                  \
    a_.op(a64::v(d.id).lanes(), a64::v(a.id).lanes(), a64::v(b.id).lanes()); \
  }
#define TAPER_VEC_SHIFT(name, x86, op, lanes)                \
  void MasmA64::name(Vec d, Vec a, int bits) {               \
    a_.op(a64::v(d.id).lanes(), a64::v(a.id).lanes(), bits); \
  }
#define TAPER_VEC_CHOICE(name, x86)
#include "codegen/vec_ops.def"

// fmax and fmin order zeros and pass NaN on; here the second operand wins unless the first is
// strictly beyond it.
void MasmA64::max(Vec d, Vec a, Vec b) {
  a_.fcmgt(v4(temp()), v4(a), v4(b));
  choose(d, a, b);
}
void MasmA64::min(Vec d, Vec a, Vec b) {
  a_.fcmgt(v4(temp()), v4(b), v4(a));
  choose(d, a, b);
}

// d = the temporary ? a : b. Arithmetic flushes denormals where the thread asks for it, choosing
// bits does not: hence the product.
void MasmA64::choose(Vec d, Vec a, Vec b) {
  a_.bsl(bits_of(temp()), bits_of(a), bits_of(b));
  a_.fmov(v4(other_temp()), 1.0);
  a_.fmul(v4(d), v4(temp()), v4(other_temp()));
}

void MasmA64::constant_i32(Vec d, std::uint32_t bits) {
  if (bits == 0) return zero(d);
  move_bits(a64::x16, bits);
  a_.dup(v4(d), a64::w16);
}
void MasmA64::iota(Vec d) {
  constexpr std::uint64_t kLow = std::uint64_t{1} << 32, kHigh = std::uint64_t{3} << 32 | 2;
  move_bits(a64::x16, kLow);
  move_bits(a64::x17, kHigh);
  a_.ins(a64::v(d.id).d(0), a64::x16);
  a_.ins(a64::v(d.id).d(1), a64::x17);
}
void MasmA64::zero(Vec d) {
  a_.movi(v4(d), 0);
}

void MasmA64::broadcast(Vec d, Address a) {
  load_scalar(d, a);
  broadcast(d, d);
}
void MasmA64::broadcast(Vec d, Vec s) {
  a_.dup(v4(d), a64::v(s.id).s(0));
}
void MasmA64::load_scalar(Vec d, Address a) {
  const arm::Mem source = mem(a, 4);
  a_.ldr(a64::s(d.id), source);
}
void MasmA64::store_scalar(Address a, Vec s) {
  const arm::Mem target = mem(a, 4);
  a_.str(a64::s(s.id), target);
}

void MasmA64::fma_broadcast(Vec acc, Vec a, Address scalar) {
  load_scalar(temp(), scalar);
  a_.fmla(v4(acc), v4(a), a64::v(temp().id).s(0));
}

// The products of 8 bytes fit in 16 bits each; their sums are in lanes 0 and 1, or 2 and 3.
void MasmA64::dot_half(Vec acc, bool high, Vec a, Vec b) {
  const arm::VecV t = a64::v(temp().id), u = a64::v(other_temp().id);
  if (high) {
    a_.ushll2(t.h8(), bits_of(a), 0);
    a_.sshll2(u.h8(), bits_of(b), 0);
  } else {
    a_.ushll(t.h8(), a64::v(a.id).b8(), 0);
    a_.sshll(u.h8(), a64::v(b.id).b8(), 0);
  }
  a_.mul(t.h8(), t.h8(), u.h8());
  a_.saddlp(t.s4(), t.h8());
  zero(other_temp());
  high ? a_.addp(t.s4(), u.s4(), t.s4()) : a_.addp(t.s4(), t.s4(), u.s4());
  a_.add(v4(acc), v4(acc), t.s4());
}

// With a = s + 128, s signed: the sum of s b, and 64 times that of b twice.
void MasmA64::dot_by_signed(Vec acc, Vec a, Vec b) {
  const arm::VecV t = a64::v(temp().id);
  a_.movi(t.b16(), 0x80);
  a_.eor(t.b16(), t.b16(), bits_of(a));
  a_.sdot(v4(acc), t.b16(), bits_of(b));
  a_.movi(t.b16(), 64);
  a_.sdot(v4(acc), t.b16(), bits_of(b));
  a_.sdot(v4(acc), t.b16(), bits_of(b));
}

void MasmA64::dot_u8_i8(Vec acc, Vec a, Vec b) {
  switch (isa_.integer_dot) {
    case ir::IntegerDot::mixed:
      a_.usdot(v4(acc), bits_of(a), bits_of(b));
      return;
    case ir::IntegerDot::signed_bytes:
      return dot_by_signed(acc, a, b);
    case ir::IntegerDot::none:
      dot_half(acc, false, a, b);
      dot_half(acc, true, a, b);
      return;
  }
}

void MasmA64::move(Vec d, Vec s) {
  if (d != s) a_.mov(bits_of(d), bits_of(s));
}

void MasmA64::compare(Vec d, Predicate p, Vec a, Vec b) {
  switch (p) {
    case Predicate::eq:
      a_.fcmeq(v4(d), v4(a), v4(b));
      return;
    case Predicate::ne:
      a_.fcmeq(v4(d), v4(a), v4(b));
      a_.not_(bits_of(d), bits_of(d));
      return;
    case Predicate::lt:
      a_.fcmgt(v4(d), v4(b), v4(a));
      return;
    case Predicate::le:
      a_.fcmge(v4(d), v4(b), v4(a));
      return;
  }
}

void MasmA64::select(Vec d, Vec mask, Vec a, Vec b) {
  if (d == a) {
    a_.bif(bits_of(d), bits_of(b), bits_of(mask));
  } else if (d == b) {
    a_.bit(bits_of(d), bits_of(a), bits_of(mask));
  } else {
    move(d, mask);
    a_.bsl(bits_of(d), bits_of(a), bits_of(b));
  }
}

void MasmA64::round(Vec d, Vec a) {
  a_.frintn(v4(d), v4(a));
}

void MasmA64::mul_high_u32(Vec d, Vec a, Vec b) {
  const arm::VecV t = a64::v(temp().id);
  a_.umull(t.d2(), a64::v(a.id).s2(), a64::v(b.id).s2());
  a_.umull2(a64::v(d.id).d2(), v4(a), v4(b));
  a_.uzp2(v4(d), t.s4(), v4(d));
}

void MasmA64::zip(Vec low, Vec high, Vec a, Vec b) {
  a_.zip1(v4(low), v4(a), v4(b));
  a_.zip2(v4(high), v4(a), v4(b));
}

// Folds 16 virtual lanes into lane 0 of v[0]: halves of 8, 4, 2, 1.
void MasmA64::fold_lanes(const std::vector<Vec>& regs, bool maximum) {
  const auto fold = [&](Vec d, Vec a) { maximum ? max(d, d, a) : add(d, d, a); };
  const Vec s = regs[0], t = other_temp();
  fold(s, regs[2]);
  fold(regs[1], regs[3]);
  fold(s, regs[1]);
  a_.ext(bits_of(t), bits_of(s), bits_of(s), 8);
  fold(s, t);
  a_.dup(v4(t), a64::v(s.id).s(1));
  fold(s, t);
}

}  // namespace taper::codegen
