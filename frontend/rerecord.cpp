#include "frontend/rerecord.h"

#include <algorithm>

namespace taper {

Variables variables_of(const ir::Graph& graph) {
  Variables variables;
  for (const ir::Node& node : graph.nodes())
    if (is_variable(node))
      variables.emplace(name_of(node), std::make_shared<Variable>(name_of(node), node.type));
  return variables;
}

Rerecording::Rerecording(const ir::Graph& graph, const std::vector<std::string>& inputs,
                         const Variables& variables, Tape& to, Rule rule)
    : graph_(graph),
      inputs_(inputs),
      variables_(variables),
      to_(to),
      rule_(std::move(rule)),
      now_(graph.size(), ir::kNoValue) {}

std::vector<Tensor> Rerecording::run() {
  for (const std::string& name : inputs_) {
    const auto named = [&](const ir::Node& node) {
      return node.op == ir::Op::input && name_of(node) == name;
    };
    const auto& nodes = graph_.nodes();
    const auto at = std::ranges::find_if(nodes, named);
    if (at == nodes.end()) continue;
    now_[static_cast<std::size_t>(at - nodes.begin())] =
        to_.input(name, at->type.shape, at->type.dtype, at->location).id();
  }
  for (const ir::ValueId v : graph_.ids())
    if (!is_variable(graph_[v])) (*this)(v);
  std::vector<Tensor> outputs;
  for (const ir::Output& output : graph_.outputs) outputs.emplace_back(to_, (*this)(output.value));
  return outputs;
}

ir::ValueId Rerecording::operator()(ir::ValueId old) {
  ir::ValueId& now = now_[old.index];
  if (now != ir::kNoValue) return now;
  const std::optional<ir::ValueId> replaced = rule_ ? rule_(*this, old) : std::nullopt;
  const ir::ValueId made = replaced ? *replaced : copy(old);
  now_[old.index] = made;
  return made;
}

ir::ValueId Rerecording::copy(ir::ValueId old) {
  if (is_variable(graph_[old])) return variable(old);
  ir::Node node = graph_[old];
  for (ir::ValueId& operand : node.operands) operand = (*this)(operand);
  return to_.graph().append(std::move(node));
}

// Under the name that it had.
ir::ValueId Rerecording::variable(ir::ValueId old) {
  const ir::Node& node = graph_[old];
  const std::string& name = name_of(node);
  const auto& held = variables_.at(name);
  const bool scoped = name.size() > held->name().size() + 1 && name.ends_with(held->name());
  std::optional<Tape::Scope> scope;
  if (scoped) scope.emplace(to_, name.substr(0, name.size() - held->name().size() - 1));
  const Tensor tensor = node.op == ir::Op::parameter ? to_.parameter(held, node.location)
                                                     : to_.state(held, node.location);
  return tensor.id();
}

}  // namespace taper
