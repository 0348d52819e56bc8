#include "passes/fuse.h"

#include <utility>

#include "passes/passes.h"

namespace taper::passes {

ir::Graph fuse(ir::Graph graph, const PassOptions&) {
  using Step = ir::Graph (*)(ir::Graph);
  for (const Step step : {expand_structured, fuse_moments, fuse_losses, fuse_pools,
                          bypass_broadcasts, recompute_for_reductions, fuse_epilogues,
                          fuse_prologues, pair_reductions, split_reductions, fuse_maps, merge_maps})
    graph = step(std::move(graph));
  return graph;
}

DemandCopy::DemandCopy(const ir::Graph& from, Rule rule)
    : from_(from), rule_(std::move(rule)), now_(from.size(), ir::kNoValue) {
  to_.reserve(from.size());
}

ir::ValueId DemandCopy::operator()(ir::ValueId old) {
  if (bound(old)) return now_[old.index];
  if (const auto replaced = rule_(*this, old)) {
    bind(old, *replaced);
    return *replaced;
  }
  ir::Node node = from_[old];
  node.operands = (*this)(node.operands);
  const ir::ValueId now = to_.append(std::move(node));
  bind(old, now);
  return now;
}

ir::Operands DemandCopy::operator()(const ir::Operands& old) {
  ir::Operands now;
  now.reserve(old.size());
  for (const ir::ValueId v : old) now.push_back((*this)(v));
  return now;
}

ir::Graph DemandCopy::run() {
  for (std::size_t i = 0; i < from_.size(); ++i) (*this)(from_.id(i));
  for (const ir::Output& output : from_.outputs)
    to_.outputs.push_back({output.name, (*this)(output.value)});
  for (const ir::Update& update : from_.updates)
    to_.updates.push_back({(*this)(update.variable), (*this)(update.value)});
  return ir::canonical(std::move(to_));
}

Users users_of(const ir::Graph& graph) {
  Users users{std::vector<std::vector<ir::ValueId>>(graph.size()),
              std::vector<bool>(graph.size(), false)};
  for (std::size_t i = 0; i < graph.size(); ++i) {
    for (const ir::ValueId operand : graph[graph.id(i)].operands) {
      std::vector<ir::ValueId>& list = users.nodes[operand.index];
      if (list.empty() || list.back() != graph.id(i)) list.push_back(graph.id(i));
    }
  }
  for (const ir::Output& output : graph.outputs) users.escapes[output.value.index] = true;
  for (const ir::Update& update : graph.updates) users.escapes[update.value.index] = true;
  return users;
}

std::optional<double> splat_value(const ir::Node& node) {
  if (node.op != ir::Op::constant) return std::nullopt;
  if (node.type.dtype != ir::DType::f32 && node.type.dtype != ir::DType::boolean)
    return std::nullopt;
  const std::vector<double>& values = std::get<ir::ConstantAttrs>(node.attrs).values;
  if (values.size() != 1) return std::nullopt;
  return values.front();
}

}  // namespace taper::passes
