#include "passes/layout.h"

#include <utility>

#include "ir/builder.h"
#include "passes/passes.h"

namespace taper::passes {
namespace {

using namespace ir;

class Placement {
 public:
  Placement(const Graph& graph, const PassOptions& options)
      : graph_(graph),
        maps_(maps_of(graph)),
        variables_(variable_layouts(graph, maps_, options.placed)),
        wanted_(wanted_o16(graph, maps_, variables_)),
        out_(graph) {}

  Graph run() {
    for (const ValueId old : graph_.ids()) out_.bind(old, place(old));
    for (const Output& output : graph_.outputs)
      out_.graph.outputs.push_back({output.name, out_.as(output.value, Layout::plain)});
    for (const Update& update : graph_.updates) {
      const ValueId variable = out_.native(update.variable);
      const ValueId value = out_.as(update.value, out_.native_layout(update.variable));
      out_.graph.updates.push_back({variable, value});
    }
    return canonical(std::move(out_.graph));
  }

 private:
  ValueId place(ValueId old) {
    const Node& node = graph_[old];
    switch (node.op) {
      case Op::parameter:
      case Op::state:
        return apply(old, {{}, variables_[old.index]});
      case Op::conv2d:
      case Op::conv2d_backward_data:
      case Op::conv2d_backward_weights:
        return apply(old, choose_conv(graph_, node, out_));
      case Op::pool2d:
      case Op::pool2d_backward:
      case Op::max_pool2d_with_indices:
      case Op::max_unpool2d:
        return apply(old, {std::vector<Layout>(node.operands.size(), Layout::c16), Layout::c16});
      case Op::matmul:
        return apply(old, choose_matmul(graph_, node, out_, wanted_[old.index]));
      case Op::map:
        return place_map(graph_, old, out_, maps_.at(old), wanted_);
      case Op::reduce:
        return place_reduce(graph_, old, out_);
      case Op::slice:
      case Op::pad:
      case Op::concat:
        return apply(old, choose_movement(graph_, node, out_));
      case Op::result:
        return place_result(old);
      case Op::extent:
        return apply(old, {{out_.native_layout(node.operands[0])}, Layout::plain});
#define TAPER_ELEMENTWISE(name, arity, result, eval, vjp, emit) case Op::name:
#include "ir/ops.def"
      case Op::input:
      case Op::constant:
      case Op::cast:
      case Op::random:
      case Op::in_range:
      case Op::broadcast_to:
      case Op::reshape:
      case Op::transpose:
      case Op::softmax:
      case Op::log_softmax:
      case Op::normalize:
      case Op::gather:
      case Op::gather_backward:
      case Op::cross_entropy:
      case Op::cross_entropy_backward:
      case Op::cross_entropy_fused:
      case Op::gradient:
      case Op::relayout:
      case Op::view:
      case Op::kernel:
        return apply(old, {std::vector<Layout>(node.operands.size(), Layout::plain)});
    }
    return kNoValue;
  }

  // Operands of the op itself as chosen; of the epilogue, those with the result's shape like the
  // result and the others plain.
  ValueId apply(ValueId old, Choice choice) {
    Node node = graph_[old];
    for (std::size_t i = 0; i < node.operands.size(); ++i) {
      const bool of_result = graph_[node.operands[i]].type.shape == node.type.shape;
      const bool own = node.epilogue.empty() || i < static_cast<std::size_t>(traits(node.op).arity);
      const Layout layout = own ? choice.operands[i] : of_result ? choice.result : Layout::plain;
      node.operands[i] = out_.as(node.operands[i], layout);
    }
    node.type.layout = choice.result;
    return out_.graph.append(std::move(node));
  }

  ValueId place_result(ValueId old) {
    Node node = graph_[old];
    node.operands[0] = out_.native(node.operands[0]);
    const auto index = static_cast<std::size_t>(std::get<ResultAttrs>(node.attrs).index);
    node.type = result_types(out_.graph, out_.graph[node.operands[0]])[index];
    return out_.graph.append(std::move(node));
  }

  const Graph& graph_;
  const Maps maps_;
  const std::vector<Layout> variables_;
  const std::vector<bool> wanted_;
  LaidOut out_;
};

}  // namespace

Graph layout(Graph graph, const PassOptions& options) {
  return Placement(graph, options).run();
}

ValueId LaidOut::relayout(ValueId now, Layout layout) {
  const Layout from = graph[now].type.layout;
  if (from == layout) return now;
  if (from == Layout::o16x4 || layout == Layout::o16x4) {
    throw Error("layout: an i8 weight must be a parameter that only convolutions and products use",
                graph[now].location);
  }
  const auto key = std::pair{now, layout};
  if (const auto it = relayouts_.find(key); it != relayouts_.end()) return it->second;
  Builder builder(graph, graph[now].location);
  return relayouts_[key] = builder.add_node(Op::relayout, {now}, LayoutAttrs{layout});
}

}  // namespace taper::passes
