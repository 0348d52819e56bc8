// Masm: the macro-assembler that kernels are written against. Operations are named by meaning, one
// subclass per architecture emits them. Registers are explicit, handed out by a pool that refuses
// to spill. A generator emits one instruction per statement, in order.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ir/isa.h"

namespace taper::codegen {

struct Vec {  // a vector register of isa().lanes f32 (or i32, or lane-mask) lanes
  std::uint8_t id = 0xff;
  bool operator==(const Vec&) const = default;
};
struct Gp {  // a 64-bit general register
  std::uint8_t id = 0xff;
  bool operator==(const Gp&) const = default;
};
struct Label {
  std::uint32_t id = 0;
};
struct Address {  // [base + offset], offset in bytes; any 32-bit offset is legal
  Gp base;
  std::int64_t offset = 0;
  Address operator+(std::int64_t bytes) const { return {base, offset + bytes}; }
};

enum class Predicate : std::uint8_t { eq, ne, lt, le };  // ordered; ne is true for NaN
enum class Condition : std::uint8_t { equal, not_equal, less, less_equal, greater, greater_equal };

class Masm {
 public:
  explicit Masm(const ir::Isa& isa) : isa_(isa) {}
  virtual ~Masm() = default;
  const ir::Isa& isa() const { return isa_; }

  // ---- Function frame. A kernel is void(const void* args); args() is in a fixed Gp. ----
  virtual void begin(const std::string& name) = 0;  // saves what the ABI asks for
  virtual void end() = 0;                           // restores, returns
  virtual Gp args() const = 0;

  // ---- Register pool: throws taper::Error when exhausted, never spills. ----
  Vec vec();
  Gp gp();
  void release(Vec);
  void release(Gp);
  int free_vecs() const;

  // ---- General registers and control flow ----
  virtual void move(Gp d, std::int64_t value) = 0;
  virtual void move(Gp d, Gp s) = 0;
  virtual void load(Gp d, Address a) = 0;      // 64-bit
  virtual void load_i32(Gp d, Address a) = 0;  // sign-extended
  virtual void store(Address a, Gp s) = 0;     // 64-bit
  virtual void add(Gp d, std::int64_t value) = 0;
  virtual void add(Gp d, Gp s) = 0;
  virtual void mul(Gp d, Gp s) = 0;
  virtual void shift_left(Gp d, int bits) = 0;
  virtual Label label() = 0;
  virtual void bind(Label) = 0;
  virtual void jump(Label) = 0;
  virtual void jump_if(Condition, Gp a, std::int64_t b, Label) = 0;  // signed
  virtual void loop(Gp count, Label top) = 0;                        // --count; jumps while > 0
  virtual void prefetch(Address a) = 0;                              // to read
  virtual void prefetch_to_write(Address a) = 0;

  // ---- Vector memory; no alignment is assumed ----
  virtual void load(Vec d, Address a) = 0;
  virtual void store(Address a, Vec s) = 0;
  // The tail: the first `count` lanes, 0 <= count <= lanes. Loads zero the other lanes.
  virtual void set_tail(Gp count) = 0;  // count in a register; clamped to [0, lanes]
  virtual void set_tail(int count) = 0;
  virtual void load_tail(Vec d, Address a) = 0;
  virtual void store_tail(Address a, Vec s) = 0;
  // d = in-tail lane ? a : b
  virtual void select_tail(Vec d, Vec a, Vec b) = 0;
  // Lanes of another dtype, converted to f32 (bool: to a lane mask). `tail` limits the access.
  virtual void load_u8(Vec d, Address a, bool tail) = 0;    // -> f32
  virtual void load_i8(Vec d, Address a, bool tail) = 0;    // -> f32
  virtual void load_i32(Vec d, Address a, bool tail) = 0;   // -> f32
  virtual void load_bool(Vec d, Address a, bool tail) = 0;  // -> lane mask
  virtual void load_f16(Vec d, Address a, bool tail) = 0;
  virtual void load_bf16(Vec d, Address a, bool tail) = 0;
  virtual void store_u8(Address a, Vec s, bool tail) = 0;  // f32 -> truncates, saturates; NaN 0
  virtual void store_i8(Address a, Vec s, bool tail) = 0;
  virtual void store_i32(Address a, Vec s, bool tail) = 0;
  virtual void store_bool(Address a, Vec s, bool tail) = 0;  // lane mask -> 0 or 1
  virtual void store_f16(Address a, Vec s, bool tail) = 0;   // to nearest even
  virtual void store_bf16(Address a, Vec s, bool tail) = 0;
  // Scalars: one f32 to or from memory; a scalar lives in lane 0, the other lanes are unspecified.
  virtual void broadcast(Vec d, Address a) = 0;  // 32 bits to all lanes
  virtual void broadcast(Vec d, Vec s) = 0;      // lane 0 to all lanes
  virtual void load_scalar(Vec d, Address a) = 0;
  virtual void store_scalar(Address a, Vec s) = 0;

