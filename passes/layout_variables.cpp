// Which variables are stored in blocks, and which values should be produced to match.
#include <algorithm>
#include <numeric>

#include "ir/node_type.h"
#include "passes/layout.h"

namespace taper::passes {
namespace {

using namespace ir;

bool is_weight_shape(const TensorType& type) {
  return type.rank() >= 2 && !type.has_batch();
}

// The first extra operand of an epilogue; the number of operands when there is none.
std::size_t epilogue_begin(const Node& node) {
  return node.epilogue.empty() ? node.operands.size() : own_operand_count(node);
}

// Without their holders.
std::vector<SegmentView> segments_of(const Node& map) {
  const auto& attrs = std::get<MapAttrs>(map.attrs);
  const auto inputs = static_cast<std::size_t>(attrs.expr.inputs);
  const std::size_t outputs = attrs.expr.outputs.size();
  std::vector<SegmentView> segments(static_cast<std::size_t>(attrs.segments));
  for (std::size_t s = 0; s < segments.size(); ++s) {
    SegmentView& segment = segments[s];
    segment.first_operand = s * inputs;
    segment.first_result = s * outputs;
    for (std::size_t i = 0; i < inputs; ++i)
      segment.operands.push_back(map.operands[segment.first_operand + i]);
    for (std::size_t i = 0; i < outputs; ++i)
      segment.results.push_back(attrs.results[segment.first_result + i]);
  }
  return segments;
}

// Sets of values that elementwise computations tie to one layout.
class Ties {
 public:
  Ties(const Graph& graph, const Maps& maps) : graph_(graph), parent_(graph.size()) {
    std::iota(parent_.begin(), parent_.end(), 0u);
    for (const ValueId v : graph.ids()) {
      const Node& node = graph[v];
      for (std::size_t k = epilogue_begin(node); k < node.operands.size(); ++k)
        tie(v, node.operands[k]);
    }
    for (const auto& [map, segments] : maps)
      for (const SegmentView& segment : segments) tie_all(segment);
    for (const Update& update : graph.updates) tie(update.variable, update.value);
  }

  std::uint32_t set_of(ValueId v) const {
    std::uint32_t i = v.index;
    while (parent_[i] != i) i = parent_[i];
    return i;
  }

 private:
  void tie(ValueId a, ValueId b) {
    if (!is_weight_shape(graph_[a].type) || graph_[a].type.shape != graph_[b].type.shape) return;
    parent_[set_of(a)] = set_of(b);
  }

  void tie_all(const SegmentView& segment) {
    ValueId representative = kNoValue;
    for (const auto* values : {&segment.operands, &segment.holders})
      for (const ValueId v : *values) {
        if (graph_[v].type.shape != segment.results.front().shape) continue;
        if (representative != kNoValue) tie(v, representative);
        representative = v;
      }
  }

  const Graph& graph_;
  std::vector<std::uint32_t> parent_;
};

}  // namespace

Maps maps_of(const Graph& graph) {
  Maps maps;
  for (const ValueId v : graph.ids()) {
    const Node& node = graph[v];
    if (node.op == Op::map) {
      maps[v] = segments_of(node);
      if (std::get<MapAttrs>(node.attrs).results.size() == 1) maps[v].front().holders = {v};
    }
    if (node.op == Op::result && graph[node.operands[0]].op == Op::map) {
      std::vector<SegmentView>& segments = maps.at(node.operands[0]);
      const auto index = static_cast<std::size_t>(std::get<ResultAttrs>(node.attrs).index);
      segments[index / segments.front().results.size()].holders.push_back(v);
    }
  }
  return maps;
}

std::vector<Layout> variable_layouts(const Graph& graph, const Maps& maps,
                                     const std::set<std::string>& placed) {
  std::vector<Layout> layouts(graph.size(), Layout::plain);
  const auto mark_weight = [&](ValueId v) {
    if (!is_variable(graph[v]) || layouts[v.index] != Layout::plain) return;
    if (placed.contains(name_of(graph[v]))) return;
    const bool integers = graph[v].type.dtype == DType::i8;
    layouts[v.index] = integers ? Layout::o16x4 : Layout::o16;
  };
  for (const ValueId v : graph.ids())
    if (is_variable(graph[v])) layouts[v.index] = graph[v].type.layout;
  for (const Node& node : graph.nodes()) {
    if (node.op == Op::conv2d) mark_weight(node.operands[1]);
    if (node.op == Op::matmul && std::get<MatmulAttrs>(node.attrs).transpose_b &&
        !is_head(graph, node))
      mark_weight(node.operands[1]);
  }
  const Ties ties(graph, maps);
  std::vector<bool> blocked(graph.size(), false);
  for (const ValueId v : graph.ids())
    if (layouts[v.index] == Layout::o16) blocked[ties.set_of(v)] = true;
  for (const ValueId v : graph.ids())
    if (is_weight_shape(graph[v].type) && blocked[ties.set_of(v)]) mark_weight(v);
  return layouts;
}

std::vector<bool> wanted_o16(const Graph& graph, const Maps& maps,
                             const std::vector<Layout>& variables) {
  std::vector<bool> wanted(graph.size(), false);
  for (const Update& update : graph.updates)
    if (variables[update.variable.index] == Layout::o16) wanted[update.value.index] = true;
  for (auto map = maps.rbegin(); map != maps.rend(); ++map)
    for (const SegmentView& segment : map->second) {
      const auto has_shape = [&](ValueId v) {
        return graph[v].type.shape == segment.results.front().shape;
      };
      const bool any =
          std::ranges::any_of(segment.holders, [&](ValueId v) { return wanted[v.index]; }) ||
          std::ranges::any_of(segment.operands, [&](ValueId v) {
            return variables[v.index] == Layout::o16 && has_shape(v);
          });
      if (!any) continue;
      for (const ValueId v : segment.operands)
        if (has_shape(v)) wanted[v.index] = true;
    }
  return wanted;
}

}  // namespace taper::passes
