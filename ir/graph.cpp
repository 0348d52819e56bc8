#include "ir/graph.h"

#include <fmt/format.h>

#include <utility>

namespace taper::ir {
namespace {

// Copies what is reachable, in depth-first post-order. Iterative: graphs are deep.
class Canonicalizer {
 public:
  explicit Canonicalizer(const Graph& from) : from_(from), now_(from.size(), kNoValue) {}

  Graph run() {
    for (const Output& output : from_.outputs) {
      to_.outputs.push_back({output.name, copy(output.value)});
    }
    for (const Update& update : from_.updates) {
      const ValueId variable = copy(update.variable);
      const ValueId value = copy(update.value);
      to_.updates.push_back({variable, value});
    }
    return std::move(to_);
  }

 private:
  struct Visit {
    ValueId id;
    std::size_t next = 0;  // the operand to look at next
  };

  ValueId copy(ValueId root) {
    if (root.index >= from_.size()) {
      throw Error(fmt::format("canonical: there is no value %{}", root.index));
    }
    std::vector<Visit> stack{{root}};
    while (!stack.empty()) {
      Visit& visit = stack.back();
      const Node& node = from_[visit.id];
      if (now_[visit.id.index] != kNoValue) {
        stack.pop_back();
      } else if (visit.next < node.operands.size()) {
        const ValueId operand = node.operands[visit.next++];
        check_order(operand, visit.id);
        stack.push_back({operand});
      } else {
        append(visit.id);
        stack.pop_back();
      }
    }
    return now_[root.index];
  }

  void check_order(ValueId operand, ValueId user) const {
    if (operand < user) return;
    throw Error(fmt::format("canonical: operand %{} of %{} is not a value before it", operand.index,
                            user.index),
                from_[user].location);
  }

  void append(ValueId id) {
    Node node = from_[id];
    for (ValueId& operand : node.operands) operand = now_[operand.index];
    now_[id.index] = to_.append(std::move(node));
  }

  const Graph& from_;
  Graph to_;
  std::vector<ValueId> now_;
};

}  // namespace

bool Node::operator==(const Node& other) const {
  return op == other.op && type == other.type && operands == other.operands &&
         attrs == other.attrs && epilogue == other.epilogue;
}

ValueId Graph::append(Node node) {
  nodes_.push_back(std::move(node));
  return id(nodes_.size() - 1);
}

bool is_variable(const Node& node) {
  return node.op == Op::parameter || node.op == Op::state;
}
const std::string& name_of(const Node& node) {
  return std::get<NameAttrs>(node.attrs).name;
}

std::vector<int> use_counts(const Graph& graph) {
  std::vector<int> counts(graph.size(), 0);
  for (const Node& node : graph.nodes()) {
    for (const ValueId operand : node.operands) ++counts[operand.index];
  }
  for (const Output& output : graph.outputs) ++counts[output.value.index];
  for (const Update& update : graph.updates) {
    ++counts[update.variable.index];
    ++counts[update.value.index];
  }
  return counts;
}

Graph canonical(const Graph& graph) {
  return Canonicalizer(graph).run();
}

std::vector<TensorType> result_types(const Graph& graph, const Node& node) {
  if (const auto* map = std::get_if<MapAttrs>(&node.attrs)) return map->results;
  if (const auto* kernel = std::get_if<KernelAttrs>(&node.attrs)) return kernel->results;
  if (node.op == Op::cross_entropy_fused) return {node.type, graph[node.operands[0]].type};
  if (node.op == Op::max_pool2d_with_indices)
    return {node.type, {DType::u8, node.type.shape, node.type.layout}};
  const auto* reduce = std::get_if<ReduceAttrs>(&node.attrs);
  if (reduce != nullptr && reduce->prologue.outputs.size() > 1)
    return std::vector<TensorType>(reduce->prologue.outputs.size(), node.type);
  return {node.type};
}

}  // namespace taper::ir
