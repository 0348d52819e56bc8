// Reductions of the same tensors side by side.
#include <algorithm>

#include "ir/builder.h"
#include "passes/fuse.h"

namespace taper::passes {
namespace {

using namespace ir;

const ReduceAttrs& attrs_of(const Node& node) {
  return std::get<ReduceAttrs>(node.attrs);
}

// The inputs of both expressions, each once, and the outputs of `a`, then those of `b`.
FusedExpr join(const FusedExpr& a, const FusedExpr& b) {
  FusedExpr joined;
  const auto inputs_of = [&](const FusedExpr& part) {
    std::vector<std::int16_t> inputs;
    for (const ValueId v : part.operands) {
      const auto it = std::ranges::find(joined.operands, v);
      inputs.push_back(static_cast<std::int16_t>(it - joined.operands.begin()));
      if (it == joined.operands.end()) joined.operands.push_back(v);
    }
    return inputs;
  };
  const auto of_a = inputs_of(a), of_b = inputs_of(b);
  joined.expr.inputs = std::ssize(joined.operands);
  append(joined.expr, a.expr, of_a);
  append(joined.expr, b.expr, of_b);
  return joined;
}

class ReductionPairs {
 public:
  explicit ReductionPairs(const Graph& graph) : graph_(graph) {
    for (const ValueId v : graph.ids())
      if (is_candidate(v)) find_partner(v);
  }

  Graph run() const {
    return replace_each(
        graph_, pair_of_,
        [&](DemandCopy& copy, ValueId old, const Pair& pair) {
          emit(copy, pair);
          return copy(old);
        });
  }

 private:
  struct Pair {
    ValueId first, second;
  };

  // Blocks of channels are whole, so that the results need not move to another layout.
  bool is_candidate(ValueId v) const {
    const Node& node = graph_[v];
    if (node.op != Op::reduce || node.epilogue != Expr{}) return false;
    const Shape& shape = graph_[node.operands[0]].type.shape;
    return attrs_of(node).prologue.outputs.size() <= 1 && shape.size() > 1 &&
           shape[1] % kBlock == 0;
  }

  static FusedExpr prologue_of(const Node& node) {
    const Expr& prologue = attrs_of(node).prologue;
    if (prologue != Expr{}) return {prologue, node.operands};
    return {{.inputs = 1, .instrs = {}, .outputs = {0}}, node.operands};
  }

  FusedExpr joined(const Pair& pair) const {
    return join(prologue_of(graph_[pair.first]), prologue_of(graph_[pair.second]));
  }

  void find_partner(ValueId second) {
    for (const ValueId first : unpaired_) {
      const Pair pair{first, second};
      if (!alike(pair) || would_be_cyclic(pair)) continue;
      pair_of_[first] = pair_of_[second] = pair;
      std::erase(unpaired_, first);
      return;
    }
    unpaired_.push_back(second);
  }

  // The same walk, and a tensor that is read once instead of twice.
  bool alike(const Pair& pair) const {
    const Node &a = graph_[pair.first], &b = graph_[pair.second];
    const ReduceAttrs &x = attrs_of(a), &y = attrs_of(b);
    const Shape& shape = graph_[a.operands[0]].type.shape;
    if (x.kind != y.kind || x.axes != y.axes || x.keep_dims != y.keep_dims ||
        shape != graph_[b.operands[0]].type.shape)
      return false;
    const auto shared = [&](ValueId v) {
      return graph_[v].type.shape == shape && std::ranges::count(b.operands, v) > 0;
    };
    return std::any_of(a.operands.begin(), a.operands.end(), shared) &&
           joined(pair).operands.size() <= kMaxPrologueOperands;
  }

  // Whether either of them, or what is one with a value that it needs, needs the other.
  bool would_be_cyclic(const Pair& pair) const {
    std::vector<ValueId> pending{pair.first, pair.second};
    std::vector<bool> seen(graph_.size(), false);
    while (!pending.empty()) {
      const ValueId next = pending.back();
      pending.pop_back();
      Operands needed = graph_[next].operands;
      if (const auto it = pair_of_.find(next); it != pair_of_.end())
        for (const ValueId v : {it->second.first, it->second.second}) needed.push_back(v);
      for (const ValueId v : needed) {
        if (v == pair.first || v == pair.second) return true;
        if (seen[v.index]) continue;
        seen[v.index] = true;
        pending.push_back(v);
      }
    }
    return false;
  }

  void emit(DemandCopy& copy, const Pair& pair) const {
    FusedExpr both = joined(pair);
    Node node = graph_[pair.first];
    node.operands = copy(both.operands);
    std::get<ReduceAttrs>(node.attrs).prologue = std::move(both.expr);
    const ValueId reduce = copy.to().append(std::move(node));
    std::int64_t index = 0;
    for (const ValueId v : {pair.first, pair.second})
      copy.map(v, Builder(copy.to(), graph_[v].location).result(reduce, index++));
  }

  const Graph& graph_;
  std::vector<ValueId> unpaired_;
  std::map<ValueId, Pair> pair_of_;
};

}  // namespace

Graph pair_reductions(Graph graph) {
  return ReductionPairs(graph).run();
}

}  // namespace taper::passes
