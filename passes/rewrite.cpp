#include "passes/rewrite.h"

#include <algorithm>
#include <utility>

namespace taper::passes {

using namespace ir;

Rewriter::Rewriter(const Graph& from) : from_(from), map_(from.size()) {
  to_.reserve(from.size());
}

Node Rewriter::translated(ValueId old) const {
  Node node = from_[old];
  for (ValueId& operand : node.operands) operand = map_[operand.index];
  return node;
}

ValueId Rewriter::copy(ValueId old) {
  const ValueId now = to_.append(translated(old));
  map(old, now);
  return now;
}

Graph Rewriter::finish() {
  for (const Output& output : from_.outputs)
    to_.outputs.push_back({output.name, map_[output.value.index]});
  for (const Update& update : from_.updates)
    to_.updates.push_back({map_[update.variable.index], map_[update.value.index]});
  return canonical(std::move(to_));
}

bool any_operand(const Node& node, const std::vector<bool>& marked) {
  return std::ranges::any_of(
      node.operands, [&](ValueId v) { return marked[v.index]; });
}

std::vector<bool> dependents(const Graph& graph, ValueId last, const std::vector<ValueId>& values) {
  std::vector<bool> depends(last.index + 1, false);
  for (const ValueId value : values)
    if (value <= last) depends[value.index] = true;
  for (std::size_t i = 0; i < depends.size(); ++i)
    depends[i] = depends[i] || any_operand(graph.nodes()[i], depends);
  return depends;
}

}  // namespace taper::passes
