// Sums over the batch and planes from those of each image.
#include "ir/builder.h"
#include "passes/fuse.h"

namespace taper::passes {
namespace {

using namespace ir;

constexpr Dim kSmallestPlane = 16;

// Whole blocks of channels: see pair_reductions.
bool is_over_planes(const Graph& graph, ValueId v) {
  const Node& node = graph[v];
  if (node.op != Op::reduce || node.epilogue != Expr{}) return false;
  const auto& attrs = std::get<ReduceAttrs>(node.attrs);
  const Shape& shape = graph[node.operands[0]].type.shape;
  return attrs.kind != ReduceKind::max && shape.size() == 4 && shape[0] == kBatch &&
         attrs.axes == Indices{0, 2, 3} && shape[1] % kBlock == 0 &&
         shape[2] * shape[3] >= kSmallestPlane;
}

ValueId over_planes(DemandCopy& copy, const Node& node) {
  ReduceAttrs attrs = std::get<ReduceAttrs>(node.attrs);
  attrs.axes = {2, 3};
  attrs.keep_dims = false;
  const Operands operands = copy(node.operands);
  return Builder(copy.to(), node.location).add_node(Op::reduce, operands, attrs);
}

ValueId over_images(DemandCopy& copy, const Node& node, ReduceKind kind, ValueId planes) {
  Builder b(copy.to(), node.location);
  return b.reshape(b.reduce(planes, kind, {0}, false), node.type.shape);
}

}  // namespace

Graph split_reductions(Graph graph) {
  const auto rule = [&](DemandCopy& copy, ValueId old) -> std::optional<ValueId> {
    const Node& node = graph[old];
    const ValueId source = node.op == Op::result ? node.operands[0] : old;
    if (!is_over_planes(graph, source)) return std::nullopt;
    const auto& attrs = std::get<ReduceAttrs>(graph[source].attrs);
    const bool several = attrs.prologue.outputs.size() > 1;
    if (source == old && several) return over_planes(copy, node);
    if (!several) return over_images(copy, node, attrs.kind, over_planes(copy, node));
    const ValueId both = copy(source);
    Builder b(copy.to(), node.location);
    const ValueId planes = b.result(both, std::get<ResultAttrs>(node.attrs).index);
    return over_images(copy, node, attrs.kind, planes);
  };
  for (const ValueId v : graph.ids())
    if (is_over_planes(graph, v)) return DemandCopy(graph, rule).run();
  return graph;
}

}  // namespace taper::passes
