// The AArch64 emitter: NEON, 4 lanes. Included by masm*.cpp only.
//
// Reserved: sp, x0 (args), x13 (the tail's count), x14 to x17 (temporaries), x18 (the platform's),
// x29, x30; v30 and v31 (temporaries). Frame, from sp: 256 bytes for the kernel, 64 for emit_expr,
// the tail as a lane mask; above it the callee's d8 to d15.
#pragma once

#include <asmjit/arm/a64assembler.h>
#include <asmjit/core.h>

#include "codegen/masm_asmjit.h"

namespace taper::codegen {

class MasmA64 final
    : public AsmjitMasm<asmjit::a64::Assembler, asmjit::a64::CondCode, asmjit::Arch::kAArch64> {
 public:
  explicit MasmA64(const ir::Isa& isa);

 private:
  static Vec temp() { return {30}; }
  static Vec other_temp() { return {31}; }
  static asmjit::arm::VecV v4(Vec r) { return asmjit::a64::v(r.id).s4(); }
  static asmjit::arm::VecV bits_of(Vec r) { return asmjit::a64::v(r.id).b16(); }
  // [base + offset] for an access of `size` bytes; what does not fit goes through a temporary.
  asmjit::arm::Mem mem(Address a, std::int64_t size);
  asmjit::arm::Mem tail_mask() const;
  void move_bits(const asmjit::arm::Gp& d, std::uint64_t value);

  void choose(Vec d, Vec a, Vec b);
  void mask_by_tail(Vec d);
  void load_bytes(asmjit::InstId widen, Vec d, Address a, bool tail);
  // The narrowed lanes at the bottom of the temporary: 4 or 8 bytes.
  void store_narrow(Address a, int bytes, bool tail);
  void dot_half(Vec acc, bool high, Vec a, Vec b);
  void dot_by_signed(Vec acc, Vec a, Vec b);

 public:
#define TAPER_MASM(...) __VA_ARGS__ override;
#include "codegen/masm_ops.def"
};

}  // namespace taper::codegen
