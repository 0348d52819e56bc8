// What a training step of a graph is: the graph with the updates of an optimizer.
#pragma once

#include <string>

#include "ir/graph.h"
#include "runtime/executable.h"

namespace taper::tools {

// `recorded` plus the updates of `optimizer` ("sgd", "adam", "adamw" or "rmsprop", with their
// defaults) for all parameters that output `loss` depends on. The step has the input
// "learning_rate", f32[]. A loss of more than one number is averaged first. Throws taper::Error.
ir::Graph training_graph(const ir::Graph& recorded, const std::string& loss,
                         const std::string& optimizer);

// The output of that name. Throws taper::Error that lists the names there are.
ir::ValueId output_named(const ir::Graph& graph, const std::string& name);

}  // namespace taper::tools
