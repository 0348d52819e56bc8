#include "ir/graph.h"

#include <utility>

namespace taper::ir {
namespace {

// Depth-first post-order of what is reachable. Iterative: graphs are deep.
class Canonicalizer {
 public:
  explicit Canonicalizer(Graph from) : from_(std::move(from)), now_(from_.size(), kNoValue) {
    order_.reserve(from_.size());
  }

  Graph run() && {
    for (const Output& output : from_.outputs) visit(output.value);
    for (const Update& update : from_.updates) {
      visit(update.variable);
      visit(update.value);
    }
    if (order_ == from_.ids()) return std::move(from_);
    return std::move(*this).renumbered();
  }

 private:
  struct Visit {
    ValueId id;
    std::size_t next = 0;  // the operand to look at next
  };

  void visit(ValueId root) {
    if (root.index >= from_.size()) throw Error("canonical: there is no value %{}", root.index);
    stack_.push_back({root});
    while (!stack_.empty()) {
      Visit& top = stack_.back();
      const Node& node = from_[top.id];
      if (now_[top.id.index] != kNoValue) {
        stack_.pop_back();
      } else if (top.next < node.operands.size()) {
        const ValueId operand = node.operands[top.next++];
        check_order(operand, top.id);
        if (now_[operand.index] == kNoValue) stack_.push_back({operand});
      } else {
        now_[top.id.index] = from_.id(order_.size());
        order_.push_back(top.id);
        stack_.pop_back();
      }
    }
  }

  void check_order(ValueId operand, ValueId user) const {
    if (operand < user) return;
    throw Error(from_[user].location, "canonical: operand %{} of %{} is not a value before it",
                operand.index, user.index);
  }

  Graph renumbered() && {
    Graph to;
    to.reserve(order_.size());
    for (const ValueId id : order_) {
      Node& node = from_[id];
      for (ValueId& operand : node.operands) operand = now_[operand.index];
      to.append(std::move(node));
    }
    to.outputs = std::move(from_.outputs);
    for (Output& output : to.outputs) output.value = now_[output.value.index];
    to.updates = std::move(from_.updates);
    for (Update& update : to.updates)
      update = {now_[update.variable.index], now_[update.value.index]};
    return to;
  }

  Graph from_;
  std::vector<ValueId> now_;    // by old value
  std::vector<ValueId> order_;  // the old values in their new order
  std::vector<Visit> stack_;
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

std::vector<ValueId> Graph::ids() const {
  std::vector<ValueId> all;
  for (std::size_t i = 0; i < size(); ++i) all.push_back(id(i));
  return all;
}

bool is_variable(const Node& node) {
  return node.op == Op::parameter || node.op == Op::state;
}
const std::string& name_of(const Node& node) {
  return std::get<NameAttrs>(node.attrs).name;
}

std::vector<int> use_counts(const Graph& graph) {
  std::vector<int> counts(graph.size(), 0);
  for (const Node& node : graph.nodes())
    for (const ValueId operand : node.operands) ++counts[operand.index];
  for (const Output& output : graph.outputs) ++counts[output.value.index];
  for (const Update& update : graph.updates) {
    ++counts[update.variable.index];
    ++counts[update.value.index];
  }
  return counts;
}

Graph canonical(Graph graph) {
  return Canonicalizer(std::move(graph)).run();
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

std::optional<ElementCheck> element_check(const Graph& graph, const Node& node) {
  const auto below = [](Dim count) { return ElementCheck{1, {.low = 0, .high = count}}; };
  const auto extent_of_first = [&](std::size_t axis) {
    return graph[node.operands[0]].type.shape[axis];
  };
  if (node.op == Op::in_range) return ElementCheck{0, std::get<RangeAttrs>(node.attrs)};
  if (node.op == Op::gather) return below(extent_of_first(0));
  if (node.op == Op::gather_backward) return below(node.type.shape[0]);
  if (node.op == Op::cross_entropy || node.op == Op::cross_entropy_backward)
    return below(extent_of_first(1));
  return std::nullopt;
}

}  // namespace taper::ir
