// The simple steps of `fuse`: cross entropy with its gradient, and operands of broadcast_to.
#include <utility>

#include "ir/builder.h"
#include "passes/fuse.h"

namespace taper::passes {
namespace {

using namespace ir;

// What is computed from scalars only to be repeated is computed where it is needed: one map instead
// of two.
void repeat_scalar_ops(Graph& graph) {
  const std::vector<int> uses = use_counts(graph);
  for (const ValueId v : graph.ids()) {
    Node& node = graph[v];
    if (node.op != Op::broadcast_to) continue;
    const ValueId source = node.operands[0];
    const Node& scalar = graph[source];
    if (!traits(scalar.op).elementwise || !scalar.type.shape.empty()) continue;
    if (uses[source.index] != 1) continue;
    node.op = scalar.op;
    node.operands = scalar.operands;
    node.attrs = scalar.attrs;
  }
}

}  // namespace

Graph fuse_losses(Graph graph) {
  std::map<ValueId, std::pair<ValueId, ValueId>> pairs;  // loss and gradient, by each of them
  for (const ValueId v : graph.ids()) {
    const Node& loss = graph[v];
    if (loss.op != Op::cross_entropy) continue;
    for (const ValueId g : graph.ids()) {
      const Node& node = graph[g];
      if (node.op != Op::cross_entropy_backward || pairs.contains(g)) continue;
      if (node.operands[0] != loss.operands[0] || node.operands[1] != loss.operands[1]) continue;
      if (dependents(graph, node.operands[2], {v}).back()) continue;
      pairs[v] = pairs[g] = {v, g};
      break;
    }
  }
  return replace_each(graph, pairs, [&](DemandCopy& copy, ValueId old, const auto& pair) {
    const auto [loss, gradient] = pair;
    const Operands operands = copy(graph[gradient].operands);
    const ValueId node =
        Builder(copy.to(), graph[loss].location).add_node(Op::cross_entropy_fused, operands);
    const auto result = [&](ValueId of, std::int64_t index) {
      copy.map(of, Builder(copy.to(), graph[of].location).result(node, index));
    };
    result(loss, 0);
    result(gradient, 1);
    return copy(old);
  });
}

Graph bypass_broadcasts(Graph result) {
  for (const ValueId v : result.ids()) {
    Node& node = result[v];
    if (!traits(node.op).elementwise) continue;
    for (ValueId& operand : node.operands)
      while (result[operand].op == Op::broadcast_to) operand = result[operand].operands[0];
  }
  repeat_scalar_ops(result);
  return canonical(std::move(result));
}

}  // namespace taper::passes
