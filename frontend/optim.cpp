#include "frontend/optim.h"

#include <fmt/format.h>

#include <vector>

#include "frontend/ops.h"

namespace taper::optim {
namespace {

std::vector<Tensor> parameters_of(Tape& tape, const Tensor& loss) {
  const ir::Graph& graph = tape.graph();
  std::vector<bool> needed(graph.size(), false);
  needed[loss.id().index] = true;
  std::vector<Tensor> parameters;
  for (std::size_t i = graph.size(); i-- > 0;) {
    if (!needed[i]) continue;
    const ir::Node& node = graph[graph.id(i)];
    for (const ir::ValueId operand : node.operands) needed[operand.index] = true;
    if (node.op == ir::Op::parameter) parameters.emplace_back(tape, graph.id(i));
  }
  return {parameters.rbegin(), parameters.rend()};
}

Tensor zero_state(Tape& tape, const std::string& name, const Shape& shape) {
  return tape.state(std::make_shared<Variable>(name, ir::TensorType{DType::f32, shape}));
}

// q' = beta q + (1 - beta), with q = 1 - beta^t.
Tensor bias_correction(Tape& tape, const std::string& name, double beta) {
  const Tensor old = zero_state(tape, name, {});
  const Tensor next = old * beta + (1 - beta);
  tape.update(old, next);
  return next;
}

}  // namespace

void Adam::record(Tape& tape, const Tensor& loss, const Tensor& learning_rate) const {
  const std::vector<Tensor> parameters = parameters_of(tape, loss);
  if (parameters.empty()) throw Error("Adam: the loss depends on no parameter");
  const Tensor step_size = learning_rate / bias_correction(tape, "adam.correction1", beta1);
  const Tensor scale = sqrt(bias_correction(tape, "adam.correction2", beta2));
  for (const Tensor& parameter : parameters) {
    const auto& name = std::get<ir::NameAttrs>(tape.graph()[parameter.id()].attrs).name;
    const Tensor g = gradient(loss, parameter);
    const Tensor m = zero_state(tape, fmt::format("adam.m.{}", name), parameter.shape());
    const Tensor v = zero_state(tape, fmt::format("adam.v.{}", name), parameter.shape());
    const Tensor m_next = m * beta1 + g * (1 - beta1);
    const Tensor v_next = v * beta2 + g * g * (1 - beta2);
    tape.update(parameter, parameter - step_size * (m_next / (sqrt(v_next) / scale + epsilon)));
    tape.update(m, m_next);
    tape.update(v, v_next);
  }
}

}  // namespace taper::optim
