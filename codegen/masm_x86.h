// The x86-64 emitter: AVX2 (8 lanes, 16 registers) and AVX-512 (16 lanes, 32 registers; F, BW and
// VL). Included by masm*.cpp only.
//
// Reserved: rsp, rbp (frame), rdi (args), r11 (temporary); the last vector register (temporary); k1
// (the tail on AVX-512), k2 (temporary). Frame, from rsp: 256 bytes for the kernel, 64 for
// emit_expr, the tail as a lane mask, the tail's count, a vector of scratch.
#pragma once

#include <asmjit/x86.h>

#include "codegen/masm_asmjit.h"

namespace taper::codegen {

class MasmX86 final
    : public AsmjitMasm<asmjit::x86::Assembler, asmjit::x86::CondCode, asmjit::Arch::kX64> {
 public:
  explicit MasmX86(const ir::Isa& isa);

 private:
  using Mem = asmjit::x86::Mem;
  using InstId = asmjit::InstId;

  struct PoolEntry {
    std::vector<std::uint32_t> words;
    asmjit::Label label;
  };

  bool wide() const { return isa_.lanes == 16; }
  asmjit::x86::Vec v(Vec r) const;     // all lanes
  asmjit::x86::Vec half(Vec r) const;  // the lower half of the lanes
  Vec temp() const { return {static_cast<std::uint8_t>(isa_.vector_registers - 1)}; }
  Mem mem(Address a) const;
  Mem splat(std::uint32_t bits);  // an operand with `bits` in every lane
  Mem pool(std::vector<std::uint32_t> words);
  Mem tail_mask() const;
  Mem tail_count() const;
  Mem scratch() const;
  // The assembler, set to mask the next instruction's result by the tail.
  asmjit::x86::Assembler& masked(bool zeroing);

  void set_tail_from_temp();
  void load_converted(InstId id, Vec d, Address a, bool tail);
  void store_narrow(Address a, int bytes, bool tail, bool is_signed);
  void store_packed(Address a, int bytes, bool tail);
  void ones_where_k2(Vec d);
  void clear_nan(Vec s);

  std::vector<PoolEntry> pool_;

 public:
#define TAPER_MASM(...) __VA_ARGS__ override;
#include "codegen/masm_ops.def"
  void store_streamed(Address a, Vec s) override;
  void mask(Vec d, Predicate p, Vec a, Vec b, Vec x) override;
  void fma_half(Vec acc, Vec a, Vec b) override;
  void fma_half(Vec acc, Vec a, Address scalar) override;
};

}  // namespace taper::codegen
