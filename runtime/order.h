// In which order the kernels of a plan run.
#pragma once

#include <vector>

#include "ir/graph.h"

namespace taper::runtime {

struct Order {
  std::vector<ir::ValueId> values;  // all of the graph, operands first, inputs in graph order
  std::vector<bool> early;          // by value: depends on weights and constants alone
};

// Kernels of weights alone run before all others, so that they separate no chains of kernels over
// images (see schedule.h), nor does a barrier before their bytes are written again: they keep
// them for a while, where nothing updates a weight even from one run to the next. Kernels that no
// kernel over images waits for, the gradients of weights above all, run as late as possible, for
// the same reason, but early enough that no more memory is live at once than running each as soon
// as it can would take; and what updates a variable runs after all that reads it. The others keep
// the graph's order, except that a kernel over images that only these late ones wait for runs as
// soon as it can: its operand is in the caches, and need not be kept.
Order execution_order(const ir::Graph& graph, ir::Dim max_batch);

}  // namespace taper::runtime
