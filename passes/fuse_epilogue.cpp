#include <algorithm>

#include "passes/fuse.h"

namespace taper::passes {
namespace {

using namespace ir;

bool can_be_root(const Node& node) {
  const bool accumulates = node.type.dtype == DType::f32 || node.type.dtype == DType::i32;
  return takes_epilogue(node.op) && node.epilogue.empty() && accumulates;
}

// The depthwise kernel is none of these.
bool is_contraction(const Node& node) {
  if (node.op == Op::conv2d) return std::get<ConvAttrs>(node.attrs).groups == 1;
  return node.op == Op::matmul;
}

// What the kernel of `root` can store: convolutions and products of matrices quantize as well.
bool can_store(const Node& root, DType dtype) {
  return dtype == DType::f32 || (dtype == DType::u8 && is_contraction(root));
}

// A root, the elementwise nodes fused into it and the last of them, whose value the node gets.
struct Region {
  ValueId root, exit;
  std::set<ValueId> members;
};

class EpilogueFusion {
 public:
  explicit EpilogueFusion(const Graph& graph)
      : graph_(graph), users_(users_of(graph)), taken_(graph.size(), false) {}

  Graph run() {
    for (const ValueId v : graph_.ids())
      if (can_be_root(graph_[v])) grow(v);
    for (Region& region : regions_) absorb_producers(region);
    return rebuild();
  }

 private:
  // Adds users in topological order. Whenever nothing but the newest node leads out of the region,
  // that node is a possible exit; the last acceptable one wins.
  void grow(ValueId root) {
    Region region{root, root, {}};
    std::set<ValueId> members;
    std::set<ValueId> pending(users_.nodes[root.index].begin(), users_.nodes[root.index].end());
    ValueId newest = root;
    while (!pending.empty() && !users_.escapes[newest.index]) {
      const ValueId next = *pending.begin();
      if (!can_join(root, next)) break;
      pending.erase(pending.begin());
      members.insert(next);
      newest = next;
      if (pending.empty() && can_store(graph_[root], graph_[next].type.dtype)) {
        if (!fits(members, next, root)) break;
        region.exit = next;
        region.members = members;
      }
      // An escaping node inside the region is an exit or nothing.
      if (users_.escapes[next.index]) break;
      const std::vector<ValueId>& users = users_.nodes[next.index];
      pending.insert(users.begin(), users.end());
    }
    if (region.members.empty()) return;
    for (const ValueId v : region.members) taken_[v.index] = true;
    regions_.push_back(std::move(region));
  }

  bool can_join(ValueId root, ValueId v) const {
    const Node& node = graph_[v];
    const bool quantizes =
        node.op == Op::cast && is_contraction(graph_[root]) && node.type.dtype != DType::boolean;
    return (traits(node.op).elementwise || quantizes) && !taken_[v.index] &&
           node.type.shape == graph_[root].type.shape;
  }

  bool fits(const std::set<ValueId>& members, ValueId exit, ValueId root) const {
    const FusedExpr fused = build_expr(graph_, members, {exit}, root);
    const auto readable = [&](ValueId v) {
      return epilogue_access(graph_[root], graph_[v].type).has_value();
    };
    return static_cast<int>(fused.operands.size()) <= kMaxEpilogueOperands &&
           static_cast<int>(fused.expr.instrs.size()) <= kMaxEpilogueInstrs &&
           max_live(fused.expr, true) <= kMaxEpilogueLive &&
           std::all_of(fused.operands.begin(), fused.operands.end(), readable);
  }

  // Operands that only this epilogue reads are computed in it; predicates, being cheap and read as
  // a mask again and again, even when others need them too.
  void absorb_producers(Region& region) {
    bool changed = true;
    while (changed) {
      changed = false;
      const FusedExpr fused = build_expr(graph_, region.members, {region.exit}, region.root);
      for (const ValueId v : fused.operands) {
        if (!can_join(region.root, v)) continue;
        const bool exclusive = users_.all_among(region.members, v);
        if (!exclusive && graph_[v].type.dtype != DType::boolean) continue;
        std::set<ValueId> members = region.members;
        members.insert(v);
        if (!fits(members, region.exit, region.root)) continue;
        region.members = std::move(members);
        taken_[v.index] = exclusive;
        changed = true;
        break;
      }
    }
  }

  Graph rebuild() const {
    std::map<ValueId, const Region*> by_exit;
    for (const Region& region : regions_) by_exit[region.exit] = &region;
    return replace_each(graph_, by_exit, [&](DemandCopy& copy, ValueId exit, const Region* region) {
      FusedExpr fused = build_expr(graph_, region->members, {exit}, region->root);
      Node node = graph_[region->root];
      node.operands.insert(node.operands.end(), fused.operands.begin(), fused.operands.end());
      node.operands = copy(node.operands);
      node.type = graph_[exit].type;
      node.epilogue = std::move(fused.expr);
      return copy.to().append(std::move(node));
    });
  }

  const Graph& graph_;
  const Users users_;
  std::vector<bool> taken_;
  std::vector<Region> regions_;
};

}  // namespace

Graph fuse_epilogues(Graph graph) {
  return EpilogueFusion(graph).run();
}

}  // namespace taper::passes
