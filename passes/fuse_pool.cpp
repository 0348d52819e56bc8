// A step of `fuse`: max pooling with its gradient.
#include <algorithm>
#include <map>
#include <utility>

#include "passes/fuse.h"
#include "passes/pattern.h"

namespace taper::passes {
namespace {

using namespace ir;

const PoolAttrs& pool_attrs(const Node& node) {
  return std::get<PoolAttrs>(node.attrs);
}

bool has_indices(const Node& pool) {
  const PoolAttrs& attrs = pool_attrs(pool);
  return attrs.kind == PoolKind::max && pool.type.dtype == DType::f32 &&
         attrs.kernel[0] * attrs.kernel[1] <= 255;
}

class PoolFusion {
 public:
  explicit PoolFusion(const Graph& graph) : graph_(graph), users_(users_of(graph)) {
    for (const ValueId v : graph.ids())
      if (graph[v].op == Op::pool2d && has_indices(graph[v])) pair_up(v);
  }

  Graph run() {
    if (pool_of_.empty()) return graph_;
    return DemandCopy(graph_, std::bind_front(&PoolFusion::replace, this)).run();
  }

 private:
  void pair_up(ValueId pool) {
    const ValueId x = graph_[pool].operands[0];
    std::vector<std::pair<ValueId, ValueId>> gradients;  // and what is left of it by a ReLU's mask
    for (const ValueId user : users_.nodes[x.index]) {
      const Node& gradient = graph_[user];
      if (gradient.op != Op::pool2d_backward || gradient.operands[0] != x ||
          gradient.operands[1] == x || pool_attrs(gradient) != pool_attrs(graph_[pool]))
        continue;
      pool_of_[user] = pool;
      gradients.emplace_back(user, positive_part(user, x));
    }
    if (gradients.empty()) return;
    // The elements that a gradient reaches equal their window's max: that may be asked instead.
    PoolAttrs attrs = pool_attrs(graph_[pool]);
    attrs.positive = std::all_of(gradients.begin(), gradients.end(),
                                 [](const auto& pair) { return pair.second != kNoValue; });
    for (const auto& [gradient, masked] : gradients)
      if (attrs.positive) pool_of_[masked] = pool;
    indexed_[pool] = {kNoValue, attrs};
  }

  // select(x > 0, gradient, 0), when nothing else uses the gradient.
  ValueId positive_part(ValueId gradient, ValueId x) const {
    static const Pattern pattern = parse_pattern("select(gt(x, 0), g, 0)");
    const std::vector<ValueId>& users = users_.nodes[gradient.index];
    if (users.size() != 1 || users_.escapes[gradient.index]) return kNoValue;
    Bindings bindings;
    const bool fits = match(graph_, users[0], pattern, bindings) && bindings['x'] == x &&
                      bindings['g'] == gradient;
    return fits ? users[0] : kNoValue;
  }

  std::optional<ValueId> replace(DemandCopy& copy, ValueId old) {
    if (indexed_.contains(old)) return result(copy, old, 0);
    const auto pool = pool_of_.find(old);
    if (pool == pool_of_.end()) return std::nullopt;
    const Node& node = graph_[old];
    const bool masked = node.op == Op::select;
    return unpool(copy, pool->second, masked ? graph_[node.operands[1]] : node);
  }

  ValueId result(DemandCopy& copy, ValueId pool, std::int64_t index) {
    Builder builder(copy.to(), graph_[pool].location);
    auto& [node, attrs] = indexed_.at(pool);
    if (node == kNoValue) {
      const ValueId x = copy(graph_[pool].operands[0]);
      node = builder.add_node(Op::max_pool2d_with_indices, {x}, attrs);
    }
    return builder.result(node, index);
  }

  ValueId unpool(DemandCopy& copy, ValueId pool, const Node& gradient) {
    PoolAttrs attrs = pool_attrs(gradient);
    attrs.shape = gradient.type.shape;
    const ValueId indices = result(copy, pool, 1);
    const ValueId dy = copy(gradient.operands[1]);
    return Builder(copy.to(), gradient.location).add_node(Op::max_unpool2d, {indices, dy}, attrs);
  }

  const Graph& graph_;
  const Users users_;
  std::map<ValueId, ValueId> pool_of_;  // by the gradient, masked or not
  // By the pool: its node with indices, once it is made, and that node's attributes.
  std::map<ValueId, std::pair<ValueId, PoolAttrs>> indexed_;
};

}  // namespace

Graph fuse_pools(Graph graph) {
  return PoolFusion(graph).run();
}

}  // namespace taper::passes
