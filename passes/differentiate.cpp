#include <map>
#include <utility>

#include "passes/normalize.h"
#include "passes/passes.h"
#include "passes/rewrite.h"
#include "passes/vjp.h"

namespace taper::passes {

using namespace ir;

namespace {

// Gradients of one scalar, by value index; kNoValue where it does not depend on a target.
using Adjoints = std::vector<ValueId>;

// Adds the contributions of one node to the gradients of its operands.
void propagate(VjpBuilder& builder, ValueId y, const std::vector<bool>& depends,
               Adjoints& adjoints) {
  VjpRequest request{builder.graph()[y], y, adjoints[y.index], {}};
  for (const ValueId operand : request.node.operands)
    request.wanted.push_back(depends[operand.index]);
  const Gradients gradients = vjp(builder, request);
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    if (gradients[i] == kNoValue || !request.wanted[i]) continue;
    ValueId& sum = adjoints[request.operand(i).index];
    sum = sum == kNoValue ? gradients[i] : builder.add(sum, gradients[i]);
  }
}

// One reverse sweep over the nodes that lead from the targets to the scalar.
Adjoints reverse_sweep(Graph& graph, ValueId scalar, const std::vector<ValueId>& targets) {
  // Only these need gradients.
  const std::vector<bool> depends = dependents(graph, scalar, targets);
  Adjoints adjoints(scalar.index + 1, kNoValue);
  if (!depends[scalar.index]) return adjoints;
  VjpBuilder builder(graph, graph[scalar].location);
  const Shape shape = graph[scalar].type.shape;
  adjoints[scalar.index] = builder.ones(shape);
  for (std::uint32_t i = scalar.index + 1; i-- > 0;) {
    if (adjoints[i] == kNoValue || !any_operand(graph[ValueId{i}], depends)) continue;
    propagate(builder, ValueId{i}, depends, adjoints);
  }
  return adjoints;
}

// The values of all gradient nodes of `scalar` that are copied yet; the others come after the
// scalar, which then cannot depend on them.
std::vector<ValueId> targets_of(const Rewriter& rewriter, ValueId scalar) {
  std::vector<ValueId> targets;
  for (const Node& node : rewriter.from().nodes()) {
    if (node.op != Op::gradient || rewriter[node.operands[0]] != scalar) continue;
    const ValueId value = rewriter[node.operands[1]];
    if (value != kNoValue) targets.push_back(value);
  }
  return targets;
}

}  // namespace

Graph differentiate(Graph graph, [[maybe_unused]] const PassOptions& options) {
  Rewriter rewriter(graph);
  std::map<ValueId, Adjoints> sweeps;  // by scalar: its gradient nodes share one
  for (const ValueId old : graph.ids()) {
    if (graph[old].op != Op::gradient) {
      rewriter.copy(old);
      continue;
    }
    const ValueId scalar = rewriter[graph[old].operands[0]];
    const ValueId value = rewriter[graph[old].operands[1]];
    auto found = sweeps.find(scalar);
    if (found == sweeps.end()) {
      Adjoints adjoints = reverse_sweep(rewriter.to(), scalar, targets_of(rewriter, scalar));
      found = sweeps.emplace(scalar, std::move(adjoints)).first;
    }
    ValueId gradient = value <= scalar ? found->second[value.index] : kNoValue;
    if (gradient == kNoValue)
      gradient = VjpBuilder(rewriter.to(), graph[old].location).zeros(graph[old].type.shape);
    rewriter.map(old, gradient);
  }
  return expand_normalize(rewriter.finish());
}

}  // namespace taper::passes
