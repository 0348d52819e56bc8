#include <bit>
#include <unordered_map>
#include <utility>

#include "passes/passes.h"
#include "passes/rewrite.h"
#include "passes/simplify_rules.h"

namespace taper::passes {

using namespace ir;

namespace {

// Finds an equal node: same op, type, operands, attributes and epilogue.
class CommonValues {
 public:
  explicit CommonValues(const Graph& graph) : graph_(graph) {}

  // The value to use instead of `node`; kNoValue when it is the first of its kind.
  ValueId find(const Node& node) const {
    const auto [first, last] = entries_.equal_range(hash(node));
    for (auto entry = first; entry != last; ++entry) {
      if (graph_[entry->second.node] == node) return entry->second.value;
    }
    return kNoValue;
  }

  // From now on `value` is used instead of nodes equal to `node`.
  void add(ValueId node, ValueId value) {
    entries_.emplace(hash(graph_[node]), Entry{node, value});
  }

 private:
  struct Entry {
    ValueId node, value;
  };

  static std::size_t hash(const Node& node) {
    std::size_t h = static_cast<std::size_t>(node.op);
    const auto mix = [&h](std::uint64_t word) { h = (h ^ word) * 0x9e3779b97f4a7c15u; };
    for (const ValueId operand : node.operands) mix(operand.index);
    for (const Dim extent : node.type.shape) mix(static_cast<std::uint64_t>(extent));
    if (const auto* constant = std::get_if<ConstantAttrs>(&node.attrs)) {
      for (const double value : constant->values) mix(std::bit_cast<std::uint64_t>(value + 0.0));
    }
    return h ^ (h >> 32);
  }

  const Graph& graph_;
  std::unordered_multimap<std::size_t, Entry> entries_;
};

// The value to use instead of `node`, which may have its operands the other way round.
ValueId find_common(const CommonValues& common, const Node& node) {
  const ValueId found = common.find(node);
  const bool commutative =
      node.op == Op::add || node.op == Op::mul || node.op == Op::eq || node.op == Op::ne;
  if (found != kNoValue || !commutative) return found;
  Node swapped = node;
  std::swap(swapped.operands[0], swapped.operands[1]);
  return common.find(swapped);
}

// Applies rules to each node once, and shares common values. Sets `changed` if anything was done.
Graph simplify_once(const Graph& graph, bool& changed) {
  Rewriter rewriter(graph);
  CommonValues common(rewriter.to());
  for (std::size_t i = 0; i < graph.size(); ++i) {
    const ValueId old = graph.id(i);
    Node node = rewriter.translated(old);
    ValueId value = find_common(common, node);
    if (value == kNoValue) {
      Builder builder(rewriter.to(), node.location);
      const ValueId id = rewriter.to().append(std::move(node));
      const ValueId simpler = apply_rules(builder, id);
      value = simpler == kNoValue ? id : simpler;
      changed |= value != id;
      common.add(id, value);
    } else {
      changed = true;
    }
    rewriter.map(old, value);
  }
  return rewriter.finish();
}

}  // namespace

Graph simplify(const Graph& graph, [[maybe_unused]] const PassOptions& options) {
  Graph result = graph;
  for (bool changed = true; changed;) {
    changed = false;
    result = simplify_once(result, changed);
  }
  return result;
}

}  // namespace taper::passes
