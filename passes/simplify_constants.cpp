// Constant folding, and broadcasting moved behind elementwise ops.
#include <algorithm>
#include <cmath>
#include <utility>

#include "ir/eval.h"
#include "passes/pattern.h"
#include "passes/simplify_rules.h"

namespace taper::passes {

using namespace ir;

namespace {

// Larger constants are computed at run time rather than kept in the program.
constexpr std::int64_t kMaxFolded = 4096;

// Where the interpreter and generated code agree on the bits: ops that only move or convert
// elements and correctly rounded ones, not the transcendentals, which are polynomials in generated
// code.
constexpr Op kMovements[] = {Op::cast, Op::reshape, Op::transpose, Op::slice, Op::pad, Op::concat};
constexpr Op kPolynomials[] = {Op::exp, Op::log, Op::sigmoid, Op::tanh};

bool foldable(Op op) {
  if (!traits(op).elementwise) return std::ranges::find(kMovements, op) != std::end(kMovements);
  return std::ranges::find(kPolynomials, op) == std::end(kPolynomials);
}

// A graph of the node and its constant operands alone.
Value evaluate_alone(const Graph& graph, const Node& node) {
  Graph alone;
  Node root = node;
  for (ValueId& operand : root.operands) operand = alone.append(graph[operand]);
  const ValueId result = alone.append(std::move(root));
  alone.outputs.push_back({"value", result});
  return evaluate(alone, {}, 1).outputs[0];
}

}  // namespace

ValueId fold_constants(Builder& builder, ValueId id) {
  const Graph& graph = builder.graph();
  const Node& node = graph[id];
  const auto is_constant = [&](ValueId operand) { return graph[operand].op == Op::constant; };
  if (!foldable(node.op) || node.operands.empty() ||
      !std::ranges::all_of(node.operands, is_constant))
    return kNoValue;
  if (node.type.has_batch() || element_count(node.type.shape, 1) > kMaxFolded) return kNoValue;
  Value value = evaluate_alone(graph, node);
  const auto finite = [](double x) { return std::isfinite(x); };
  if (value.data.empty() || !std::ranges::all_of(value.data, finite)) return kNoValue;
  const auto as_first = [&](double x) { return x == value.data[0]; };
  if (std::ranges::all_of(value.data, as_first))
    value.data.erase(value.data.begin() + 1, value.data.end());
  const TensorType type = node.type;
  return builder.constant(type, std::move(value.data));
}

ValueId broadcast_after_elementwise(Builder& builder, ValueId id) {
  const Node node = builder.graph()[id];
  if (!traits(node.op).elementwise) return kNoValue;
  Operands operands = node.operands;
  for (ValueId& operand : operands) {
    const TensorType type = builder.type(operand);
    if (builder.graph()[operand].op == Op::broadcast_to)
      operand = builder.graph()[operand].operands[0];
    else if (const auto value = splat(builder.graph(), operand); value && type.rank() > 0)
      operand = builder.constant({type.dtype, {}}, {*value});
  }
  if (operands == node.operands) return kNoValue;
  const ValueId narrow = builder.add_node(node.op, std::move(operands));
  return builder.broadcast_to(narrow, node.type.shape);
}

}  // namespace taper::passes
