// The rules of a graph. At every stage:
//    1. operands are values before their use; an op has as many as its arity, plus those of its
//       epilogue; only conv2d*, matmul, pool2d* and reduce have an epilogue, of one output
//    2. attributes are those of the op
//    3. extents are not negative, N leads, and no tensor has 2^62 elements
//    4. the type is what infer() says; layouts are checked from `laid_out` on
//    5. inputs, parameters and states have different, non-empty names; parameters and states are
//       static
//    6. a constant has one value, or one per element
//    7. expressions are in SSA form, their arguments in range and of the right dtypes
//    8. a map has operands and results for each segment, and its operands broadcast to its results
//    9. an epilogue operand is one value, one per channel, or of the result's shape
//   10. outputs have different, non-empty names
//   11. an update gives a parameter or state a value of its own type, once
//   12. a result node reads a result that exists
// From `differentiated` on: 13. no gradient nodes. From `laid_out` on:
//   14. no bare elementwise ops, casts, random or broadcast_to
//   15. conv2d*, pool2d*, softmax and cross-entropy have the layouts that ir/kernel.h states, a
//       relayout the one it names, an epilogue operand of the result's shape the result's, and an
//       update the variable's
// At `selected`: 16. only inputs, parameters, states, constants, kernels, results and views; a view
//   has the bytes of its operand, a kernel the operands and results of its spec.
#include <fmt/format.h>

#include <set>

#include "ir/graph.h"
#include "ir/node_type.h"
#include "ir/text.h"
#include "ir/verify_stages.h"

