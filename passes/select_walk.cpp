// How physical dims, strides and broadcasting meet; maps and reductions, which are all walk.
#include <algorithm>

#include "ir/node_type.h"
#include "passes/fuse.h"
#include "passes/select.h"

namespace taper::passes {

using namespace ir;

Walk walk_of(const TensorType& type) {
  Walk walk;
  const int blocked = physical(type).blocked_axis;
  const auto add = [&](Dim dim, int axis, bool lanes) {
    walk.dims.push_back(dim);
    walk.axes.push_back(axis);
    walk.lanes.push_back(lanes);
  };
  const auto add_axis = [&](int axis) {
    const Dim dim = type.shape[static_cast<std::size_t>(axis)];
    add(axis == blocked ? blocks_of(dim) : dim, axis, false);
  };
  if (type.layout == Layout::i16) add_axis(1);
  for (int axis = 0; axis < type.rank(); ++axis)
    if (type.layout != Layout::i16 || axis != 1) add_axis(axis);
  if (blocked >= 0) add(kBlock, blocked, true);
  return walk;
}

Indices strides_along(const Walk& walk, const TensorType& operand, const Shape& shape) {
  const PhysicalShape physical = ir::physical(operand);
  const int missing = static_cast<int>(shape.size()) - operand.rank();
  const int blocked = walk.lanes.empty() || !walk.lanes.back() ? -1 : walk.axes.back();
  Indices strides;
  for (std::size_t i = 0; i < walk.dims.size(); ++i) {
    const int axis = walk.axes[i] - missing;
    const bool repeated = axis < 0 || (operand.shape[static_cast<std::size_t>(axis)] == 1 &&
                                       shape[static_cast<std::size_t>(walk.axes[i])] != 1);
    if (repeated) {
      strides.push_back(0);
      continue;
    }
    const std::int64_t step = physical.strides[static_cast<std::size_t>(axis)];
    // One step along a blocked axis of `physical` is a whole block; along a plain one an element.
    const bool in_blocks = physical.blocked_axis == axis;
    if (walk.lanes[i])
      strides.push_back(in_blocks ? 1 : step);
    else if (walk.axes[i] == blocked)
      strides.push_back(in_blocks ? step : step * kBlock);
    else
      strides.push_back(step);
  }
  return strides;
}

KernelSpec select_map(const Lowering& lowering) {
  const auto& attrs = std::get<MapAttrs>(lowering.node.attrs);
  const auto inputs = static_cast<std::size_t>(attrs.expr.inputs);
  const std::size_t outputs = attrs.expr.outputs.size();
  MapSpec spec{attrs.expr, {}};
  for (std::size_t s = 0; s < static_cast<std::size_t>(attrs.segments); ++s) {
    std::vector<TensorType> types;
    for (std::size_t i = 0; i < inputs; ++i) types.push_back(lowering.operands[s * inputs + i]);
    for (std::size_t i = 0; i < outputs; ++i) types.push_back(attrs.results[s * outputs + i]);
    const TensorType& result = types.back();
    const Walk walk = walk_of(result);
    std::vector<Indices> streams;
    for (const TensorType& type : types) streams.push_back(strides_along(walk, type, result.shape));
    const Collapsed collapsed = collapse(walk.dims, streams);
    MapSegment segment{collapsed.dims, {}, {}};
    for (std::size_t i = 0; i < types.size(); ++i) {
      auto& side = i < inputs ? segment.inputs : segment.outputs;
      side.push_back({types[i].dtype, collapsed.streams[i]});
    }
    spec.segments.push_back(std::move(segment));
  }
  return spec;
}

namespace {

// A reduction over single elements leaves only its epilogue.
MapSpec map_of(const ReduceSpec& reduce) {
  MapSpec map{reduce.epilogue.expr, {{reduce.dims, reduce.inputs, {reduce.result}}}};
  if (map.expr.empty()) map.expr = {.inputs = 1, .instrs = {}, .outputs = {0}};
  for (const EpilogueOperand& operand : reduce.epilogue.operands) {
    const bool same = operand.access == EpilogueAccess::same;
    map.segments[0].inputs.push_back(
        {operand.dtype, same ? reduce.result.strides : Indices(reduce.dims.size(), 0)});
  }
  return map;
}

}  // namespace

KernelSpec select_reduce(const Lowering& lowering) {
  const auto& attrs = std::get<ReduceAttrs>(lowering.node.attrs);
  const TensorType& input = lowering.operands[0];
  // The result, with its reduced dims kept, has the strides that it has without them.
  const TensorType result{lowering.node.type.dtype, with_ones(input.shape, attrs.axes),
                          lowering.node.type.layout};
  const Walk walk = walk_of(input);
  const auto reduced = [&](std::size_t i) {
    return std::find(attrs.axes.begin(), attrs.axes.end(), walk.axes[i]) != attrs.axes.end();
  };
  Indices to = strides_along(walk, result, input.shape);
  for (std::size_t i = 0; i < to.size(); ++i)
    if (reduced(i)) to[i] = 0;
  const std::size_t own = own_operand_count(lowering.node);
  std::vector<Indices> streams{std::move(to)};
  for (std::size_t i = 0; i < own; ++i)
    streams.push_back(strides_along(walk, lowering.operands[i], input.shape));
  const Collapsed collapsed = collapse(
      walk.dims, streams, [&](std::size_t i, std::size_t j) { return reduced(i) == reduced(j); });
  ReduceSpec spec{.kind = attrs.kind,
                  .dims = collapsed.dims,
                  .result = {lowering.node.type.dtype, collapsed.streams[0]},
                  .prologue = attrs.prologue,
                  .epilogue = lower_epilogue(lowering, own)};
  for (std::size_t i = 0; i < own; ++i)
    spec.inputs.push_back({lowering.operands[i].dtype, collapsed.streams[1 + i]});
  for (std::size_t i = 0; i < spec.dims.size(); ++i)
    spec.reduced.push_back(spec.dims[i] != 1 && reduced(collapsed.keep[i]));
  const bool alone = std::ranges::count(spec.reduced, true) == 0;
  if (alone && spec.prologue == Expr{}) return map_of(spec);
  return spec;
}

Lowering lowering_of(const Graph& graph, const Node& node) {
  Lowering lowering{node, {}};
  for (const ValueId v : node.operands) lowering.operands.push_back(graph[v].type);
  return lowering;
}

Epilogue lower_epilogue(const Lowering& lowering, std::size_t own) {
  Epilogue epilogue{lowering.node.epilogue, {}, lowering.node.type.dtype};
  for (std::size_t i = own; i < lowering.operands.size(); ++i) {
    const TensorType& type = lowering.operands[i];
    const auto access = epilogue_access(lowering.node, type);
    if (!access)
      throw Error(lowering.node.location, "select: an epilogue of {} cannot read an operand {}",
                  to_string(lowering.node.type), to_string(type));
    epilogue.operands.push_back({type.dtype, *access});
  }
  return epilogue;
}

}  // namespace taper::passes
