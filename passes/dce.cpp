#include <utility>

#include "passes/passes.h"

namespace taper::passes {

ir::Graph dce(ir::Graph graph, [[maybe_unused]] const PassOptions& options) {
  return ir::canonical(std::move(graph));
}

}  // namespace taper::passes
