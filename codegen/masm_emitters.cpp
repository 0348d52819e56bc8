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
  throw Error(fmt::format("this build of taper has no code generator for {}", isa.name));
}

}  // namespace taper::codegen
