// For a build without code generation: the interpreter runs everything.

#include "codegen/masm.h"
#include "ir/error.h"

namespace taper::codegen {

bool has_emitter(const ir::Isa&) {
  return false;
}

std::unique_ptr<Masm> make_masm(const ir::Isa& isa) {
  throw Error("this build of taper has no code generator for {}", isa.name);
}

std::string assembler() {
  return "no assembler";
}

}  // namespace taper::codegen
