// Layouts of convolutions, matrix products and data movement.
#include <algorithm>

#include "passes/layout.h"

namespace taper::passes {
namespace {

using namespace ir;

// Few channels that lie plain, as those of a graph input do, are read as they are.
Layout image_layout(const LaidOut& out, ValueId input, const TensorType& type, bool depthwise) {
  const bool plain = out.native_layout(input) == Layout::plain && type.shape[1] < kBlock;
  return plain && !depthwise ? Layout::plain : Layout::c16;
}

// Whether vectors along the weights of an image's few channels need a quarter of the
// multiplications of vectors of channels, which pays for adding columns up: see by_columns.
bool prefers_columns(const Graph& graph, const Node& node) {
  const Shape& weight = graph[node.operands[1]].type.shape;
  const std::int64_t taps = weight[2] * weight[3], columns = weight[1] * taps;
  return weight[1] < kBlock && node.epilogue.empty() && 4 * blocks_of(columns) <= taps;
}

// A product of one row reads each element of the matrix once: dot products cost less than another
// layout.
bool is_row(const Node& matmul) {
  return matmul.type.shape[0] == 1 && !std::get<MatmulAttrs>(matmul.attrs).transpose_a;
}

bool whole_blocks(const TensorType& type) {
  return type.rank() == 4 && type.shape[1] % kBlock == 0;
}

// Movement that keeps blocks of channels whole: by blocks along axis 1, anything along 2 and 3.
bool moves_blocks(const Graph& graph, const Node& node) {
  const TensorType& operand = graph[node.operands[0]].type;
  if (operand.rank() != 4) return false;
  if (node.op == Op::concat) {
    return std::get<AxisAttrs>(node.attrs).axis != 0 &&
           std::ranges::all_of(
               node.operands, [&](ValueId v) { return whole_blocks(graph[v].type); });
  }
  if (node.op == Op::pad) {
    const auto& attrs = std::get<PadAttrs>(node.attrs);
    return attrs.low[1] == 0 && attrs.high[1] == 0 && attrs.interior[1] == 0;
  }
  const auto& attrs = std::get<SliceAttrs>(node.attrs);
  return attrs.step[1] == 1 && attrs.begin[1] % kBlock == 0 && whole_blocks(operand) &&
         whole_blocks(node.type);
}

}  // namespace

bool is_head(const Graph& graph, const Node& node) {
  return node.op == Op::matmul && !graph.updates.empty() &&
         std::get<MatmulAttrs>(node.attrs).transpose_b &&
         graph[node.operands[1]].type.shape[0] < kBlock;
}

Choice choose_conv(const Graph& graph, const Node& node, const LaidOut& out) {
  const bool depthwise = std::get<ConvAttrs>(node.attrs).groups != 1;
  if (node.op == Op::conv2d_backward_data) {
    if (!depthwise && prefers_columns(graph, node))
      return {{Layout::c16, Layout::o16}, Layout::plain};
    return {{Layout::c16, depthwise ? Layout::o16 : Layout::i16}, Layout::c16};
  }
  if (graph[node.operands[1]].type.dtype == DType::i8)
    return {{Layout::c16, Layout::o16x4}, Layout::c16};
  const Layout image = image_layout(out, node.operands[0], graph[node.operands[0]].type, depthwise);
  if (node.op == Op::conv2d) return {{image, Layout::o16}, Layout::c16};
  return {{image, Layout::c16}, Layout::o16};
}

Choice choose_matmul(const Graph& graph, const Node& node, const LaidOut& out, bool wants_o16) {
  const auto& attrs = std::get<MatmulAttrs>(node.attrs);
  if (graph[node.operands[1]].type.dtype == DType::i8)
    return {{Layout::plain, Layout::o16x4}, Layout::plain};
  // o16 is the product of the transposes: its columns are the rows here. A bias along the rows
  // there has no place in that kernel.
  bool swap = wants_o16 && !node.type.has_batch();
  for (std::size_t i = 2; i < node.operands.size(); ++i) {
    const Shape& shape = graph[node.operands[i]].type.shape;
    const bool scalar = std::ranges::all_of(shape, [](Dim d) { return d == 1; });
    swap = swap && (scalar || shape == node.type.shape);
  }
  if (swap) return {{attrs.transpose_a ? Layout::plain : Layout::o16, Layout::plain}, Layout::o16};
  if (attrs.transpose_b) {
    return {{Layout::plain, is_row(node) && is_head(graph, node) ? Layout::plain : Layout::o16},
            Layout::plain};
  }
  const bool stored_o16 = out.native_layout(node.operands[1]) == Layout::o16;
  const Layout blocked = is_row(node) ? Layout::o16 : Layout::i16;
  return {{Layout::plain, stored_o16 ? blocked : Layout::plain}, Layout::plain};
}

Choice choose_movement(const Graph& graph, const Node& node, const LaidOut& out) {
  const bool any_blocked = std::ranges::any_of(
      node.operands, [&](ValueId v) { return out.native_layout(v) == Layout::c16; });
  const Layout layout = any_blocked && moves_blocks(graph, node) ? Layout::c16 : Layout::plain;
  return {std::vector<Layout>(node.operands.size(), layout), layout};
}

}  // namespace taper::passes
