// Reductions that compute what they reduce.
#include <algorithm>
#include <utility>

#include "ir/node_type.h"
#include "passes/fuse.h"

namespace taper::passes {
namespace {

using namespace ir;

// Costs less to compute again than to store and load, and takes few registers.
constexpr Op kCheap[] = {Op::add,   Op::sub,     Op::mul,     Op::neg,   Op::abs, Op::relu,
                         Op::relu6, Op::maximum, Op::minimum, Op::eq,    Op::ne,  Op::lt,
                         Op::le,    Op::gt,      Op::ge,      Op::select};
bool is_cheap(const Node& node) {
  return std::ranges::find(kCheap, node.op) != std::end(kCheap);
}

bool is_plain_reduce(const Node& node) {
  return node.op == Op::reduce && std::get<ReduceAttrs>(node.attrs).prologue == Expr{};
}

// The values that are made of one tensor that is stored anyway and of what repeats along it, by
// cheap ops, and that reductions read: computing them again costs nothing that counts.
class Recomputation {
 public:
  explicit Recomputation(const Graph& graph)
      : graph_(graph), users_(users_of(graph)), cost_(graph.size(), 0), copy_(graph) {
    for (const ValueId v : graph.ids()) cost_[v.index] = cost_of(v);
  }

  Graph run() {
    if (std::ranges::count(cost_, 0) == std::ssize(cost_)) return graph_;
    for (const ValueId v : graph_.ids()) {
      if (cost_[v.index] > 0) continue;
      again_.clear();
      copy_.map(v, appended(v));
    }
    return copy_.finish();
  }

 private:
  // Instructions from what is stored to the value; 0 for a value that is not computed again.
  int cost_of(ValueId v) const {
    const Node& node = graph_[v];
    if (node.type.dtype != DType::f32 || !is_cheap(node) || !repeated_for_reductions(v)) return 0;
    ValueId tensor = kNoValue;
    for (const ValueId operand : node.operands) {
      if (graph_[operand].type.shape != node.type.shape || operand == tensor) continue;
      if (tensor != kNoValue) return 0;
      tensor = operand;
    }
    if (tensor == kNoValue || !(cost_[tensor.index] > 0 || is_stored(tensor))) return 0;
    const int cost = cost_[tensor.index] + 1;
    return cost <= kMaxRecomputedInstrs ? cost : 0;
  }

  // A value that an op besides elementwise ones made, unless only an epilogue would read it.
  bool is_stored(ValueId v) const {
    const Node& node = graph_[v];
    if (traits(node.op).elementwise || node.op == Op::cast || node.op == Op::random) return false;
    return !takes_epilogue(node.op) || users_.nodes[v.index].size() > 1;
  }

  bool repeated_for_reductions(ValueId v) const {
    const std::vector<ValueId>& users = users_.nodes[v.index];
    if (users_.escapes[v.index] || users.size() < 2) return false;
    const auto in_expression = [&](ValueId u) {
      return is_plain_reduce(graph_[u]) ||
             (traits(graph_[u].op).elementwise && graph_[u].type.shape == graph_[v].type.shape);
    };
    const auto reduces = [&](ValueId u) {
      const std::vector<ValueId>& next = users_.nodes[u.index];
      return is_plain_reduce(graph_[u]) ||
             (next.size() == 1 && is_plain_reduce(graph_[next.front()]));
    };
    return std::all_of(users.begin(), users.end(), in_expression) &&
           std::any_of(users.begin(), users.end(), reduces);
  }

  ValueId appended(ValueId old) {
    Node node = graph_[old];
    for (ValueId& operand : node.operands) operand = value(operand);
    return copy_.to().append(std::move(node));
  }
  ValueId value(ValueId old) {
    if (cost_[old.index] == 0) return copy_[old];
    if (const auto it = again_.find(old); it != again_.end()) return it->second;
    return again_[old] = appended(old);
  }

  const Graph& graph_;
  const Users users_;
  std::vector<int> cost_;
  Rewriter copy_;
  std::map<ValueId, ValueId> again_;  // what has been computed again for the present reader
};

class PrologueFusion {
 public:
  explicit PrologueFusion(const Graph& graph) : graph_(graph), users_(users_of(graph)) {
    for (const ValueId v : graph.ids()) {
      if (!is_plain_reduce(graph[v])) continue;
      std::set<ValueId> members = grow(v);
      if (!members.empty()) members_[v] = std::move(members);
    }
  }

