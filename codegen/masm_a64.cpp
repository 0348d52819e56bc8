// AArch64: frame, general registers, control flow.
#include "codegen/masm_a64.h"

#include <limits>

#include "ir/error.h"

namespace taper::codegen {

using namespace asmjit;

namespace {

constexpr int kTailMaskOffset = 320, kFrameSize = 336, kSavedBytes = 64;
constexpr int kGeneralRegisters = 12;  // x1 to x12
constexpr std::int64_t kPages = 4096;  // what a 12-bit immediate counts, plain or shifted by 12

a64::Gp x(Gp r) {
  return r.id == a64::Gp::kIdSp ? a64::Gp(a64::sp) : a64::Gp(a64::x(r.id));
}

}  // namespace

MasmA64::MasmA64(const ir::Isa& isa) : AsmjitMasm(isa, {0}, {a64::Gp::kIdSp}) {
  free_vec_ = (1u << temp().id) - 1;
  free_gp_ = ((1u << kGeneralRegisters) - 1) << 1;
}

void MasmA64::begin(const std::string& name) {
  if (recording_listings()) a_.commentf("; %s", name.c_str());
  a_.sub(a64::sp, a64::sp, kSavedBytes);
  for (std::uint32_t i = 0; i < 4; ++i)
    a_.stp(a64::d(8 + 2 * i), a64::d(9 + 2 * i),
           a64::ptr(a64::sp, static_cast<std::int32_t>(16 * i)));
  a_.sub(a64::sp, a64::sp, kFrameSize);
}

void MasmA64::end() {
  a_.add(a64::sp, a64::sp, kFrameSize);
  for (std::uint32_t i = 0; i < 4; ++i)
    a_.ldp(a64::d(8 + 2 * i), a64::d(9 + 2 * i),
           a64::ptr(a64::sp, static_cast<std::int32_t>(16 * i)));
  a_.add(a64::sp, a64::sp, kSavedBytes);
  a_.ret(a64::x30);
}

arm::Mem MasmA64::tail_mask() const {
  return a64::ptr(a64::sp, kTailMaskOffset);
}

// Scaled and unsigned, or a byte offset of 9 bits; asmjit picks between the two.
arm::Mem MasmA64::mem(Address a, std::int64_t size) {
  const bool scaled = a.offset >= 0 && a.offset % size == 0 && a.offset / size < kPages;
  const bool unscaled = a.offset >= -256 && a.offset < 256;
  if (scaled || unscaled) return a64::ptr(x(a.base), static_cast<std::int32_t>(a.offset));
  if (a.offset < std::numeric_limits<std::int32_t>::min() ||
      a.offset > std::numeric_limits<std::int32_t>::max())
    throw Error("an address offset does not fit in 32 bits");
  move_bits(a64::x16, static_cast<std::uint64_t>(a.offset));
  a_.add(a64::x16, x(a.base), a64::x16);
  return a64::ptr(a64::x16);
}

void MasmA64::move_bits(const arm::Gp& d, std::uint64_t value) {
  // What most of its high halves are.
  const std::uint64_t common = value >> 63 != 0 ? 0xffff : 0;
  common != 0 ? a_.movn(d, ~value & 0xffff) : a_.movz(d, value & 0xffff);
  for (int half = 1; half < 4; ++half) {
    const std::uint64_t bits = value >> (16 * half) & 0xffff;
    if (bits != common) a_.movk(d, bits, 16 * half);
  }
}

void MasmA64::move(Gp d, std::int64_t value) {
  move_bits(a64::x(d.id), static_cast<std::uint64_t>(value));
}
void MasmA64::move(Gp d, Gp s) {
  if (d != s) a_.mov(x(d), x(s));
}
void MasmA64::load(Gp d, Address a) {
  const arm::Mem source = mem(a, 8);
  a_.ldr(x(d), source);
}
void MasmA64::load_i32(Gp d, Address a) {
  const arm::Mem source = mem(a, 4);
  a_.ldrsw(x(d), source);
}
void MasmA64::store(Address a, Gp s) {
  const arm::Mem target = mem(a, 8);
  a_.str(x(s), target);
}

void MasmA64::add(Gp d, std::int64_t value) {
  if (value == 0) return;
  if (value > 0 && value < kPages) {
    a_.add(x(d), x(d), value);
  } else if (value < 0 && value > -kPages) {
    a_.sub(x(d), x(d), -value);
  } else {
    move_bits(a64::x16, static_cast<std::uint64_t>(value));
    a_.add(x(d), x(d), a64::x16);
  }
}
void MasmA64::add(Gp d, Gp s) {
  a_.add(x(d), x(d), x(s));
}
void MasmA64::mul(Gp d, Gp s) {
  a_.mul(x(d), x(d), x(s));
}
void MasmA64::shift_left(Gp d, int bits) {
  a_.lsl(x(d), x(d), bits);
}

void MasmA64::jump(codegen::Label l) {
  a_.b(asmjit::Label(l.id));
}

void MasmA64::jump_if(Condition c, Gp a, std::int64_t b, codegen::Label l) {
  if (b >= 0 && b < kPages) {
    a_.cmp(x(a), b);
  } else {
    move_bits(a64::x16, static_cast<std::uint64_t>(b));
    a_.cmp(x(a), a64::x16);
  }
  a_.b(condition_code(c), asmjit::Label(l.id));
}
void MasmA64::loop(Gp count, codegen::Label top) {
  a_.subs(x(count), x(count), 1);
  a_.b(a64::CondCode::kSignedGT, asmjit::Label(top.id));
}

// PRFM PLDL1KEEP, PLDL2KEEP or PSTL1KEEP, [base, #offset], which this asmjit cannot spell.
void MasmA64::prefetch(Address a, Prefetch how) {
  constexpr std::uint32_t kPrefetch = 0xf9800000;
  const std::uint32_t operation = how == Prefetch::write         ? 16
                                  : how == Prefetch::first_level ? 0
                                                                 : 2;
  const bool scaled = a.offset >= 0 && a.offset % 8 == 0 && a.offset / 8 < kPages;
  if (!scaled) return;
  const std::uint32_t word = kPrefetch | static_cast<std::uint32_t>(a.offset / 8) << 10 |
                             static_cast<std::uint32_t>(a.base.id) << 5 | operation;
  a_.embed(&word, sizeof(word));
}

Masm::Code MasmA64::finish() {
  return encoded();
}

}  // namespace taper::codegen
