// The x86-64 emitter: AVX2 (8 lanes, 16 registers) and AVX-512 (16 lanes, 32 registers; F, BW and
// VL). Included by masm*.cpp only.
//
// Reserved: rsp, rbp (frame), rdi (args), r11 (temporary); the last vector register (temporary); k1
// (the tail on AVX-512), k2 (temporary). Frame, from rsp: 256 bytes for the kernel, 64 for
// emit_expr, the tail as a lane mask, the tail's count, a vector of scratch.
#pragma once

#include <asmjit/x86.h>

#include "codegen/masm.h"

namespace taper::codegen {

class MasmX86 final : public Masm {
 public:
  explicit MasmX86(const ir::Isa& isa);

  void begin(const std::string& name) override;
  void end() override;
  Gp args() const override;

  void move(Gp d, std::int64_t value) override;
  void move(Gp d, Gp s) override;
  void load(Gp d, Address a) override;
  void load_i32(Gp d, Address a) override;
  void store(Address a, Gp s) override;
  void add(Gp d, std::int64_t value) override;
  void add(Gp d, Gp s) override;
  void sub(Gp d, Gp s) override;
  void mul(Gp d, Gp s) override;
  void shift_left(Gp d, int bits) override;
  Label label() override;
  void bind(Label) override;
  void jump(Label) override;
  void jump_if(Condition, Gp a, std::int64_t b, Label) override;
  void jump_if(Condition, Gp a, Gp b, Label) override;
  void loop(Gp count, Label top, std::int64_t step) override;
  void prefetch(Address a) override;

  void load(Vec d, Address a) override;
  void store(Address a, Vec s) override;
  void set_tail(Gp count) override;
  void set_tail(int count) override;
  void load_tail(Vec d, Address a) override;
  void store_tail(Address a, Vec s) override;
  void select_tail(Vec d, Vec a, Vec b) override;
  void load_u8(Vec d, Address a, bool tail) override;
  void load_i8(Vec d, Address a, bool tail) override;
  void load_i32(Vec d, Address a, bool tail) override;
  void load_bool(Vec d, Address a, bool tail) override;
  void load_f16(Vec d, Address a, bool tail) override;
  void load_bf16(Vec d, Address a, bool tail) override;
  void store_u8(Address a, Vec s, bool tail) override;
  void store_i8(Address a, Vec s, bool tail) override;
  void store_i32(Address a, Vec s, bool tail) override;
  void store_bool(Address a, Vec s, bool tail) override;
  void store_f16(Address a, Vec s, bool tail) override;
  void store_bf16(Address a, Vec s, bool tail) override;
  void broadcast(Vec d, Address a) override;
  void broadcast_i32(Vec d, Address a) override;
  void broadcast(Vec d, Vec s) override;
  void load_scalar(Vec d, Address a) override;
  void store_scalar(Address a, Vec s) override;

  void constant(Vec d, float value) override;
  void constant_i32(Vec d, std::uint32_t bits) override;
  void iota(Vec d) override;
  void zero(Vec d) override;

  void fma(Vec acc, Vec a, Vec b) override;
  void fma_broadcast(Vec acc, Vec a, Address scalar) override;
  void fnma(Vec acc, Vec a, Vec b) override;
  void dot_u8_i8(Vec acc, Vec a, Vec b) override;

#define TAPER_VEC_OP_1(name, x86) void name(Vec d, Vec a) override;
#define TAPER_VEC_OP_2(name, x86) void name(Vec d, Vec a, Vec b) override;
#define TAPER_VEC_SHIFT(name, x86) void name(Vec d, Vec a, int bits) override;
#include "codegen/vec_ops.def"
  void move(Vec d, Vec s) override;
  void compare(Vec d, Predicate p, Vec a, Vec b) override;
  void select(Vec d, Vec mask, Vec a, Vec b) override;
  void round(Vec d, Vec a) override;
  void to_i32(Vec d, Vec a) override;
  void to_f32(Vec d, Vec a) override;
  void mul_high_u32(Vec d, Vec a, Vec b) override;
  void zip(Vec low, Vec high, Vec a, Vec b) override;
  void sum_lanes(const std::vector<Vec>& v) override;
  void max_lanes(const std::vector<Vec>& v) override;

  Code finish() override;
  Address stack(int offset) override;

 private:
  using Mem = asmjit::x86::Mem;
  using InstId = asmjit::InstId;

  // Keeps the first message; finish() throws it.
  struct FirstError : asmjit::ErrorHandler {
    std::string message;
    void handleError(asmjit::Error, const char* text, asmjit::BaseEmitter*) override {
      if (message.empty()) message = text;
    }
  };
  struct PoolEntry {
    std::vector<std::uint32_t> words;
    asmjit::Label label;
  };

  bool wide() const {
    return isa_.lanes == 16;
  }
  asmjit::x86::Vec v(Vec r) const;     // all lanes
  asmjit::x86::Vec half(Vec r) const;  // the lower half of the lanes
  Vec temp() const {
    return {static_cast<std::uint8_t>(isa_.vector_registers - 1)};
  }
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
  void fold_lanes(const std::vector<Vec>& regs, InstId op);

  asmjit::StringLogger logger_;
  FirstError error_;
  asmjit::CodeHolder code_;
  asmjit::x86::Assembler a_;
  std::vector<PoolEntry> pool_;
};

}  // namespace taper::codegen