  Graph run() const {
    return replace_each(graph_, members_, std::bind_front(&PrologueFusion::fused, this));
  }

 private:
  const Shape& shape_of(ValueId reduce) const {
    return graph_[graph_[reduce].operands[0]].type.shape;
  }

  // What the reduction alone reads, from its operand upwards.
  std::set<ValueId> grow(ValueId reduce) const {
    std::set<ValueId> members;
    Operands candidates{graph_[reduce].operands[0]};
    while (!candidates.empty()) {
      const ValueId v = candidates.back();
      candidates.pop_back();
      if (members.contains(v) || !can_join(reduce, v, members)) continue;
      std::set<ValueId> more = members;
      more.insert(v);
      const FusedExpr expr = expression(reduce, more);
      if (!fits(reduce, expr)) continue;
      members = std::move(more);
      candidates = expr.operands;
    }
    return members;
  }

  bool can_join(ValueId reduce, ValueId v, const std::set<ValueId>& members) const {
    const Node& node = graph_[v];
    const auto inside = [&](ValueId u) { return u == reduce || members.contains(u); };
    const std::vector<ValueId>& users = users_.nodes[v.index];
    return is_cheap(node) && node.type.shape == shape_of(reduce) && !users_.escapes[v.index] &&
           std::all_of(users.begin(), users.end(), inside);
  }

  FusedExpr expression(ValueId reduce, const std::set<ValueId>& members) const {
    return build_expr(graph_, members, {graph_[reduce].operands[0]});
  }

  bool fits(ValueId reduce, const FusedExpr& fused) const {
    const Shape& shape = shape_of(reduce);
    const auto& axes = std::get<ReduceAttrs>(graph_[reduce].attrs).axes;
    std::size_t tensors = 0;
    for (const ValueId v : fused.operands) {
      const TensorType& type = graph_[v].type;
      if (type.shape == shape)
        ++tensors;
      else if (!repeats_along(type, shape, axes))
        return false;
    }
    return tensors >= 1 && tensors <= kMaxPrologueTensors &&
           fused.operands.size() <= kMaxPrologueOperands &&
           computations(fused.expr) <= kMaxPrologueInstrs &&
           max_live(fused.expr, false) <= kMaxPrologueLive;
  }

  ValueId fused(DemandCopy& copy, ValueId reduce, const std::set<ValueId>& members) const {
    FusedExpr prologue = expression(reduce, members);
    tensor_first(prologue, shape_of(reduce));
    Node node = graph_[reduce];
    Operands operands = prologue.operands;
    operands.insert(operands.end(), node.operands.begin() + 1, node.operands.end());
    node.operands = copy(operands);
    std::get<ReduceAttrs>(node.attrs).prologue = std::move(prologue.expr);
    return copy.to().append(std::move(node));
  }

  // Operand 0 has the shape that is reduced.
  void tensor_first(FusedExpr& fused, const Shape& shape) const {
    std::int16_t first = 0;
    while (graph_[fused.operands[static_cast<std::size_t>(first)]].type.shape != shape) ++first;
    if (first == 0) return;
    std::swap(fused.operands[0], fused.operands[static_cast<std::size_t>(first)]);
    const auto exchange = [&](std::int16_t& arg) {
      if (arg == 0 || arg == first) arg = static_cast<std::int16_t>(first - arg);
    };
    for (ExprInstr& instr : fused.expr.instrs)
      for (std::int16_t& arg : instr.args) exchange(arg);
    for (std::int16_t& output : fused.expr.outputs) exchange(output);
  }

  const Graph& graph_;
  const Users users_;
  std::map<ValueId, std::set<ValueId>> members_;  // by reduction
};

}  // namespace

Graph recompute_for_reductions(Graph graph) {
  return Recomputation(graph).run();
}

Graph fuse_prologues(Graph graph) {
  return PrologueFusion(graph).run();
}

}  // namespace taper::passes
