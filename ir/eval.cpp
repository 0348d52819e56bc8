// The interpreter's driver, and the ops that bind or pass on values.
#include "ir/eval.h"

#include <fmt/format.h>

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

Results eval_binding(const EvalRequest& request) {
  const std::string& name = request.attrs<NameAttrs>().name;
  const std::string_view kind = traits(request.node.op).name;
  const auto it = request.bindings.find(name);
  if (it == request.bindings.end()) {
    throw Error(fmt::format("evaluate: {} \"{}\" has no value", kind, name), request.node.location);
  }
  const TensorType type = concrete(request.node.type, request.batch);
  const Value& value = it->second;
  const auto count = static_cast<std::size_t>(element_count(type.shape, 1));
  if (value.type.dtype != type.dtype || value.type.shape != type.shape) {
    throw Error(fmt::format("evaluate: {} \"{}\" is {}, but its value is {}", kind, name,
                            to_string(type), to_string(value.type)),
                request.node.location);
  }
  if (value.data.size() != count) {
    throw Error(fmt::format("evaluate: {} \"{}\" is {}, but its value has {} elements", kind, name,
                            to_string(type), value.data.size()),
                request.node.location);
  }
  return {{type, value.data}};
}

class Interpreter {
 public:
  Interpreter(const Graph& graph, const std::map<std::string, Value>& bindings, Dim batch,
              const Observe& observe)
      : graph_(graph),
        bindings_(bindings),
        batch_(batch),
        observe_(observe),
        uses_(use_counts(graph)),
        values_(graph.size()) {}

  Evaluation run() {
    for (std::size_t i = 0; i < graph_.size(); ++i) {
      if (uses_[i] > 0) step(i);
    }
    Evaluation result;
    for (const Output& output : graph_.outputs) {
      result.outputs.push_back(values_[output.value.index].front());
    }
    for (const Update& update : graph_.updates) {
      const std::string& name = std::get<NameAttrs>(graph_[update.variable].attrs).name;
      result.updated[name] = values_[update.value.index].front();
    }
    return result;
  }

 private:
  void step(std::size_t i) {
    const Node& node = graph_.nodes()[i];
    const EvalRequest request{graph_, node, values_, bindings_, batch_};
    values_[i] = eval_node(request);
    if (node.epilogue != Expr{}) {
      values_[i] = {apply_epilogue(request, values_[i].front())};
    }
    if (observe_) observe_(graph_.id(i), values_[i]);
    for (const ValueId operand : node.operands) {
      if (--uses_[operand.index] == 0) values_[operand.index].clear();
    }
  }

  const Graph& graph_;
  const std::map<std::string, Value>& bindings_;
  const Dim batch_;
  const Observe& observe_;
  std::vector<int> uses_;
  std::vector<Results> values_;
};

}  // namespace

Evaluation evaluate(const Graph& graph, const std::map<std::string, Value>& bindings, Dim batch,
                    const Observe& observe) {
  if (batch < 1) throw Error(fmt::format("evaluate: the batch size {} is not positive", batch));
  return Interpreter(canonical(graph), bindings, batch, observe).run();
}

Value EvalRequest::result() const {
  TensorType type = concrete(node.type, batch);
  if (node.epilogue != Expr{}) type.dtype = DType::f32;
  return zeros(type);
}

TensorType concrete(const TensorType& type, Dim batch) {
  TensorType result{type.dtype, type.shape};
  if (result.has_batch()) result.shape.front() = batch;
  return result;
}

Value zeros(TensorType type) {
  const auto count = static_cast<std::size_t>(element_count(type.shape, 1));
  return {std::move(type), std::vector<double>(count, 0.0)};
}

void round_all(Value& value) {
  for (double& x : value.data) x = round_to(value.type.dtype, x);
}

Results eval_input(const EvalRequest& r) {
  return eval_binding(r);
}
Results eval_parameter(const EvalRequest& r) {
  return eval_binding(r);
}
Results eval_state(const EvalRequest& r) {
  return eval_binding(r);
}

Results eval_constant(const EvalRequest& r) {
  Value value = r.result();
  const auto& values = r.attrs<ConstantAttrs>().values;
  if (values.size() == 1) {
    value.data.assign(value.data.size(), values.front());
  } else {
    value.data = values;
  }
  round_all(value);
  return {std::move(value)};
}

Results eval_in_range(const EvalRequest& r) {
  const auto& [low, high, others] = r.attrs<RangeAttrs>();
  for (const double x : r.operand(0).data) {
    const auto is_x = [x](std::int64_t other) { return static_cast<double>(other) == x; };
    const bool inside = x >= static_cast<double>(low) && x < static_cast<double>(high);
    if (!inside && std::ranges::none_of(others, is_x))
      throw Error(fmt::format("in_range: {} is not in [{}, {})", x, low, high), r.node.location);
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
