// A graph on its way to machine code: every stage, the plan and the kernels, for looking at. What
// runtime::compile() makes of the same graph has the same calls in the same order.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "codegen/kernel.h"
#include "ir/graph.h"
#include "ir/isa.h"
#include "passes/passes.h"
#include "runtime/plan.h"

namespace taper::tools {

struct Lowered {
  std::vector<std::pair<std::string, ir::Graph>> stages;  // "recorded", then the passes
  runtime::Plan plan;                                     // of the last one's graph
  codegen::Kernels kernels;                               // by call, with listings

  const ir::Graph& selected() const { return stages.back().second; }
  // "%4": the value whose kernel call `c` is, or "copy".
  std::string value(std::size_t c) const;
  // The names of its buffers: "%0, w -> %4".
  std::string buffers(std::size_t c) const;
  // Where its value was written; unknown for copies.
  Location location(std::size_t c) const;
  // Bytes of its buffers at `batch`, each moved once.
  double bytes(std::size_t c, ir::Dim batch) const;
};

// The host need not be able to run `isa`. Throws taper::Error.
std::unique_ptr<Lowered> lower(const ir::Graph& recorded, const passes::PassOptions& options,
                               const ir::Isa& isa);

// The listing with a comment before every loop: how deep it is, how many instructions a turn has,
// and how many of them multiply and add.
std::string annotated(const std::string& listing);

}  // namespace taper::tools
