// AArch64: vector loads and stores, the tail, and conversions between f32 lanes and narrower types.
#include <algorithm>

#include "codegen/masm_a64.h"

namespace taper::codegen {

using namespace asmjit;

const a64::GpX kTailLanes = a64::x13;

void MasmA64::load(Vec d, Address a) {
  const arm::Mem source = mem(a, 16);
  a_.ldr(a64::v(d.id), source);
}
void MasmA64::store(Address a, Vec s) {
  const arm::Mem target = mem(a, 16);
  a_.str(a64::v(s.id), target);
}

void MasmA64::set_tail(Gp count) {
  a_.cmp(a64::x(count.id), isa_.lanes);
  move_bits(a64::x16, static_cast<std::uint64_t>(isa_.lanes));
  a_.csel(kTailLanes, a64::x(count.id), a64::x16, a64::CondCode::kSignedLT);
  a_.cmp(kTailLanes, 0);
  a_.csel(kTailLanes, kTailLanes, a64::xzr, a64::CondCode::kSignedGT);
  iota(temp());
  a_.dup(v4(other_temp()), a64::w(kTailLanes.id()));
  a_.cmgt(v4(temp()), v4(other_temp()), v4(temp()));
  a_.str(a64::v(temp().id), tail_mask());
}

void MasmA64::set_tail(int count) {
  move_bits(a64::x14, static_cast<std::uint64_t>(std::clamp(count, 0, isa_.lanes)));
  set_tail(Gp{14});
}

void MasmA64::mask_by_tail(Vec d) {
  a_.ldr(a64::v(other_temp().id), tail_mask());
  a_.and_(bits_of(d), bits_of(d), bits_of(other_temp()));
}

// Reads whole vectors: buffers have readable bytes past their end.
void MasmA64::load_tail(Vec d, Address a) {
  load(d, a);
  mask_by_tail(d);
}

// 4 lanes; or 2, and with them or alone 1.
void MasmA64::store_tail(Address a, Vec s) {
  const asmjit::Label whole = a_.newLabel(), odd = a_.newLabel(), done = a_.newLabel();
  a_.cmp(kTailLanes, isa_.lanes);
  a_.b(a64::CondCode::kSignedGE, whole);
  a_.tbz(kTailLanes, 1, odd);
  const arm::Mem pair = mem(a, 8);
  a_.str(a64::d(s.id), pair);
  a_.tbz(kTailLanes, 0, done);
  a_.dup(v4(temp()), a64::v(s.id).s(2));
  store_scalar(a + 8, temp());
  a_.b(done);
  a_.bind(odd);
  a_.tbz(kTailLanes, 0, done);
  store_scalar(a, s);
  a_.b(done);
  a_.bind(whole);
  store(a, s);
  a_.bind(done);
}

void MasmA64::select_tail(Vec d, Vec a, Vec b) {
  a_.ldr(a64::v(other_temp().id), tail_mask());
  select(d, other_temp(), a, b);
}

void MasmA64::load_bytes(InstId widen, Vec d, Address a, bool tail) {
  const arm::Mem source = mem(a, 4);
  a_.ldr(a64::s(d.id), source);
  a_.emit(widen, a64::v(d.id).h8(), a64::v(d.id).b8(), 0);
  a_.emit(widen, v4(d), a64::v(d.id).h4(), 0);
  if (tail) mask_by_tail(d);
}

void MasmA64::load_u8(Vec d, Address a, bool tail) {
  load_bytes(a64::Inst::kIdUshll_v, d, a, tail);
  to_f32(d, d);
}
void MasmA64::load_i8(Vec d, Address a, bool tail) {
  load_bytes(a64::Inst::kIdSshll_v, d, a, tail);
  to_f32(d, d);
}
void MasmA64::load_i32(Vec d, Address a, bool tail) {
  load(d, a);
  if (tail) mask_by_tail(d);
  to_f32(d, d);
}
void MasmA64::load_bool(Vec d, Address a, bool tail) {
  load_bytes(a64::Inst::kIdUshll_v, d, a, tail);
  a_.cmtst(v4(d), v4(d), v4(d));
}
void MasmA64::load_f16(Vec d, Address a, bool tail) {
  const arm::Mem source = mem(a, 8);
  a_.ldr(a64::d(d.id), source);
  a_.fcvtl(v4(d), a64::v(d.id).h4());
  if (tail) mask_by_tail(d);
}
void MasmA64::load_bf16(Vec d, Address a, bool tail) {
  const arm::Mem source = mem(a, 8);
  a_.ldr(a64::d(d.id), source);
  a_.shll(v4(d), a64::v(d.id).h4(), 16);
  if (tail) mask_by_tail(d);
}

void MasmA64::store_narrow(Address a, int bytes, bool tail) {
  const arm::VecV t = a64::v(temp().id);
  if (!tail) {
    const arm::Mem target = mem(a, 4 * bytes);
    bytes == 1 ? a_.str(a64::s(temp().id), target) : a_.str(a64::d(temp().id), target);
    return;
  }
  const asmjit::Label done = a_.newLabel();
  for (int lane = 0; lane < isa_.lanes; ++lane) {
    a_.cmp(kTailLanes, lane);
    a_.b(a64::CondCode::kSignedLE, done);
    const arm::Mem target = mem(a + lane * bytes, bytes);
    if (bytes == 1) {
      a_.umov(a64::w14, t.b(static_cast<std::uint32_t>(lane)));
      a_.strb(a64::w14, target);
    } else {
      a_.umov(a64::w14, t.h(static_cast<std::uint32_t>(lane)));
      a_.strh(a64::w14, target);
    }
  }
  a_.bind(done);
}

// Conversions truncate and saturate, NaN becomes 0; narrowing saturates.
void MasmA64::store_u8(Address a, Vec s, bool tail) {
  const arm::VecV t = a64::v(temp().id);
  a_.fcvtzu(t.s4(), v4(s));
  a_.uqxtn(t.h4(), t.s4());
  a_.uqxtn(t.b8(), t.h8());
  store_narrow(a, 1, tail);
}
void MasmA64::store_i8(Address a, Vec s, bool tail) {
  const arm::VecV t = a64::v(temp().id);
  a_.fcvtzs(t.s4(), v4(s));
  a_.sqxtn(t.h4(), t.s4());
  a_.sqxtn(t.b8(), t.h8());
  store_narrow(a, 1, tail);
}
void MasmA64::store_i32(Address a, Vec s, bool tail) {
  const Vec t = other_temp();  // store_tail() uses the first one
  a_.fcvtzs(v4(t), v4(s));
  tail ? store_tail(a, t) : store(a, t);
}
void MasmA64::store_bool(Address a, Vec s, bool tail) {
  const arm::VecV t = a64::v(temp().id);
  a_.ushr(t.s4(), v4(s), 31);
  a_.xtn(t.h4(), t.s4());
  a_.xtn(t.b8(), t.h8());
  store_narrow(a, 1, tail);
}
void MasmA64::store_f16(Address a, Vec s, bool tail) {
  a_.fcvtn(a64::v(temp().id).h4(), v4(s));
  store_narrow(a, 2, tail);
}

// To nearest even; rounding may carry a NaN into infinity or zero: all NaN become the quiet one.
void MasmA64::store_bf16(Address a, Vec s, bool tail) {
  constexpr std::uint32_t kHalf = 0x7fff;
  const Vec t = temp(), u = other_temp();
  a_.ushr(v4(t), v4(s), 16);
  constant_i32(u, 1);
  bit_and(t, t, u);
  constant_i32(u, kHalf);
  add_i32(t, t, u);
  add_i32(t, t, s);
  a_.ushr(v4(t), v4(t), 16);
  a_.fcmeq(v4(u), v4(s), v4(s));
  bit_and(t, t, u);
  a_.not_(bits_of(u), bits_of(u));
  a_.ushr(v4(u), v4(u), 23);
  a_.shl(v4(u), v4(u), 6);  // 0x7fc0 where NaN
  bit_or(t, t, u);
  a_.xtn(a64::v(t.id).h4(), v4(t));
  store_narrow(a, 2, tail);
}

}  // namespace taper::codegen
