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

ir::ValueId DemandCopy::operator()(ir::ValueId old) {
  if (const ir::ValueId now = (*this)[old]; now != ir::kNoValue) return now;
  if (const auto replaced = rule_(*this, old)) {
    map(old, *replaced);
    return *replaced;
  }
  for (const ir::ValueId operand : from()[old].operands) (*this)(operand);
  return copy(old);
}

ir::Operands DemandCopy::operator()(const ir::Operands& old) {
  ir::Operands now;
  now.reserve(old.size());
  for (const ir::ValueId v : old) now.push_back((*this)(v));
  return now;
}

ir::Graph DemandCopy::run() {
  for (const ir::ValueId old : from().ids()) (*this)(old);
  return finish();
}

Users users_of(const ir::Graph& graph) {
  Users users{std::vector<std::vector<ir::ValueId>>(graph.size()),
              std::vector<bool>(graph.size(), false)};
  for (const ir::ValueId user : graph.ids()) {
    for (const ir::ValueId operand : graph[user].operands) {
      std::vector<ir::ValueId>& list = users.nodes[operand.index];
      if (list.empty() || list.back() != user) list.push_back(user);
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
