// The AArch64 emitter: NEON, 4 lanes. Included by masm*.cpp only.
//
// Reserved: sp, x0 (args), x13 (the tail's count), x14 to x17 (temporaries), x18 (the platform's),
// x29, x30; v30 and v31 (temporaries). Frame, from sp: 256 bytes for the kernel, 64 for emit_expr,
// the tail as a lane mask; above it the callee's d8 to d15.
#pragma once

#include <asmjit/arm/a64assembler.h>
#include <asmjit/core.h>

#include "codegen/masm.h"

namespace taper::codegen {

class MasmA64 final : public Masm {
 public:
  explicit MasmA64(const ir::Isa& isa);

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
  // Keeps the first message; finish() throws it.
  struct FirstError : asmjit::ErrorHandler {
    std::string message;
    void handleError(asmjit::Error, const char* text, asmjit::BaseEmitter*) override {
      if (message.empty()) message = text;
    }
  };

  static Vec temp() {
    return {30};
  }
  static Vec other_temp() {
    return {31};
  }
  // [base + offset] for an access of `size` bytes; what does not fit goes through a temporary.
  asmjit::arm::Mem mem(Address a, std::int64_t size);
  asmjit::arm::Mem tail_mask() const;
  void move_bits(const asmjit::arm::Gp& d, std::uint64_t value);
  void compare_with(Gp a, std::int64_t b);

  using Fold = void (MasmA64::*)(Vec, Vec, Vec);
  void fold_lanes(const std::vector<Vec>& regs, Fold op);
  void choose(Vec d, Vec a, Vec b);
  void mask_by_tail(Vec d);
  void load_bytes(Vec d, Address a);
  // The narrowed lanes at the bottom of the temporary: 4 or 8 bytes.
  void store_narrow(Address a, int bytes, bool tail);
  void dot_half(Vec acc, bool high, Vec a, Vec b);
  void dot_by_signed(Vec acc, Vec a, Vec b);

  asmjit::StringLogger logger_;
  FirstError error_;
  asmjit::CodeHolder code_;
  asmjit::a64::Assembler a_;
};

}  // namespace taper::codegen
