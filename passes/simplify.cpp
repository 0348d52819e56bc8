#include <bit>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>

#include "passes/passes.h"
#include "passes/rewrite.h"
#include "passes/simplify_rules.h"

namespace taper::passes {

using namespace ir;

namespace {

bool commutative(Op op) {
  return op == Op::add || op == Op::mul || op == Op::eq || op == Op::ne;
}

// Finds an equal node: same op, type, operands (of a commutative op: in either order), attributes
// and epilogue.
class CommonValues {
 public:
  CommonValues(const Graph& graph, std::size_t nodes) : graph_(graph) { entries_.reserve(nodes); }

  // The value to use instead of `node`; kNoValue when it is the first of its kind.
  ValueId find(const Node& node) const {
    const auto [first, last] = entries_.equal_range(hash(node));
    ValueId turned = kNoValue;
    for (auto entry = first; entry != last; ++entry) {
      const Node& known = graph_[entry->second.node];
      if (known == node) return entry->second.value;
      if (turned == kNoValue && equal_turned(known, node)) turned = entry->second.value;
    }
    return turned;
  }

  // From now on `value` is used instead of nodes equal to `node`.
  void add(ValueId node, ValueId value) {
    entries_.emplace(hash(graph_[node]), Entry{node, value});
  }

 private:
  struct Entry {
    ValueId node, value;
  };

  static bool equal_turned(const Node& a, const Node& b) {
    return commutative(a.op) && a.op == b.op && a.operands[0] == b.operands[1] &&
           a.operands[1] == b.operands[0] && a.type == b.type;
  }

  static std::size_t hash(const Node& node) {
    std::size_t h = static_cast<std::size_t>(node.op);
    const auto mix = [&h](std::uint64_t word) { h = (h ^ word) * 0x9e3779b97f4a7c15u; };
    if (commutative(node.op))
      mix(node.operands[0].index + std::uint64_t{node.operands[1].index});
    else
      for (const ValueId operand : node.operands) mix(operand.index);
    for (const Dim extent : node.type.shape) mix(static_cast<std::uint64_t>(extent));
    if (const auto* constant = std::get_if<ConstantAttrs>(&node.attrs))
      for (const double value : constant->values) mix(std::bit_cast<std::uint64_t>(value + 0.0));
    return h ^ (h >> 32);
  }

  const Graph& graph_;
  std::unordered_multimap<std::size_t, Entry> entries_;
};

// Applies rules to each node once, and shares common values. Sets `changed` if anything was done.
Graph simplify_once(const Graph& graph, bool& changed) {
  Rewriter rewriter(graph);
  CommonValues common(rewriter.to(), graph.size());
  for (const ValueId old : graph.ids()) {
    Node node = rewriter.translated(old);
    ValueId value = common.find(node);
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

// For a batch that is never more than one image N is 1, as every other extent of 1 is to rules and
// kernels: sums over the batch are no sums then, and threads share what is inside the image.
Graph bind_batch(const Graph& graph) {
  const auto bind = [](Indices& extents) {
    if (!extents.empty() && extents.front() == kBatch) extents.front() = 1;
  };
  Rewriter rewriter(graph);
  for (const ValueId old : graph.ids()) {
    Node node = rewriter.translated(old);
    bind(node.type.shape);
    const auto field = [&](std::string_view key, auto& value) {
      if constexpr (std::is_same_v<std::decay_t<decltype(value)>, Indices>) {
        if (key == "shape" || key == "end") bind(value);
      }
      if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::vector<TensorType>>)
        for (TensorType& result : value) bind(result.shape);
    };
    std::visit([&](auto& attrs) { attrs.fields(field); }, node.attrs);
    rewriter.map(old, rewriter.to().append(std::move(node)));
  }
  return rewriter.finish();
}

}  // namespace

Graph simplify(Graph result, const PassOptions& options) {
  if (options.max_batch == 1) result = bind_batch(result);
  for (bool changed = true; changed;) {
    changed = false;
    result = simplify_once(result, changed);
  }
  return result;
}

}  // namespace taper::passes
