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

// Calls [first, end) of a plan. A thread runs `images` of its images through all of them, then the
// next ones, so that each call finds in the caches what the one before it left there; with 0, all
// of its work in one call after another.
struct Chain {
  std::size_t first = 0, end = 0;
  ir::Dim images = 0;
};

// The whole plan in order. Only calls that are partitioned by images and have no barrier between
// them share a chain; the number of images depends on shapes alone.
std::vector<Chain> make_chains(const Plan& plan, const std::vector<const codegen::Kernel*>& kernels,
                               const std::vector<bool>& barriers, ir::Dim max_batch);

}  // namespace taper::runtime
