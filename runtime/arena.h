// Where in the arena every buffer of a plan lies.
#pragma once

#include <vector>

#include "runtime/plan.h"
#include "runtime/schedule.h"

namespace taper::runtime {

// Sets the offsets of the arena's buffers, and the size of the arena. A buffer that only one chain
// touches becomes local to it: it holds one group of images of each thread, which stays in the
// caches. Any two buffers that the same chain touches are apart, so that a chain needs no barriers
// inside; others share bytes when their lifetimes do not meet.
void pack_arena(Plan& plan, const std::vector<Chain>& chains, int threads);

// Chains follow from the flow of data, the arena from the chains: returns the one, packs the other.
std::vector<Chain> arrange(Plan& plan, const codegen::Kernels& kernels, ir::Dim max_batch,
                           int threads);

}  // namespace taper::runtime
