// Rewrites structured ops that no kernel computes into ones that kernels compute.
#include <algorithm>

#include "ir/builder.h"
#include "passes/fuse.h"

namespace taper::passes {
namespace {

using namespace ir;

ValueId slice_axis(Builder& b, ValueId x, std::size_t axis, Dim begin, Dim end) {
  const Shape shape = b.type(x).shape;
  SliceAttrs attrs{
      .begin = Indices(shape.size(), 0), .end = shape, .step = Indices(shape.size(), 1)};
  attrs.begin[axis] = begin;
  attrs.end[axis] = end;
  return b.slice(x, std::move(attrs));
}

// The axes along which the operands and the result of a grouped convolution split.
struct GroupAxes {
  std::size_t first, second, result;
};

ValueId split_groups(Builder& b, const Node& node, ValueId first, ValueId second, GroupAxes axes) {
  ConvAttrs attrs = std::get<ConvAttrs>(node.attrs);
  const std::int64_t groups = attrs.groups;
  attrs.groups = 1;
  if (!attrs.shape.empty()) attrs.shape[axes.result] /= groups;
  const Dim first_size = b.type(first).shape[axes.first] / groups;
  const Dim second_size = b.type(second).shape[axes.second] / groups;
  Operands parts;
  for (std::int64_t g = 0; g < groups; ++g) {
    const ValueId x = slice_axis(b, first, axes.first, g * first_size, (g + 1) * first_size);
    const ValueId y = slice_axis(b, second, axes.second, g * second_size, (g + 1) * second_size);
    parts.push_back(b.add_node(node.op, {x, y}, attrs));
  }
  return b.concat(std::move(parts), static_cast<std::int64_t>(axes.result));
}

bool is_softmax(const Node& node) {
  return node.op == Op::softmax || node.op == Op::log_softmax;
}

bool needs_split(const Node& node, const Graph& graph) {
  const std::int64_t groups = std::get<ConvAttrs>(node.attrs).groups;
  if (groups == 1) return false;
  const auto channels = [](const TensorType& t) { return t.shape[1]; };
  const TensorType& second = graph[node.operands[1]].type;
  const Dim in = node.op == Op::conv2d_backward_data ? channels(node.type)
                                                     : channels(graph[node.operands[0]].type);
  const Dim out = node.op == Op::conv2d_backward_weights ? channels(second) : second.shape[0];
  return groups != in || groups != out;
}

// What expand_structured spells out.
bool structured(const Node& node, const Graph& graph) {
  if (is_softmax(node)) {
    const std::int64_t axis = std::get<AxisAttrs>(node.attrs).axis;
    return axis + 1 != node.type.rank() && node.type.rank() != 0;
  }
  const bool conv = node.op == Op::conv2d || node.op == Op::conv2d_backward_data ||
                    node.op == Op::conv2d_backward_weights;
  return conv && needs_split(node, graph);
}

// exp(x - max) / sum, or its logarithm, along an axis that is not the last.
ValueId softmax_by_reductions(Builder& b, Op op, ValueId x, std::int64_t axis) {
  const ValueId highest = b.reduce(x, ReduceKind::max, {axis}, true);
  const ValueId shifted = b.sub(x, highest);
  const ValueId exponential = b.exp(shifted);
  const ValueId total = b.reduce(exponential, ReduceKind::sum, {axis}, true);
  if (op == Op::softmax) return b.div(exponential, total);
  return b.sub(shifted, b.log(total));
}

}  // namespace

Graph expand_structured(Graph graph) {
  const auto is_structured = [&](const Node& node) { return structured(node, graph); };
  if (std::ranges::none_of(graph.nodes(), is_structured)) return graph;
  const auto rule = [&](DemandCopy& copy, ValueId old) -> std::optional<ValueId> {
    const Node& node = graph[old];
    if (!structured(node, graph)) return std::nullopt;
    Builder b(copy.to(), node.location);
    if (is_softmax(node)) {
      const std::int64_t axis = std::get<AxisAttrs>(node.attrs).axis;
      return softmax_by_reductions(b, node.op, copy(node.operands[0]), axis);
    }
    const bool weights = node.op == Op::conv2d_backward_weights;
    const ValueId first = copy(node.operands[0]);
    const ValueId second = copy(node.operands[1]);
    const GroupAxes axes = weights ? GroupAxes{1, 1, 0} : GroupAxes{1, 0, 1};
    return split_groups(b, node, first, second, axes);
  };
  return DemandCopy(graph, rule).run();
}

}  // namespace taper::passes
