// GDB's JIT interface: a list of ELF objects in memory that GDB reads when it stops.
#pragma once

#include "codegen/kernel.h"

namespace taper::runtime {

// Makes the routine's name known to a debugger, for good. One caller at a time.
void register_with_gdb(const codegen::Routine& routine);

}  // namespace taper::runtime
