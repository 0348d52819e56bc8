// Vector loads and stores, the tail, and conversions between f32 lanes and narrower types.
#include <algorithm>

#include "codegen/masm_x86.h"

namespace taper::codegen {

using namespace asmjit;

namespace {

constexpr std::uint32_t kTwoTo31 = 0x4f000000u, k255 = 0x437f0000u, k127 = 0x42fe0000u,
                        kMinus128 = 0xc3000000u;
constexpr int kGreaterEqual = 0x1d, kUnordered = 0x03, kOrdered = 0x07;  // vcmpps, quiet

x86::Xmm xmm(Vec r) {
  return x86::xmm(r.id);
}

}  // namespace

void MasmX86::load(Vec d, Address a) {
  a_.vmovups(v(d), mem(a));
}
void MasmX86::store(Address a, Vec s) {
  a_.vmovups(mem(a), v(s));
}

void MasmX86::store_streamed(Address a, Vec s) {
  a_.vmovntps(mem(a), v(s));
}

x86::Assembler& MasmX86::masked(bool zeroing) {
  a_.k(x86::k1);
  return zeroing ? a_.z() : a_;
}

void MasmX86::set_tail(Gp count) {
  a_.mov(x86::r11, x86::gpq(count.id));
  a_.cmp(x86::r11, isa_.lanes);
  a_.cmovg(x86::r11, pool({static_cast<std::uint32_t>(isa_.lanes), 0}));
  a_.test(x86::r11, x86::r11);
  a_.cmovs(x86::r11, pool({0, 0}));
  set_tail_from_temp();
}

void MasmX86::set_tail(int count) {
  a_.mov(x86::r11d, std::clamp(count, 0, isa_.lanes));
  set_tail_from_temp();
}

// r11 holds the clamped count.
void MasmX86::set_tail_from_temp() {
  if (wide()) {
    a_.bzhi(x86::r11d, pool({0xffffu}), x86::r11d);
    a_.kmovw(x86::k1, x86::r11d);
    return;
  }
  const Vec t = temp();
  const Mem lane_numbers = pool({0, 1, 2, 3, 4, 5, 6, 7});
  a_.mov(tail_count(), x86::r11d);
  a_.vmovd(xmm(t), x86::r11d);
  a_.vpbroadcastd(v(t), xmm(t));
  a_.vpcmpgtd(v(t), v(t), lane_numbers);
  a_.vmovups(tail_mask(), v(t));
}

void MasmX86::load_tail(Vec d, Address a) {
  if (wide()) {
    masked(true).vmovups(v(d), mem(a));
    return;
  }
  a_.vmovups(v(temp()), tail_mask());
  a_.vmaskmovps(v(d), v(temp()), mem(a));
}

void MasmX86::store_tail(Address a, Vec s) {
  if (wide()) {
    masked(false).vmovups(mem(a), v(s));
    return;
  }
  a_.vmovups(v(temp()), tail_mask());
  a_.vmaskmovps(mem(a), v(temp()), v(s));
}

void MasmX86::select_tail(Vec d, Vec a, Vec b) {
  if (wide()) {
    masked(false).vblendmps(v(d), v(b), v(a));
    return;
  }
  a_.vmovups(v(temp()), tail_mask());
  a_.vblendvps(v(d), v(b), v(a), v(temp()));
}

// A widening load. On AVX2 it reads whole vectors: buffers have readable bytes past their end.
void MasmX86::load_converted(InstId id, Vec d, Address a, bool tail) {
  (wide() && tail ? masked(true) : a_).emit(id, v(d), mem(a));
  if (tail && !wide()) a_.vpand(v(d), v(d), tail_mask());
}

void MasmX86::load_u8(Vec d, Address a, bool tail) {
  load_converted(x86::Inst::kIdVpmovzxbd, d, a, tail);
  a_.vcvtdq2ps(v(d), v(d));
}
void MasmX86::load_i8(Vec d, Address a, bool tail) {
  load_converted(x86::Inst::kIdVpmovsxbd, d, a, tail);
  a_.vcvtdq2ps(v(d), v(d));
}
void MasmX86::load_i32(Vec d, Address a, bool tail) {
  tail ? load_tail(d, a) : load(d, a);
  a_.vcvtdq2ps(v(d), v(d));
}
void MasmX86::load_bool(Vec d, Address a, bool tail) {
  load_converted(x86::Inst::kIdVpmovzxbd, d, a, tail);
  if (wide()) {
    a_.vptestmd(x86::k2, v(d), v(d));
    ones_where_k2(d);
    return;
  }
  zero(temp());
  a_.vpcmpgtd(v(d), v(d), v(temp()));
}
void MasmX86::load_f16(Vec d, Address a, bool tail) {
  load_converted(x86::Inst::kIdVcvtph2ps, d, a, tail);
}
void MasmX86::load_bf16(Vec d, Address a, bool tail) {
  load_converted(x86::Inst::kIdVpmovzxwd, d, a, tail);
  a_.vpslld(v(d), v(d), 16);
}

// Stores the low lanes.bytes of the temporary's lower part; no byte past the tail is written.
void MasmX86::store_packed(Address a, int bytes, bool tail) {
  const x86::Xmm t = xmm(temp());
  if (!tail) {
    bytes == 1 ? a_.vmovq(mem(a), t) : a_.vmovdqu(mem(a), t);
    return;
  }
  const asmjit::Label done = a_.newLabel();
  for (int lane = 0; lane < isa_.lanes; ++lane) {
    a_.cmp(tail_count(), lane);
    a_.jle(done);
    const Mem target = mem(a + bytes * lane);
    bytes == 1 ? a_.vpextrb(target, t, lane) : a_.vpextrw(target, t, lane);
  }
  a_.bind(done);
}

// Stores the temporary's i32 lanes, already within the range of the narrow type.
void MasmX86::store_narrow(Address a, int bytes, bool tail, bool is_signed) {
  const x86::Vec t = v(temp());
  if (wide()) {
    const InstId id = bytes == 1 ? x86::Inst::kIdVpmovdb : x86::Inst::kIdVpmovdw;
    (tail ? masked(false) : a_).emit(id, mem(a), t);
    return;
  }
  // Packing works within 128-bit halves: collect the two quarters that hold the words.
  a_.emit(is_signed ? x86::Inst::kIdVpackssdw : x86::Inst::kIdVpackusdw, t, t, t);
  a_.vpermq(t, t, 0x08);
  if (bytes == 1) a_.emit(is_signed ? x86::Inst::kIdVpacksswb : x86::Inst::kIdVpackuswb, t, t, t);
  store_packed(a, bytes, tail);
}

void MasmX86::store_u8(Address a, Vec s, bool tail) {
  const Vec t = temp();
  zero(t);
  a_.vmaxps(v(t), v(s), v(t));  // NaN becomes 0
  a_.vminps(v(t), v(t), splat(k255));
  a_.vcvttps2dq(v(t), v(t));
  store_narrow(a, 1, tail, false);
}

// The temporary becomes s with zeros for NaN.
void MasmX86::clear_nan(Vec s) {
  const x86::Vec t = v(temp());
  if (wide()) {
    a_.vcmpps(x86::k2, v(s), v(s), kOrdered);
    a_.k(x86::k2).z().vmovaps(t, v(s));
  } else {
    a_.vcmpps(t, v(s), v(s), kOrdered);
    a_.vandps(t, t, v(s));
  }
}

void MasmX86::store_i8(Address a, Vec s, bool tail) {
  const x86::Vec t = v(temp());
  clear_nan(s);
  a_.vminps(t, t, splat(k127));
  a_.vmaxps(t, t, splat(kMinus128));
  a_.vcvttps2dq(t, t);
  store_narrow(a, 1, tail, true);
}

void MasmX86::store_i32(Address a, Vec s, bool tail) {
  const Vec t = temp();
  // Out of range converts to INT_MIN; where it is too large, one less is INT_MAX.
  if (wide()) {
    clear_nan(s);
    a_.vcvttps2dq(v(t), v(t));
    a_.vcmpps(x86::k2, v(s), splat(kTwoTo31), kGreaterEqual);
    a_.k(x86::k2).vpsubd(v(t), v(t), splat(1));
  } else {
    a_.vcmpps(v(t), v(s), splat(kTwoTo31), kGreaterEqual);
    a_.vmovups(scratch(), v(t));
    clear_nan(s);
    a_.vcvttps2dq(v(t), v(t));
    a_.vpaddd(v(t), v(t), scratch());
  }
  if (!tail) {
    a_.vmovups(mem(a), v(t));
  } else if (wide()) {
    store_tail(a, t);
  } else {
    // The tail mask takes the temporary: pass the lanes through memory one by one.
    a_.vmovups(scratch(), v(t));
    const asmjit::Label done = a_.newLabel();
    for (int lane = 0; lane < isa_.lanes; ++lane) {
      a_.cmp(tail_count(), lane);
      a_.jle(done);
      a_.mov(x86::r11d, scratch().cloneAdjusted(4 * lane));
      a_.mov(mem(a + 4 * lane), x86::r11d);
    }
    a_.bind(done);
  }
}

void MasmX86::store_bool(Address a, Vec s, bool tail) {
  a_.vpsrld(v(temp()), v(s), 31);
  store_narrow(a, 1, tail, false);
}

void MasmX86::store_f16(Address a, Vec s, bool tail) {
  constexpr int kNearestEven = 0;
  if (wide()) {
    (tail ? masked(false) : a_).vcvtps2ph(mem(a), v(s), kNearestEven);
    return;
  }
  a_.vcvtps2ph(xmm(temp()), v(s), kNearestEven);
  store_packed(a, 2, tail);
}

void MasmX86::store_bf16(Address a, Vec s, bool tail) {
  const Vec t = temp();
  a_.vpsrld(v(t), v(s), 16);
  a_.emit(wide() ? x86::Inst::kIdVpandd : x86::Inst::kIdVpand, v(t), v(t), splat(1));
  a_.vpaddd(v(t), v(t), splat(0x7fff));
  a_.vpaddd(v(t), v(t), v(s));
  a_.vpsrld(v(t), v(t), 16);
  // Rounding may carry a NaN into infinity or zero: all NaN become the quiet one.
  constexpr std::uint32_t kQuietNan = 0x7fc0;
  if (wide()) {
    a_.vcmpps(x86::k2, v(s), v(s), kUnordered);
    a_.k(x86::k2).vpbroadcastd(v(t), pool({kQuietNan}));
  } else {
    a_.vmovups(scratch(), v(t));
    a_.vcmpps(v(t), v(s), v(s), kUnordered);
    a_.vpandn(v(t), v(t), scratch());
    a_.vmovups(scratch(), v(t));
    a_.vcmpps(v(t), v(s), v(s), kUnordered);
    a_.vpand(v(t), v(t), splat(kQuietNan));
    a_.vpor(v(t), v(t), scratch());
  }
  store_narrow(a, 2, tail, false);
}

}  // namespace taper::codegen
