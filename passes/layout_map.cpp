// Layouts of maps and reductions.
#include <algorithm>

#include "ir/builder.h"
#include "ir/node_type.h"
#include "passes/layout.h"

namespace taper::passes {
namespace {

using namespace ir;

std::size_t channel_axis(Layout layout) {
  return layout == Layout::c16 ? 1 : 0;
}

bool fits_blocks(const Graph& graph, const SegmentView& segment, Layout layout) {
  const Shape& shape = segment.results.front().shape;
  if (layout == Layout::c16 && shape.size() != 4) return false;
  if (layout == Layout::o16 && (shape.size() < 2 || shape.front() == kBatch)) return false;
  return std::ranges::all_of(segment.operands, [&](ValueId v) {
    return blocked_operand(graph[v].type.shape, shape, layout) != BlockedOperand::unfit;
  });
}

Layout segment_layout(const Graph& graph, const Expr& expr, const SegmentView& segment,
                      const LaidOut& out, bool wants_o16) {
  // The random number of an element is a function of its row-major index.
  for (const ExprInstr& instr : expr.instrs)
    if (instr.op == Op::random) return Layout::plain;
  const auto has_operand = [&](Layout layout) {
    return std::ranges::any_of(segment.operands, [&](ValueId v) {
      return graph[v].type.shape == segment.results.front().shape && out.native_layout(v) == layout;
    });
  };
  const bool o16 = wants_o16 || has_operand(Layout::o16);
  if (o16 && fits_blocks(graph, segment, Layout::o16)) return Layout::o16;
  if (has_operand(Layout::c16) && fits_blocks(graph, segment, Layout::c16)) return Layout::c16;
  return Layout::plain;
}

// How an operand is read where `shape` is walked in `layout`.
Layout operand_layout(const Shape& operand, const Shape& shape, Layout layout) {
  if (layout == Layout::plain) return layout;
  const bool blocked = blocked_operand(operand, shape, layout) == BlockedOperand::blocked;
  return blocked ? layout : Layout::plain;
}

bool reduces(const ReduceAttrs& attrs, std::int64_t axis) {
  return std::ranges::find(attrs.axes, axis) != attrs.axes.end();
}

// Whether a reduction reads its blocked operand as it is, given a result that keeps its dimensions.
bool reads_blocks(const TensorType& type, const ReduceAttrs& attrs) {
  const auto axis = static_cast<std::int64_t>(channel_axis(type.layout));
  // Padding lanes must not be summed up.
  if (reduces(attrs, axis)) return type.shape[channel_axis(type.layout)] % kBlock == 0;
  if (type.layout != Layout::c16) return false;
  return attrs.keep_dims || (reduces(attrs, 2) && reduces(attrs, 3));
}

ValueId reshaped(Graph& graph, ValueId v, const Shape& shape) {
  return Builder(graph, graph[v].location).reshape(v, shape);
}

// The tensor that decides the layout of those that a reduction walks: one in blocks, if any is.
TensorType reduced_tensor(const Graph& from, const Node& node, const LaidOut& out) {
  const Shape& shape = from[node.operands[0]].type.shape;
  for (std::size_t i = 0; i < own_operand_count(node); ++i) {
    const ValueId v = node.operands[i];
    if (from[v].type.shape != shape || out.native_layout(v) == Layout::plain) continue;
    return out.graph[out.native(v)].type;
  }
  return out.graph[out.native(node.operands[0])].type;
}

// What a reduction reads for itself: tensors in `layout`, and what repeats along the axes.
void place_inputs(const Graph& from, Node& node, LaidOut& out, Layout layout) {
  const Shape shape = from[node.operands[0]].type.shape;
  for (std::size_t i = 0; i < own_operand_count(node); ++i) {
    const ValueId v = node.operands[i];
    node.operands[i] = out.as(v, operand_layout(from[v].type.shape, shape, layout));
  }
}

// The result keeps its dimensions and stays in blocks, so that whole vectors are stored; moving it
// to the place it should have is cheap, as it is small.
ValueId reduce_in_blocks(const Graph& from, ValueId old, LaidOut& out, Layout result) {
  Node node = from[old];
  const Shape wanted = node.type.shape;
  auto& attrs = std::get<ReduceAttrs>(node.attrs);
  attrs.keep_dims = true;
  node.type.shape = with_ones(from[node.operands[0]].type.shape, attrs.axes);
  node.type.layout = result;
  place_inputs(from, node, out, result);
  for (std::size_t i = own_operand_count(node); i < node.operands.size(); ++i) {
    const bool same = from[node.operands[i]].type.shape == wanted;
    node.operands[i] = out.as(node.operands[i], Layout::plain);
    if (!same) continue;
    const ValueId kept = reshaped(out.graph, node.operands[i], node.type.shape);
    node.operands[i] = out.relayout(kept, result);
  }
  const ValueId reduced = out.graph.append(std::move(node));
  if (out.graph[reduced].type.shape == wanted) return reduced;
  return reshaped(out.graph, out.relayout(reduced, Layout::plain), wanted);
}

ValueId reduce_plain_result(const Graph& from, ValueId old, LaidOut& out, Layout input) {
  Node node = from[old];
  place_inputs(from, node, out, input);
  for (std::size_t i = own_operand_count(node); i < node.operands.size(); ++i)
    node.operands[i] = out.as(node.operands[i], Layout::plain);
  return out.graph.append(std::move(node));
}

}  // namespace

BlockedOperand blocked_operand(const Shape& operand, const Shape& shape, Layout layout) {
  if (operand == shape) return BlockedOperand::blocked;
  const std::size_t axis = channel_axis(layout);
  const std::size_t missing = shape.size() - operand.size();
  if (axis < missing || operand[axis - missing] == 1) return BlockedOperand::plain;
  const auto spans = [](Dim d) { return d != 1; };
  if (std::ranges::count_if(operand, spans) == 1) return BlockedOperand::plain;
  return missing == 0 ? BlockedOperand::blocked : BlockedOperand::unfit;
}

ValueId place_map(const Graph& graph, ValueId old, LaidOut& out,
                  const std::vector<SegmentView>& segments, const std::vector<bool>& wanted) {
  Node node = graph[old];
  auto& attrs = std::get<MapAttrs>(node.attrs);
  for (const SegmentView& segment : segments) {
    const bool wants_o16 =
        std::ranges::any_of(segment.holders, [&](ValueId v) { return wanted[v.index]; });
    const Layout layout = segment_layout(graph, attrs.expr, segment, out, wants_o16);
    const Shape& shape = segment.results.front().shape;
    for (std::size_t i = 0; i < segment.operands.size(); ++i) {
      const ValueId v = segment.operands[i];
      const Layout read = operand_layout(graph[v].type.shape, shape, layout);
      node.operands[segment.first_operand + i] = out.as(v, read);
    }
    for (std::size_t i = 0; i < segment.results.size(); ++i)
      attrs.results[segment.first_result + i].layout = layout;
  }
  node.type = attrs.results.front();
  return out.graph.append(std::move(node));
}

ValueId place_reduce(const Graph& graph, ValueId old, LaidOut& out) {
  const Node& node = graph[old];
  const auto& attrs = std::get<ReduceAttrs>(node.attrs);
  const TensorType operand = reduced_tensor(graph, node, out);
  if (operand.layout == Layout::plain || operand.layout == Layout::i16 ||
      !reads_blocks(operand, attrs))
    return reduce_plain_result(graph, old, out, Layout::plain);
  if (reduces(attrs, static_cast<std::int64_t>(channel_axis(operand.layout))))
    return reduce_plain_result(graph, old, out, operand.layout);
  const bool image_result = attrs.keep_dims && !reduces(attrs, 0);
  const bool whole_blocks = operand.shape[1] % kBlock == 0;
  if (whole_blocks && !image_result && reduces(attrs, 2) && reduces(attrs, 3))
    return reduce_plain_result(graph, old, out, operand.layout);
  // Moving the result would hide that there are several.
  if (attrs.prologue.outputs.size() > 1) return reduce_plain_result(graph, old, out, Layout::plain);
  return reduce_in_blocks(graph, old, out, Layout::c16);
}

}  // namespace taper::passes
