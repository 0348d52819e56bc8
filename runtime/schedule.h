// Where threads must wait for one another: the barriers between the calls of a plan.
#pragma once

#include <span>
#include <vector>

#include "codegen/kernel.h"
#include "runtime/plan.h"

namespace taper::runtime {

// One kernel call as every thread of a run sees it.
struct ScheduledCall {
  const codegen::Kernel* kernel = nullptr;
  std::vector<void*> buffers;
  bool barrier_before = false;
  // Operands that are local to the chain: a thread finds its group's first image in its share.
  struct Local {
    std::size_t operand;
    std::int64_t thread_bytes, unit_bytes;
  };
  std::vector<Local> locals;
  std::vector<std::vector<void*>> bound;            // by thread: buffers for its current group
  std::vector<std::span<std::byte>> written_later;  // by thread, see codegen::Call
};

// Calls [first, end) of a plan. A thread runs `group` of its images, or of the planes that all
// calls cut them into, through all of them, then the next ones, so that each call finds in the
// caches what the one before it left there; with 0, all of its work in one call after another.
struct Chain {
  std::size_t first = 0, end = 0;
  ir::Dim group = 0;
  std::int64_t planes = 1;  // of an image; see codegen::Kernel
  // Calls [first, computing) read much and the others multiply much; 0: nothing like it. Every
  // other thread starts when the one before it has come to `computing`: from then on some read
  // while others multiply, instead of all at once.
  std::size_t computing = 0;
};

// Groups that a thread must have at least to make up for the late start.
inline constexpr ir::Dim kGroupsInTurn = 3;

// A run of units that would leave less than half a group at the end goes on to the end.
inline ir::Dim group_end(const Chain& chain, ir::Dim begin, ir::Dim end) {
  if (chain.group == 0) return end;
  return end - begin < chain.group + (chain.group + 1) / 2 ? end : begin + chain.group;
}
inline ir::Dim largest_group(const Chain& chain) {
  return chain.group + (chain.group + 1) / 2 - 1;
}

// Before which chains the threads must meet, by chain: some call since the last barrier and one of
// the chain touch the same bytes, at least one of them writing, and the data may cross threads. Two
// calls partitioned by images whose shared buffers are the same buffer need none: each thread then
// works on its own images throughout; so does the copying of inputs that have a batch, with which
// a run begins. While the arena is not packed, its buffers share no bytes.
std::vector<bool> place_barriers(const Plan& plan, const codegen::Kernels& kernels,
                                 const std::vector<Chain>& chains);

// An update writes weights that other threads have just read: their caches have to let each line
// go. The largest product between the last reader of a variable and its update gets the lines to
// take over, where it hides these waits.
void take_over_early(const Plan& plan, std::vector<ScheduledCall>& schedule, int threads,
                     ir::Dim max_batch);

// The whole plan in order, one call a chain.
std::vector<Chain> single_calls(const Plan& plan);

// The whole plan in order. Only calls that are partitioned by images and have no barrier between
// them (`barriers`, by call) share a chain; the number of images depends on shapes alone.
std::vector<Chain> make_chains(const Plan& plan, const codegen::Kernels& kernels,
                               const std::vector<bool>& barriers, ir::Dim max_batch);

}  // namespace taper::runtime
