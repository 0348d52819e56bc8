// Graph -> Graph passes: pure functions, a contract each. Every pass returns canonical() order.
#pragma once

#include <functional>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "ir/graph.h"

namespace taper::passes {

struct PassOptions {
  ir::Dim max_batch = 256;
  bool winograd = true;               // may be chosen for 3x3 convolutions
  std::set<std::string> placed = {};  // variables whose storage keeps the layout that it has
};

// Replaces `gradient(scalar, value)` nodes by the vector-Jacobian products of ops.def and vjp.cpp.
// Ensures: no gradient nodes, and normalize nodes are spelled out. A value the scalar does not
// depend on gets zeros.
ir::Graph differentiate(ir::Graph, const PassOptions&);

// Algebraic rules, one per line in simplify.cpp, to a fixed point, and common subexpressions. With
// a max_batch of 1 the batch symbol is 1 from here on.
ir::Graph simplify(ir::Graph, const PassOptions&);

// Drops nodes that no output or update needs.
ir::Graph dce(ir::Graph, const PassOptions&);

// Elementwise chains become epilogues of their producers (conv2d*, matmul, pool2d*, reduce) or
// `map` nodes; equal maps on different tensors become one multi-segment map (the optimizer); a
// cross_entropy and its gradient become cross_entropy_fused, max pooling and its gradient share the
// places of the maxima.
// Ensures: no bare elementwise, cast, random or broadcast_to nodes.
ir::Graph fuse(ir::Graph, const PassOptions&);

// Chooses physical layouts and inserts relayout nodes. A parameter or state whose layout is not
// plain on entry, or that is `placed`, keeps it (its storage already exists); otherwise a weight
// takes the layout of its forward use, and everything that is updated with it follows.
// Ensures: the operand and result layouts that ir/kernel.h states.
ir::Graph layout(ir::Graph, const PassOptions&);

// An elementwise result that a training step would keep for gradients of each image alone (those
// through a ReLU, those of weights) is computed again where they read it, from a tensor that is
// kept anyway (Chen et al., 2016): what no run keeps need not leave the caches.
ir::Graph rematerialize(ir::Graph, const PassOptions&);

// Lowers every op to a `kernel` node with a KernelSpec, or to a `view`. Looks at shapes only.
// `extent` over the batch becomes the input "$batch" (f32[]), which the runtime fills.
// Ensures: only input, parameter, state, constant, kernel, result and view nodes.
ir::Graph select(ir::Graph, const PassOptions&);

struct Pass {
  std::string_view name;
  ir::Graph (*run)(ir::Graph, const PassOptions&);
  ir::Stage stage;  // what verify() holds the result to
};

// The ordered list.
std::span<const Pass> pipeline();

// Runs all of it, verifies after each, and calls `observe` with (pass, graph),
// first with ("recorded", input).
using Observe = std::function<void(std::string_view, const ir::Graph&)>;
ir::Graph run_pipeline(const ir::Graph&, const PassOptions&, const Observe& observe = {});

}  // namespace taper::passes
