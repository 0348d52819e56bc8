// GDB's JIT interface: a list of ELF objects in memory that GDB reads when it stops.
#pragma once

#include <elf.h>

#include "codegen/kernel.h"

namespace taper::runtime {

// What ELF calls the processor.
#if defined(__aarch64__)
inline constexpr Elf64_Half kMachine = EM_AARCH64;
#else
inline constexpr Elf64_Half kMachine = EM_X86_64;
#endif

// Makes the routine's name known to a debugger, for good. One caller at a time.
void register_with_gdb(const codegen::Routine& routine);

}  // namespace taper::runtime
