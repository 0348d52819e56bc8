#include "frontend/tape.h"

#include <fmt/format.h>

#include <algorithm>

namespace taper {

Tape& Tensor::tape() const {
  if (tape_ == nullptr) throw Error("tensor: an empty Tensor was used; it is on no tape");
  return *tape_;
}
Shape Tensor::shape() const {
  return tape().graph()[id_].type.shape;
}
DType Tensor::dtype() const {
  return tape().graph()[id_].type.dtype;
}

std::string name_of(const Tensor& tensor) {
  return ir::name_of(tensor.tape().graph()[tensor.id()]);
}

Tensor Tape::input(const std::string& name, Shape shape, DType dtype, Location where) {
  if (name.empty() || std::ranges::find(inputs_, name) != inputs_.end())
    throw Error(where, "input: the name \"{}\" is empty or already taken", name);
  if (name.front() == '$')
    throw Error(where, "input: the name \"{}\" begins with '$', as taper's own do", name);
  const ir::ValueId id = builder(where).input(name, {dtype, std::move(shape)});
  inputs_.push_back(name);
  return {*this, id};
}

std::string Tape::unique_name(const std::string& name) const {
  std::string path;
  for (const std::string& scope : scopes_) path += scope + ".";
  path += name;
  std::string unique = path;
  for (int suffix = 1; variables_.contains(unique); ++suffix)
    unique = fmt::format("{}_{}", path, suffix);
  return unique;
}

Tensor Tape::record(const std::shared_ptr<Variable>& variable, ir::Op op, const Location& where) {
  if (!variable) throw Error(where, "{}: no variable was given", ir::traits(op).name);
  const auto [entry, is_new] = recorded_.try_emplace(variable.get());
  if (is_new) {
    const std::string name = unique_name(variable->name());
    entry->second = builder(where).add_node(op, {}, ir::NameAttrs{name});
    graph_[entry->second].type = ir::concrete(variable->type(), 1);
    variables_.emplace(name, variable);
  }
  return {*this, entry->second};
}

Tensor Tape::constant(Shape shape, std::vector<double> values, Location where) {
  return {*this, builder(where).constant({DType::f32, std::move(shape)}, std::move(values))};
}

void Tape::update(const Tensor& variable, const Tensor& value) {
  for (ir::Update& update : graph_.updates)
    if (update.variable == variable.id()) {
      update.value = value.id();
      return;
    }
  graph_.updates.push_back({variable.id(), value.id()});
}

Tensor Tape::updated(const Tensor& variable) {
  for (const ir::Update& update : graph_.updates)
    if (update.variable == variable.id()) return {*this, update.value};
  return variable;
}

}  // namespace taper
