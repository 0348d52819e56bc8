// The emitters of a build that generates code.
#include <fmt/format.h>

#include "codegen/masm_a64.h"
#include "codegen/masm_x86.h"
#include "ir/error.h"

namespace taper::codegen {

bool has_emitter(const ir::Isa&) {
  return true;
}

std::unique_ptr<Masm> make_masm(const ir::Isa& isa) {
  switch (isa.architecture) {
    case ir::Architecture::x86_64:
      return std::make_unique<MasmX86>(isa);
    case ir::Architecture::aarch64:
      return std::make_unique<MasmA64>(isa);
  }
  throw Error("this build of taper has no code generator for {}", isa.name);
}

std::string assembler() {
  return fmt::format("asmjit {}.{}.{}", ASMJIT_LIBRARY_VERSION >> 16,
                     ASMJIT_LIBRARY_VERSION >> 8 & 0xff, ASMJIT_LIBRARY_VERSION & 0xff);
}

}  // namespace taper::codegen
