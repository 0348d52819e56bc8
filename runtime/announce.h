// Telling other programs about generated code, so that they know its names.
#pragma once

#include <string_view>

#include "codegen/kernel.h"

namespace taper::runtime {

// The routines of `kernels`, each once per process:
//   perfmap  a line each in /tmp/perf-PID.map, which `perf report` reads
//   jitdump  records in /tmp/jit-PID.dump, for `perf inject --jit`; perf record needs -k mono
//   gdb      an object with their symbols for GDB's JIT interface: names in backtraces
// Nothing when `how` is empty. Throws taper::Error when a file cannot be written.
void announce(const codegen::Kernels& kernels, std::string_view how);

// Throws taper::Error when `how` is none of the above and not empty.
void check_announcement(std::string_view how, std::string_view option);

}  // namespace taper::runtime