namespace taper::ir {
namespace {

void check_extents(const TensorType& type) {
  for (std::size_t i = 0; i < type.shape.size(); ++i) {
    const Dim extent = type.shape[i];
    const bool good = extent >= 0 || (extent == kBatch && i == 0);
    if (!good) throw Error("dimension {} of a tensor is {}", i, extent);
  }
  element_count(type.shape, 1);
}

void check_type(const Graph& graph, const Node& node) {
  TensorType expected = node_type(graph, node);
  for (const TensorType& type : result_types(graph, node)) check_extents(type);
  expected.layout = node.type.layout;
  if (expected != node.type)
    throw Error("its type is {}, but the op makes {}", to_string(node.type), to_string(expected));
}

void check_constant(const Node& node) {
  const std::size_t count = std::get<ConstantAttrs>(node.attrs).values.size();
  if (count == 1) return;
  if (node.type.has_batch() ||
      static_cast<std::int64_t>(count) != element_count(node.type.shape, 1))
    throw Error("{} values for {}", count, to_string(node.type));
}

void check_map(const Graph& graph, const Node& node) {
  const auto& map = std::get<MapAttrs>(node.attrs);
  const auto segments = static_cast<std::size_t>(std::max<std::int64_t>(map.segments, 0));
  const auto inputs = static_cast<std::size_t>(std::max<std::int64_t>(map.expr.inputs, 0));
  const std::size_t outputs = map.expr.outputs.size();
  if (segments == 0 || outputs == 0 || node.operands.size() % segments != 0 ||
      node.operands.size() / segments != inputs || map.results.size() % segments != 0 ||
      map.results.size() / segments != outputs) {
    throw Error("{} operands and {} results for {} segments of {} inputs and {} outputs",
                node.operands.size(), map.results.size(), map.segments, map.expr.inputs, outputs);
  }
  for (std::size_t segment = 0; segment < segments; ++segment) {
    const Shape& shape = map.results[segment * outputs].shape;
    std::vector<DType> dtypes;
    for (std::size_t i = 0; i < inputs; ++i) {
      const TensorType& type = graph[node.operands[segment * inputs + i]].type;
      dtypes.push_back(type.dtype);
      if (broadcast(type.shape, shape, "map") != shape)
        throw Error("operand {} does not broadcast to {}", to_string(type), to_string(shape));
    }
    const auto made = expr_types(map.expr, dtypes);
    for (std::size_t i = 0; i < outputs; ++i) {
      const TensorType& result = map.results[segment * outputs + i];
      if (result.dtype != made[i] || result.shape != shape)
        throw Error("result {} is not {}{}", to_string(result), name(made[i]), to_string(shape));
    }
  }
}

void check_epilogue_operands(const Graph& graph, const Node& node) {
  const Shape& shape = node.type.shape;
  for (std::size_t i = own_operand_count(node); i < node.operands.size(); ++i) {
    const TensorType& operand = graph[node.operands[i]].type;
    if (operand.shape == shape) continue;
    const std::int64_t count = operand.has_batch() ? 0 : element_count(operand.shape, 1);
    const bool channel = shape.size() >= 2 && count == shape[1];
    if (count != 1 && !channel) {
      throw Error(
          "epilogue operand {} is neither one value, nor one per channel, nor "
          "of the result's shape {}",
          to_string(operand), to_string(shape));
    }
  }
}

void check_variable(const Node& node, std::set<std::string>& names) {
  const std::string& name = std::get<NameAttrs>(node.attrs).name;
  if (name.empty()) throw Error("its name is empty");
  if (!names.insert(name).second) throw Error("the name {} is already taken", quoted(name));
  if (node.op != Op::input && node.type.has_batch())
    throw Error("{} is {}, but its shape must be static", quoted(name), to_string(node.type));
}

void check_node(const Graph& graph, std::size_t index, Stage stage, std::set<std::string>& names) {
  const Node& node = graph.nodes()[index];
  for (const ValueId operand : node.operands)
    if (operand.index >= index) throw Error("operand %{} is not a value before it", operand.index);
  check_type(graph, node);
  if (std::holds_alternative<NameAttrs>(node.attrs)) check_variable(node, names);
  if (node.op == Op::constant) check_constant(node);
  if (node.op == Op::map) check_map(graph, node);
  check_epilogue_operands(graph, node);
  check_stage(graph, node, stage);
}

void check_outputs(const Graph& graph) {
  std::set<std::string_view> names;
  for (const Output& output : graph.outputs) {
    const std::string shown = quoted(output.name);
    if (output.value.index >= graph.size())
      throw Error("verify: output {}: there is no %{}", shown, output.value.index);
    if (output.name.empty()) throw Error("verify: output \"\": the name is empty");
    if (!names.insert(output.name).second)
      throw Error("verify: output {}: the name is already taken", shown);
  }
}

void check_updates(const Graph& graph, Stage stage) {
  std::set<ValueId> updated;
  for (const Update& update : graph.updates) {
    const std::string subject = fmt::format("verify: update of %{}", update.variable.index);
    if (update.variable.index >= graph.size() || update.value.index >= graph.size())
      throw Error("{}: there is no such value", subject);
    const Node& variable = graph[update.variable];
    if (variable.op != Op::parameter && variable.op != Op::state)
      throw Error(variable.location, "{}: it is neither a parameter nor a state", subject);
    if (!updated.insert(update.variable).second)
      throw Error(variable.location, "{}: it is already updated", subject);
    TensorType value = graph[update.value].type;
    if (stage < Stage::laid_out) value.layout = variable.type.layout;
    if (value != variable.type) {
      throw Error(variable.location, "{}: it is {}, its new value is {}", subject,
                  to_string(variable.type), to_string(value));
    }
  }
}

}  // namespace

void verify(const Graph& graph, Stage stage) {
  std::set<std::string> names;
  for (std::size_t i = 0; i < graph.size(); ++i) {
    try {
      check_node(graph, i, stage, names);
    } catch (const Error& error) {
      const Node& node = graph.nodes()[i];
      throw Error(node.location, "verify: %{} = {}", i, with_op(node.op, error.what()));
    }
  }
  check_outputs(graph);
  check_updates(graph, stage);
}

}  // namespace taper::ir
