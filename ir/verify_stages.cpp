#include "ir/verify_stages.h"

#include <fmt/format.h>

#include "ir/node_type.h"

namespace taper::ir {
namespace {

void require_layout(std::string_view what, const TensorType& type, Layout layout) {
  if (type.layout != layout)
    throw Error("its {} must be {}, is {}", what, name(layout), to_string(type));
}

void check_conv_layouts(const Graph& graph, const Node& node) {
  const TensorType& first = graph[node.operands[0]].type;
  const TensorType& second = graph[node.operands[1]].type;
  const bool depthwise = std::get<ConvAttrs>(node.attrs).groups > 1;
  if (node.op == Op::conv2d_backward_data) {
    const bool columns = !depthwise && node.type.layout == Layout::plain;
    require_layout("gradient", first, Layout::c16);
    require_layout("weight", second, depthwise || columns ? Layout::o16 : Layout::i16);
    if (!columns) require_layout("result", node.type, Layout::c16);
    if (columns && node.epilogue != Expr{})
      throw Error("the gradient of a plain image takes no epilogue");
    return;
  }
  if (depthwise || first.layout != Layout::plain) require_layout("input", first, Layout::c16);
  if (node.op == Op::conv2d) {
    require_layout("weight", second, second.dtype == DType::i8 ? Layout::o16x4 : Layout::o16);
    require_layout("result", node.type, Layout::c16);
  } else {
    require_layout("gradient", second, Layout::c16);
    require_layout("result", node.type, Layout::o16);
    if (node.epilogue != Expr{}) throw Error("the gradient of a weight takes no epilogue");
  }
}

// The op's own operands (labels and row values have one dimension and no layout) and the result.
void require_layouts(const Graph& graph, const Node& node, Layout layout) {
  for (std::size_t i = 0; i < own_operand_count(node); ++i) {
    const TensorType& operand = graph[node.operands[i]].type;
    if (operand.rank() > 1) require_layout("operand", operand, layout);
  }
  if (node.type.rank() > 1) require_layout("result", node.type, layout);
}

void check_layouts(const Graph& graph, const Node& node) {
  if (std::holds_alternative<ConvAttrs>(node.attrs)) check_conv_layouts(graph, node);
  if (std::holds_alternative<PoolAttrs>(node.attrs)) require_layouts(graph, node, Layout::c16);
  const bool row_wise = node.op == Op::softmax || node.op == Op::log_softmax ||
                        node.op == Op::cross_entropy || node.op == Op::cross_entropy_backward ||
                        node.op == Op::cross_entropy_fused || node.op == Op::gather ||
                        node.op == Op::gather_backward;
  if (row_wise) require_layouts(graph, node, Layout::plain);
  if (node.op == Op::relayout)
    require_layout("result", node.type, std::get<LayoutAttrs>(node.attrs).layout);
  for (std::size_t i = own_operand_count(node); i < node.operands.size(); ++i) {
    const TensorType& operand = graph[node.operands[i]].type;
    if (operand.shape == node.type.shape)
      require_layout("epilogue operand", operand, node.type.layout);
  }
}

struct Counts {
  std::size_t operands = 0, results = 1;
};

struct Count {
  Counts operator()(const MapSpec& s) const {
    Counts counts{0, 0};
    for (const MapSegment& segment : s.segments) {
      counts.operands += segment.inputs.size();
      counts.results += segment.outputs.size();
    }
    return counts;
  }
  Counts operator()(const ReduceSpec& s) const {
    return {s.inputs.size() + s.epilogue.operands.size(),
            std::max<std::size_t>(1, s.prologue.outputs.size())};
  }
  Counts operator()(const GemmSpec& s) const { return {2 + s.epilogue.operands.size()}; }
  Counts operator()(const ConvSpec& s) const {
    return {(transforms_filters(s.pass) ? 1 : 2) + s.epilogue.operands.size(),
            1 + s.epilogue.moments.outputs.size()};
  }
  Counts operator()(const PoolSpec& s) const {
    const std::size_t results = s.indices && !s.backward ? 2 : 1;
    return {(s.backward ? 2u : 1u) + s.epilogue.operands.size(), results};
  }
  Counts operator()(const CopySpec& s) const { return {static_cast<std::size_t>(s.operands)}; }
  Counts operator()(const GatherSpec&) const { return {2}; }
  Counts operator()(const RowSpec& s) const {
    constexpr Counts kCounts[] = {{1}, {1}, {2}, {3}, {3, 2}};  // in the order of RowKind
    return kCounts[static_cast<std::size_t>(s.kind)];
  }
};

// Images are read and written in blocks of channels; where a first layer has few, the input may be
// plain. Points of Winograd and weights are of no use elsewhere and are not looked at.
struct ImageLayouts {
  const Graph& graph;
  const Node& node;

