// Instruction sets as rows of facts. Generators read the facts and never ask which ISA it is.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace taper::ir {

enum class Architecture : std::uint8_t { x86_64, aarch64 };

// What the ISA has for a dot product of four u8 and i8: nothing, an instruction for signed bytes
// only, or the one for the mixed product.
enum class IntegerDot : std::uint8_t { none, signed_bytes, mixed };

struct Isa {
  std::string_view name;  // "avx2", "avx512", "avx512_vnni", "neon", "neon_dot", "neon_i8mm"
  Architecture architecture;
  int lanes;  // f32 lanes of a vector register
  int vector_registers;
  int broadcast_registers;  // registers a register tile keeps for broadcast operands
  int tile_rows;            // register tile of a contraction: rows (pixels) ...
  int tile_blocks;          // ... by 16-wide blocks
  // The same of a small one, and vectors in all: each ends as a store, so few that the processor
  // buffers them, and the next tile need not wait.
  int small_tile_rows, small_tile_vectors;
  IntegerDot integer_dot;
  int vectors_per_block() const { return 16 / lanes; }
};

extern const Isa kAvx2, kAvx512, kAvx512Vnni, kNeon, kNeonDot, kNeonI8mm;

// All of them; of two of an architecture the better one first.
std::span<const Isa* const> all_isas();

// What CPUID and XGETBV report, as plain data so that tests can fake it.
struct CpuFeatures {
  bool avx2 = false, fma = false, f16c = false, bmi2 = false;
  bool avx512f = false, avx512bw = false, avx512dq = false, avx512vl = false;
  bool avx512vnni = false;
  bool osxsave = false;
  std::uint64_t xcr0 = 0;
  bool neon = false, asimddp = false, i8mm = false;
};
CpuFeatures host_features();

// Whether code for `isa` may run there.
bool runs_on(const Isa& isa, const CpuFeatures& features);

// The best ISA the features and the OS state allow, not above `cap` (an ISA's name);
// nullptr when there is none (then the interpreter runs). Throws taper::Error on an unknown cap.
const Isa* select_isa(const CpuFeatures& features, std::optional<std::string> cap);

// select_isa of this host with the cap of TAPER_MAX_ISA.
const Isa* host_isa();

const Isa& isa_named(std::string_view name);  // throws taper::Error
std::string isa_names();                      // "avx512_vnni, ... or neon"

}  // namespace taper::ir
