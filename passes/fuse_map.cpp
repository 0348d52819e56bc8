#include <algorithm>
#include <utility>

#include "ir/builder.h"
#include "passes/fuse.h"

namespace taper::passes {
namespace {

using namespace ir;

bool mappable(const Node& node) {
  return traits(node.op).elementwise || node.op == Op::cast || node.op == Op::random;
}

class MapFusion {
 public:
  explicit MapFusion(const Graph& graph)
      : graph_(graph), users_(users_of(graph)), group_(graph.size()), members_(graph.size()) {
    for (const ValueId v : graph.ids()) {
      group_[v.index] = v.index;
      members_[v.index] = {v};
    }
    mark_masks();
    rank_updates();
  }

  Graph run() {
    // That a merge fits is asked only where groups grow too large: it takes most of the time.
    merge_producers(false);
    bool dissolved = false;
    for (std::set<ValueId>& group : members_) {
      if (group.size() < 2 || fits(group)) continue;
      dissolve(group);
      dissolved = true;
    }
    if (dissolved) merge_producers(true);
    return DemandCopy(graph_, std::bind_front(&MapFusion::replace, this)).run();
  }

 private:
  // Consumers first: a producer goes where its value is needed last.
  void merge_producers(bool checked) {
    for (std::size_t i = graph_.size(); i-- > 0;) {
      if (!mappable(graph_[graph_.id(i)])) continue;
      for (const ValueId producer : graph_[graph_.id(i)].operands) {
        const std::size_t from = group_[producer.index], into = group_[i];
        if (can_merge(producer, graph_.id(i)) && (!checked || fit(from, into))) merge(from, into);
      }
    }
  }

  void dissolve(std::set<ValueId>& group) {
    for (const ValueId member : std::exchange(group, {})) {
      group_[member.index] = member.index;
      members_[member.index] = {member};
    }
  }

  // A random number depends on its element's row-major index, so its map is laid out plain. For 4-d
  // tensors what is computed from random numbers alone stays apart from the blocked activations.
  void mark_masks() {
    mask_.assign(graph_.size(), false);
    for (const ValueId v : graph_.ids()) {
      const Node& node = graph_[v];
      if (node.type.rank() != 4 || !mappable(node)) continue;
      bool from_random = node.op == Op::random;
      bool from_tensor = false;
      for (const ValueId operand : node.operands) {
        from_random = from_random || mask_[operand.index];
        from_tensor = from_tensor || (!mask_[operand.index] && graph_[operand].type.rank() > 0);
      }
      mask_[v.index] = from_random && !from_tensor;
    }
  }

  // Results in the order of the updates they feed: the same for every parameter of an optimizer.
  void rank_updates() {
    update_rank_.assign(graph_.size(), graph_.updates.size());
    for (std::size_t i = graph_.updates.size(); i-- > 0;)
      update_rank_[graph_.updates[i].value.index] = i;
  }

  bool can_merge(ValueId producer, ValueId consumer) const {
    const Node& node = graph_[producer];
    const bool inside_expr = node.type.dtype == DType::f32 || node.type.dtype == DType::boolean;
    if (!mappable(node) || !inside_expr) return false;
    if (node.type.shape != graph_[consumer].type.shape) return false;
    if (mask_[producer.index] != mask_[consumer.index]) return false;
    const std::size_t from = group_[producer.index];
    const std::size_t into = group_[consumer.index];
    return from != into && convex(from, into);
  }

  bool fit(std::size_t from, std::size_t into) const {
    std::set<ValueId> members = members_[into];
    members.insert(members_[from].begin(), members_[from].end());
    return fits(members);
  }

  bool fits(const std::set<ValueId>& members) const {
    const std::vector<ValueId> results = results_of(members);
    const FusedExpr fused = build_expr(graph_, members, results);
    return static_cast<int>(fused.operands.size()) <= kMaxMapInputs &&
           computations(fused.expr) <= kMaxMapInstrs && max_live(fused.expr, false) <= kMaxMapLive;
  }

  // No path from one group to the other through a third.
  bool convex(std::size_t from, std::size_t into) const {
    std::vector<bool> seen(graph_.size(), false);
    std::vector<std::size_t> pending;
    const auto push_users = [&](std::size_t group) {
      for (const ValueId member : members_[group]) {
        for (const ValueId user : users_.nodes[member.index]) {
          const std::size_t next = group_[user.index];
          if (next == group || (group == from && next == into) || seen[next]) continue;
          seen[next] = true;
          pending.push_back(next);
        }
      }
    };
    push_users(from);
    while (!pending.empty()) {
      const std::size_t group = pending.back();
      pending.pop_back();
      if (group == into) return false;
      push_users(group);
    }
    return true;
  }

  void merge(std::size_t from, std::size_t into) {
    for (const ValueId member : members_[from]) group_[member.index] = into;
    members_[into].merge(members_[from]);
    members_[from].clear();
  }

  std::vector<ValueId> results_of(const std::set<ValueId>& members) const {
    std::vector<ValueId> results;
    for (const ValueId v : members)
      if (!users_.all_among(members, v)) results.push_back(v);
    std::stable_sort(results.begin(), results.end(), [&](ValueId a, ValueId b) {
      return update_rank_[a.index] < update_rank_[b.index];
    });
    return results;
  }

  std::optional<ValueId> replace(DemandCopy& copy, ValueId old) const {
    const Node& node = graph_[old];
    if (mappable(node)) {
      emit_group(copy, members_[group_[old.index]]);
      return copy(old);
    }
    if (node.op != Op::broadcast_to) return std::nullopt;
    ValueId source = node.operands[0];
    while (graph_[source].op == Op::broadcast_to) source = graph_[source].operands[0];
    FusedExpr repeat = build_expr(graph_, {}, {source});
    return emit(copy, std::move(repeat), {old});
  }

  void emit_group(DemandCopy& copy, const std::set<ValueId>& members) const {
    const std::vector<ValueId> results = results_of(members);
    const ValueId map = emit(copy, build_expr(graph_, members, results), results);
    if (results.size() == 1) {
      copy.map(results.front(), map);
    } else {
      std::int64_t index = 0;
      for (const ValueId v : results)
        copy.map(v, Builder(copy.to(), graph_[v].location).result(map, index++));
    }
    // What only the group itself uses has no value of its own any more.
    for (const ValueId member : members)
      if (copy[member] == kNoValue) copy.map(member, map);
  }

  ValueId emit(DemandCopy& copy, FusedExpr fused, const std::vector<ValueId>& results) const {
    MapAttrs attrs{.expr = std::move(fused.expr), .segments = 1};
    for (const ValueId v : results) attrs.results.push_back(graph_[v].type);
    const TensorType first = attrs.results.front();
    const Location& where = graph_[results.front()].location;
    return copy.to().append({Op::map, first, copy(fused.operands), std::move(attrs), {}, where});
  }

  const Graph& graph_;
  const Users users_;
  std::vector<std::size_t> group_;          // by value
  std::vector<std::set<ValueId>> members_;  // by group
  std::vector<bool> mask_;
  std::vector<std::size_t> update_rank_;
};

}  // namespace

Graph fuse_maps(Graph graph) {
  return MapFusion(graph).run();
}

}  // namespace taper::passes
