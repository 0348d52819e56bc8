#include <utility>

#include "passes/passes.h"

namespace taper::passes {

using ir::Stage;

namespace {

constexpr Pass kPipeline[] = {
    {"differentiate", differentiate, Stage::differentiated},
    {"simplify", simplify, Stage::differentiated},
    {"dce", dce, Stage::differentiated},
    {"fuse", fuse, Stage::differentiated},
    {"layout", layout, Stage::laid_out},
    {"rematerialize", rematerialize, Stage::laid_out},
    {"select", select, Stage::selected},
};

}  // namespace

std::span<const Pass> pipeline() {
  return kPipeline;
}

ir::Graph run_pipeline(const ir::Graph& recorded, const PassOptions& options,
                       const Observe& observe) {
  ir::verify(recorded, Stage::recorded);
  if (observe) observe("recorded", recorded);
  ir::Graph graph = recorded;
  for (const Pass& pass : kPipeline) {
    graph = pass.run(std::move(graph), options);
    ir::verify(graph, pass.stage);
    if (observe) observe(pass.name, graph);
  }
  return graph;
}

}  // namespace taper::passes
