#include "frontend/nn_module.h"

#include <fmt/format.h>

#include <algorithm>

namespace taper::nn {

Tensor Child::operator()(const Tensor& x) const {
  const Tape::Scope scope(x.tape(), name_);
  return (*module_)(x);
}

Parameters Module::parameters() const {
  Parameters list;
  collect(list, "", &Module::parameters_);
  return list;
}

Parameters Module::buffers() const {
  Parameters list;
  collect(list, "", &Module::buffers_);
  return list;
}

void Module::collect(Parameters& list, const std::string& prefix, Parameters Module::*own) const {
  for (const auto& [name, variable] : this->*own) list.emplace_back(prefix + name, variable);
  for (const Child& child : children_)
    child.module().collect(list, fmt::format("{}{}.", prefix, child.name()), own);
}

void Module::check_name(const std::string& name) const {
  const auto named = [&](const auto& entry) { return entry.first == name; };
  const auto called = [&](const Child& child) { return child.name() == name; };
  if (name.empty() || name.find('.') != std::string::npos ||
      std::ranges::any_of(parameters_, named) || std::ranges::any_of(buffers_, named) ||
      std::ranges::any_of(children_, called))
    throw Error(fmt::format("module: the name \"{}\" is empty, has a dot or is taken", name));
}

std::shared_ptr<Variable> Module::add_parameter(const std::string& name, Shape shape) {
  check_name(name);
  auto variable = std::make_shared<Variable>(name, ir::TensorType{DType::f32, std::move(shape)});
  parameters_.emplace_back(name, variable);
  return variable;
}

std::shared_ptr<Variable> Module::add_buffer(const std::string& name, Shape shape) {
  check_name(name);
  auto variable = std::make_shared<Variable>(name, ir::TensorType{DType::f32, std::move(shape)});
  buffers_.emplace_back(name, variable);
  return variable;
}

Child Module::add_child(const std::string& name, std::shared_ptr<const Module> module) {
  check_name(name);
  return children_.emplace_back(name, std::move(module));
}

Tensor Sequential::operator()(const Tensor& x) const {
  Tensor y = x;
  for (const Child& layer : layers_) y = layer(y);
  return y;
}

Tensor Residual::operator()(const Tensor& x) const {
  const Tensor body = branches_[0](x);
  const Tensor shortcut = branches_.size() > 1 ? branches_[1](x) : x;
  return Operand(body, where_) + Operand(shortcut, where_);
}

}  // namespace taper::nn
