// Masm: the macro-assembler that kernels are written against. Operations (most in masm_ops.def) are
// named by meaning, one subclass per architecture emits them. Registers are explicit, handed out by
// a pool that refuses to spill. A generator emits one instruction per statement, in order.
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
// To read, in the first- or the second-level cache; or to write.
enum class Prefetch : std::uint8_t { first_level, second_level, write };
enum class Condition : std::uint8_t { equal, not_equal, less, less_equal, greater, greater_equal };

class Masm {
 public:
  Masm(const ir::Isa& isa, Gp args, Gp stack) : isa_(isa), args_(args), stack_(stack) {}
  virtual ~Masm() = default;
  const ir::Isa& isa() const { return isa_; }
  Gp args() const { return args_; }  // what the kernel is called with
  // Scratch stack of the frame: 256 bytes that a kernel may use, then 64 that emit_expr uses.
  Address stack(int offset) const { return {stack_, offset}; }

  // ---- Register pool: throws taper::Error when exhausted, never spills. ----
  Vec vec();
  Gp gp();
  void release(Vec);
  void release(Gp);
  int free_vecs() const;

  // The finished machine code, position-independent, and its listing.
  struct Code {
    std::vector<std::uint8_t> bytes;
    std::string listing;
  };

  virtual Label label() = 0;
  virtual void bind(Label) = 0;
  void constant(Vec d, float value);  // all lanes
  // fma where only the first half of the lanes counts; the others of acc are unspecified then. Half
  // the work where the FMA units are narrower than a vector.
  virtual void fma_half(Vec acc, Vec a, Vec b) { fma(acc, a, b); }
  virtual void fma_half(Vec acc, Vec a, Address scalar) { fma_broadcast(acc, a, scalar); }
  // Past the caches, where the machine can: see fence_streamed().
  virtual void store_streamed(Address a, Vec s) { store(a, s); }
  // d = a p b ? x : 0; d is none of them.
  virtual void mask(Vec d, Predicate p, Vec a, Vec b, Vec x) {
    compare(d, p, a, b);
    bit_and(d, d, x);
  }

#define TAPER_MASM(...) virtual __VA_ARGS__ = 0;
#include "codegen/masm_ops.def"

 protected:
  const ir::Isa& isa_;
  std::uint32_t free_vec_ = 0;  // bit set: available
  std::uint32_t free_gp_ = 0;

 private:
  const Gp args_, stack_;
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