  // ---- Constants: in a pool after the code ----
  void constant(Vec d, float value);                         // all lanes
  virtual void constant_i32(Vec d, std::uint32_t bits) = 0;  // all lanes
  virtual void iota(Vec d) = 0;                              // i32 0, 1, 2, ...
  virtual void zero(Vec d) = 0;

  // ---- Contractions, besides fma and fnma ----
  virtual void fma_broadcast(Vec acc, Vec a, Address scalar) = 0;  // acc += a * splat(f32), needs
                                                                   // isa().broadcast_registers free
  // fma where only the first half of the lanes counts; the others of acc are unspecified then. Half
  // the work where the FMA units are narrower than a vector.
  virtual void fma_half(Vec acc, Vec a, Vec b) { fma(acc, a, b); }
  virtual void fma_half(Vec acc, Vec a, Address scalar) { fma_broadcast(acc, a, scalar); }
  // i32 lanes: acc += the sum of the four products of the u8 in the lane of a and the i8 in that of
  // b, exact. acc is neither a nor b.
  virtual void dot_u8_i8(Vec acc, Vec a, Vec b) = 0;

  // ---- Lane-wise, from vec_ops.def: d = a op b; d may be a or b,
  // but for fma and fnma, which add to d ----
#define TAPER_VEC_OP_1(name, x86, a64, lanes) virtual void name(Vec d, Vec a) = 0;
#define TAPER_VEC_OP_2(name, x86, a64, lanes) virtual void name(Vec d, Vec a, Vec b) = 0;
#define TAPER_VEC_SHIFT(name, x86, a64, lanes) virtual void name(Vec d, Vec a, int bits) = 0;
#include "codegen/vec_ops.def"
  virtual void move(Vec d, Vec s) = 0;
  // max as maxps: the second operand when either is NaN.
  virtual void compare(Vec d, Predicate p, Vec a, Vec b) = 0;  // lane mask: all ones or zeros
  virtual void select(Vec d, Vec mask, Vec a, Vec b) = 0;      // mask ? a : b, bitwise
  virtual void round(Vec d, Vec a) = 0;                        // to nearest even integer
  virtual void mul_high_u32(Vec d, Vec a, Vec b) = 0;  // high half of 32x32 products; d not a, b

  // Lanes of a and b in turn: low = a0 b0 a1 b1 ..., high goes on where low ends. Four registers.
  virtual void zip(Vec low, Vec high, Vec a, Vec b) = 0;

  // ---- Horizontal: combine the 16 virtual lanes held in v[0..vectors_per_block) by the fixed tree
  // (lane i with i+8, then +4, +2, +1); the result is lane 0 of v[0]. Clobbers v. ----
  virtual void sum_lanes(const std::vector<Vec>& v) = 0;
  virtual void max_lanes(const std::vector<Vec>& v) = 0;

  // ---- Result ----
  // The finished machine code, position-independent, and its listing.
  struct Code {
    std::vector<std::uint8_t> bytes;
    std::string listing;
  };
  virtual Code finish() = 0;

  // Scratch stack of the frame: 256 bytes that a kernel may use, then 64 that emit_expr uses.
  virtual Address stack(int offset) = 0;

 protected:
  const ir::Isa& isa_;
  std::uint32_t free_vec_ = 0;  // bit set: available
  std::uint32_t free_gp_ = 0;
};

// Whether emitters record a listing and validate each instruction (process-wide, off by default:
// that costs more than encoding; builds with assertions always validate). Set it before compiling
// what shall be dumped.
void record_listings(bool on);
bool recording_listings();

// The emitter for `isa`, a run-time choice. Throws taper::Error when this build has none.
std::unique_ptr<Masm> make_masm(const ir::Isa& isa);

// The assembler library that emitters write with: "asmjit 1.9.0", or "no assembler".
std::string assembler();
bool has_emitter(const ir::Isa& isa);

}  // namespace taper::codegen
