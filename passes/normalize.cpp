#include "passes/normalize.h"

#include <algorithm>

#include "passes/rewrite.h"

namespace taper::passes {

using namespace ir;

Moments moments(Builder& builder, ValueId x, const NormalizeAttrs& attrs) {
  const ValueId mean = builder.reduce(x, ReduceKind::mean, attrs.axes, true);
  const ValueId centred = builder.sub(x, mean);
  const ValueId squares = builder.mul(centred, centred);
  const ValueId variance = builder.reduce(squares, ReduceKind::mean, attrs.axes, true);
  const ValueId shifted = builder.add(variance, builder.scalar(attrs.eps));
  return {centred, builder.sqrt(shifted)};
}

Graph expand_normalize(Graph graph) {
  const auto structured = [](const Node& node) { return node.op == Op::normalize; };
  if (std::ranges::none_of(graph.nodes(), structured)) return graph;
  Rewriter rewriter(graph);
  for (const ValueId old : graph.ids()) {
    if (graph[old].op != Op::normalize) {
      rewriter.copy(old);
      continue;
    }
    const Node node = rewriter.translated(old);
    Builder builder(rewriter.to(), node.location);
    const Moments m = moments(builder, node.operands[0], std::get<NormalizeAttrs>(node.attrs));
    const ValueId scale = builder.div(node.operands[1], m.deviation);
    rewriter.map(old, builder.mul(m.centred, scale));
  }
  return rewriter.finish();
}

}  // namespace taper::passes
