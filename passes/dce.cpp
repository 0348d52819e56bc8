#include "passes/passes.h"

namespace taper::passes {

ir::Graph dce(const ir::Graph& graph, [[maybe_unused]] const PassOptions& options) {
  return ir::canonical(graph);
}

}  // namespace taper::passes
