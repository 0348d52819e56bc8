// Where threads must wait for one another: the barriers between the calls of a plan.
#pragma once

#include <vector>

#include "codegen/kernel.h"
#include "runtime/plan.h"

namespace taper::runtime {

// One kernel call as every thread of a run sees it.
struct ScheduledCall {
  const codegen::Kernel* kernel = nullptr;
  std::vector<void*> buffers;
  bool barrier_before = false;
};

// barrier_before[i]: some call since the last barrier and call i touch the same bytes, at least one
// of them writing, and the data may cross threads. Two calls partitioned by images whose shared
// buffers are the same buffer need none: each thread then works on its own images throughout.
std::vector<bool> place_barriers(const Plan& plan,
                                 const std::vector<const codegen::Kernel*>& kernels);

}  // namespace taper::runtime