  void operator()(const ConvSpec& s) const {
    if (transforms_filters(s.pass)) return;
    require_layout("operand 0", type(0), s.pass == ConvPass::backward_data ? Layout::c16 : s.input);
    if (s.pass == ConvPass::backward_weights)
      require_layout("operand 1", type(1), Layout::c16);
    else
      require_layout("result", node.type,
                     s.pass == ConvPass::backward_data ? s.input : Layout::c16);
    if (by_columns(s)) check_columns(s);
    check_epilogue(s.epilogue);
  }
  void operator()(const PoolSpec& s) const {
    for (std::size_t i = 0; i < (s.backward ? 2u : 1u); ++i)
      require_layout(fmt::format("operand {}", i), type(i), Layout::c16);
    require_layout("result", node.type, Layout::c16);
    check_epilogue(s.epilogue);
  }
  template <class Spec>
  void operator()(const Spec&) const {}

 private:
  const TensorType& type(std::size_t i) const { return graph[node.operands[i]].type; }

  void check_columns(const ConvSpec& s) const {
    require_layout("operand 1", type(1), Layout::o16);
    if (s.epilogue != Epilogue{} || s.groups != 1)
      throw Error("the gradient of a plain image has no epilogue and no groups");
  }

  void check_epilogue(const Epilogue& epilogue) const {
    const std::size_t own = node.operands.size() - epilogue.operands.size();
    for (std::size_t i = 0; i < epilogue.operands.size(); ++i)
      if (epilogue.operands[i].access == EpilogueAccess::same)
        require_layout("epilogue operand", type(own + i), node.type.layout);
  }
};

void check_kernel(const Graph& graph, const Node& node) {
  const auto& kernel = std::get<KernelAttrs>(node.attrs);
  const Counts counts = std::visit(Count{}, *kernel.spec);
  if (counts.operands != node.operands.size() || counts.results != kernel.results.size()) {
    throw Error("its spec has {} operands and {} results, the node {} and {}", counts.operands,
                counts.results, node.operands.size(), kernel.results.size());
  }
  std::visit(ImageLayouts{graph, node}, *kernel.spec);
}

void check_view(const Graph& graph, const Node& node) {
  const TensorType& from = graph[node.operands[0]].type;
  for (const Dim batch : {1, 2})
    if (byte_size(from, batch) != byte_size(node.type, batch))
      throw Error("{} and {} are not the same bytes", to_string(from), to_string(node.type));
}

void check_selected(const Graph& graph, const Node& node) {
  if (node.op == Op::kernel) return check_kernel(graph, node);
  if (node.op == Op::view) return check_view(graph, node);
  if (traits(node.op).arity != 0 && node.op != Op::result) throw Error("it has no kernel");
}

}  // namespace

void check_stage(const Graph& graph, const Node& node, Stage stage) {
  if (stage == Stage::recorded) return;
  if (node.op == Op::gradient) throw Error("it was not differentiated");
  if (stage == Stage::differentiated) return;
  const bool unfused = traits(node.op).elementwise || node.op == Op::cast ||
                       node.op == Op::random || node.op == Op::broadcast_to;
  if (unfused) throw Error("it was not fused");
  if (stage == Stage::laid_out) check_layouts(graph, node);
  if (stage == Stage::selected) check_selected(graph, node);
}

}  // namespace taper::ir
