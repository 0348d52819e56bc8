// Which variables are stored in blocks, and which values should be produced to match.
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

// Sets of values that elementwise computations tie to one layout.
class Ties {
 public:
  explicit Ties(const Graph& graph) : graph_(graph), parent_(graph.size()) {
    std::iota(parent_.begin(), parent_.end(), 0u);
    const auto holders = map_results(graph);
    for (std::size_t i = 0; i < graph.size(); ++i) {
      const ValueId v = graph.id(i);
      const Node& node = graph[v];
      for (std::size_t k = epilogue_begin(node); k < node.operands.size(); ++k) {
        tie(v, node.operands[k]);
      }
      if (node.op == Op::map) tie_segments(v, holders);
    }
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

  void tie_segments(
      ValueId map, const std::map<std::pair<ValueId, std::size_t>, std::vector<ValueId>>& holders) {
    for (const SegmentView& segment : segments_of(graph_[map])) {
      ValueId representative = kNoValue;
      const auto join = [&](ValueId v) {
        if (graph_[v].type.shape != segment.results.front().shape) return;
        if (representative != kNoValue) tie(v, representative);
        representative = v;
      };
      for (const ValueId operand : segment.operands) join(operand);
      for (std::size_t i = 0; i < segment.results.size(); ++i) {
        const auto it = holders.find({map, segment.first_result + i});
        if (it == holders.end()) continue;
        for (const ValueId holder : it->second) join(holder);
      }
    }
  }

  const Graph& graph_;
  std::vector<std::uint32_t> parent_;
};

}  // namespace

std::vector<SegmentView> segments_of(const Node& map) {
  const auto& attrs = std::get<MapAttrs>(map.attrs);
  const auto inputs = static_cast<std::size_t>(attrs.expr.inputs);
  const std::size_t outputs = attrs.expr.outputs.size();
  std::vector<SegmentView> segments(static_cast<std::size_t>(attrs.segments));
  for (std::size_t s = 0; s < segments.size(); ++s) {
    SegmentView& segment = segments[s];
    segment.first_operand = s * inputs;
    segment.first_result = s * outputs;
    for (std::size_t i = 0; i < inputs; ++i) {
      segment.operands.push_back(map.operands[segment.first_operand + i]);
    }
    for (std::size_t i = 0; i < outputs; ++i) {
      segment.results.push_back(attrs.results[segment.first_result + i]);
    }
  }
  return segments;
}

std::map<std::pair<ValueId, std::size_t>, std::vector<ValueId>> map_results(const Graph& graph) {
  std::map<std::pair<ValueId, std::size_t>, std::vector<ValueId>> holders;
  for (std::size_t i = 0; i < graph.size(); ++i) {
    const Node& node = graph[graph.id(i)];
    if (node.op == Op::map && std::get<MapAttrs>(node.attrs).results.size() == 1) {
      holders[{graph.id(i), 0}].push_back(graph.id(i));
    }
    if (node.op == Op::result && graph[node.operands[0]].op == Op::map) {
      const std::int64_t index = std::get<ResultAttrs>(node.attrs).index;
      holders[{node.operands[0], static_cast<std::size_t>(index)}].push_back(graph.id(i));
    }
  }
  return holders;
}

std::vector<Layout> variable_layouts(const Graph& graph, const std::set<std::string>& placed) {
  std::vector<Layout> layouts(graph.size(), Layout::plain);
  const auto mark_weight = [&](ValueId v) {
    if (!is_variable(graph[v]) || layouts[v.index] != Layout::plain) return;
    if (placed.contains(std::get<NameAttrs>(graph[v].attrs).name)) return;
    const bool integers = graph[v].type.dtype == DType::i8;
    layouts[v.index] = integers ? Layout::o16x4 : Layout::o16;
  };
  for (std::size_t i = 0; i < graph.size(); ++i) {
    const Node& node = graph[graph.id(i)];
    if (is_variable(node)) layouts[i] = node.type.layout;
  }
  for (const Node& node : graph.nodes()) {
    if (node.op == Op::conv2d) mark_weight(node.operands[1]);
    if (node.op == Op::matmul && std::get<MatmulAttrs>(node.attrs).transpose_b &&
        !is_head(graph, node)) {
      mark_weight(node.operands[1]);
    }
  }
  const Ties ties(graph);
  std::vector<bool> blocked(graph.size(), false);
  for (std::size_t i = 0; i < graph.size(); ++i) {
    if (layouts[i] == Layout::o16) blocked[ties.set_of(graph.id(i))] = true;
  }
  for (std::size_t i = 0; i < graph.size(); ++i) {
    if (is_weight_shape(graph[graph.id(i)].type) && blocked[ties.set_of(graph.id(i))]) {
      mark_weight(graph.id(i));
    }
  }
  return layouts;
}

std::vector<bool> wanted_o16(const Graph& graph, const std::vector<Layout>& variables) {
  std::vector<bool> wanted(graph.size(), false);
  for (const Update& update : graph.updates) {
    if (variables[update.variable.index] == Layout::o16) wanted[update.value.index] = true;
  }
  const auto holders = map_results(graph);
  for (std::size_t i = graph.size(); i-- > 0;) {
    const ValueId map = graph.id(i);
    if (graph[map].op != Op::map) continue;
    for (const SegmentView& segment : segments_of(graph[map])) {
      bool any = false;
      for (const ValueId v : segment.operands) {
        any = any || (variables[v.index] == Layout::o16 &&
                      graph[v].type.shape == segment.results.front().shape);
      }
      for (std::size_t k = 0; k < segment.results.size(); ++k) {
        const auto it = holders.find({map, segment.first_result + k});
        if (it == holders.end()) continue;
        for (const ValueId holder : it->second) any = any || wanted[holder.index];
      }
      if (!any) continue;
      for (const ValueId v : segment.operands) {
        if (graph[v].type.shape == segment.results.front().shape) wanted[v.index] = true;
      }
    }
  }
  return wanted;
}

}  // namespace taper::passes
