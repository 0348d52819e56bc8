// The interpreter's driver, and the ops that bind or pass on values.
#include "ir/eval.h"

#include <algorithm>

#include "ir/eval_ops.h"

namespace taper::ir {
namespace {

Results eval_node(const EvalRequest& request) {
  switch (request.node.op) {
#define TAPER_ELEMENTWISE(name, arity, result, eval, vjp, emit) \
  case Op::name:                                                \
    return eval_elementwise(request);
#define TAPER_STRUCTURAL(name, arity, attrs) \
  case Op::name:                             \
    return eval_##name(request);
#include "ir/ops.def"
  }
  return {};
}

}  // namespace

Evaluation evaluate(const Graph& graph, const std::map<std::string, Value>& bindings, Dim batch,
                    const Observe& observe) {
  if (batch < 1) throw Error("evaluate: the batch size {} is not positive", batch);
  const Graph ordered = canonical(graph);
  std::vector<int> uses = use_counts(ordered);
  std::vector<Results> values(ordered.size());
  for (std::size_t i = 0; i < ordered.size(); ++i) {
    if (uses[i] == 0) continue;
    const Node& node = ordered.nodes()[i];
    const EvalRequest request{ordered, node, values, bindings, batch};
    values[i] = eval_node(request);
    if (node.epilogue != Expr{}) values[i] = {apply_epilogue(request, values[i].front())};
    if (observe) observe(ordered.id(i), values[i]);
    for (const ValueId operand : node.operands)
      if (--uses[operand.index] == 0) values[operand.index].clear();
  }
  Evaluation result;
  for (const Output& output : ordered.outputs)
    result.outputs.push_back(values[output.value.index].front());
  for (const Update& update : ordered.updates)
    result.updated[name_of(ordered[update.variable])] = values[update.value.index].front();
  return result;
}

Value EvalRequest::result() const {
  TensorType type = concrete(node.type, batch);
  if (node.epilogue != Expr{}) type.dtype = DType::f32;
  return zeros(type);
}

Value zeros(TensorType type) {
  const auto count = static_cast<std::size_t>(element_count(type.shape, 1));
  return {std::move(type), std::vector<double>(count, 0.0)};
}

Value rounded(Value value) {
  for (double& x : value.data) x = round_to(value.type.dtype, x);
  return value;
}

Results eval_input(const EvalRequest& r) {
  const std::string& name = r.attrs<NameAttrs>().name;
  const std::string_view kind = traits(r.node.op).name;
  const auto it = r.bindings.find(name);
  if (it == r.bindings.end())
    throw Error(r.node.location, "evaluate: {} \"{}\" has no value", kind, name);
  const TensorType type = concrete(r.node.type, r.batch);
  const Value& value = it->second;
  const auto count = static_cast<std::size_t>(element_count(type.shape, 1));
  if (value.type.dtype != type.dtype || value.type.shape != type.shape) {
    throw Error(r.node.location, "evaluate: {} \"{}\" is {}, but its value is {}", kind, name,
                to_string(type), to_string(value.type));
  }
  if (value.data.size() != count) {
    throw Error(r.node.location, "evaluate: {} \"{}\" is {}, but its value has {} elements", kind,
                name, to_string(type), value.data.size());
  }
  return {{type, value.data}};
}
Results eval_parameter(const EvalRequest& r) {
  return eval_input(r);
}
Results eval_state(const EvalRequest& r) {
  return eval_input(r);
}

Results eval_constant(const EvalRequest& r) {
  Value value = r.result();
  const auto& values = r.attrs<ConstantAttrs>().values;
  if (values.size() == 1)
    value.data.assign(value.data.size(), values.front());
  else
    value.data = values;
  return {rounded(std::move(value))};
}

Results eval_in_range(const EvalRequest& r) {
  const auto& [low, high, others] = r.attrs<RangeAttrs>();
  for (const double x : r.operand(0).data) {
    const auto is_x = [x](std::int64_t other) { return static_cast<double>(other) == x; };
    const bool inside = x >= static_cast<double>(low) && x < static_cast<double>(high);
    if (!inside && std::ranges::none_of(others, is_x))
      throw Error(r.node.location, "in_range: {} is not in [{}, {})", x, low, high);
  }
  return {r.operand(0)};
}

Results eval_result(const EvalRequest& r) {
  const Results& all = r.values[r.node.operands.front().index];
  return {all[static_cast<std::size_t>(r.attrs<ResultAttrs>().index)]};
}

Results eval_gradient(const EvalRequest& r) {
  throw Error("evaluate: a gradient node must be differentiated first", r.node.location);
}

Results eval_kernel(const EvalRequest& r) {
  throw Error("evaluate: a kernel node is machine code, not for the interpreter", r.node.location);
}

}  // namespace taper::ir
