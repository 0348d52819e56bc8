// The TAPER_ environment variables; each is also a field of CompileOptions.
//   TAPER_MAX_ISA      avx2 | avx512 | neon: the best instruction set to use (see ir/isa.h)
//   TAPER_NUM_THREADS  1..256: threads of a run
//   TAPER_DUMP         directory that every compile() writes its stages to
//   TAPER_VERBOSE      0 | 1 | 2: lines on standard error per compile() and kernel, and per run
//   TAPER_TRACE        file that gets the timeline of all runs
//   TAPER_JIT_PROFILE  perfmap | jitdump | gdb: who learns the names of the generated routines
#pragma once

#include "runtime/executable.h"

namespace taper::runtime {

// `options` with unset fields taken from the environment, then from the host. Throws taper::Error
// on an unknown value.
CompileOptions resolve(CompileOptions options);

}  // namespace taper::runtime
