// The rules that a pass establishes: 13 to 16 of verify.cpp.
#pragma once

#include "ir/graph.h"

namespace taper::ir {

// Throws taper::Error when `node`, otherwise well-formed, may not be there at `stage`.
void check_stage(const Graph& graph, const Node& node, Stage stage);

}  // namespace taper::ir
