#include "frontend/nn_module.h"

#include <algorithm>

namespace taper::nn {

Tensor Child::operator()(const Tensor& x) const {
  const Tape::Scope scope(x.tape(), name_);
  return (*module_)(x);
}

Parameters Module::collected(Parameters Module::*own) const {
  Parameters list = this->*own;
  for (const Child& child : children_)
    for (const auto& [name, variable] : child.module().collected(own))
      list.emplace_back(child.name() + "." + name, variable);
  return list;
}

void Module::check_name(const std::string& name) const {
  const auto named = [&](const auto& entry) { return entry.first == name; };
  const auto called = [&](const Child& child) { return child.name() == name; };
  if (name.empty() || name.find('.') != std::string::npos ||
      std::ranges::any_of(parameters_, named) || std::ranges::any_of(buffers_, named) ||
      std::ranges::any_of(children_, called))
    throw Error("module: the name \"{}\" is empty, has a dot or is taken", name);
}

std::shared_ptr<Variable> Module::add_to(Parameters& list, const std::string& name, Shape shape) {
  check_name(name);
  auto variable = std::make_shared<Variable>(name, ir::TensorType{DType::f32, std::move(shape)});
  return list.emplace_back(name, std::move(variable)).second;
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
