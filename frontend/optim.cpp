#include "frontend/optim.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "frontend/ops.h"

namespace taper::optim {
namespace {

constexpr double kLargest = std::numeric_limits<float>::max();

double positive(double value, const char* what) {
  if (!(value > 0) || !std::isfinite(value))
    throw Error("{}: {} is not a positive number", what, value);
  return value;
}

}  // namespace

std::vector<Gradient> gradients_of(Tape& tape, const Tensor& loss) {
  std::vector<bool> needed(tape.graph().size(), false);
  needed[loss.id().index] = true;
  for (std::size_t i = needed.size(); i-- > 0;)
    if (needed[i])
      for (const ir::ValueId v : tape.graph().nodes()[i].operands) needed[v.index] = true;
  std::vector<Gradient> gradients;
  for (const ir::ValueId v : tape.graph().ids()) {
    if (!needed[v.index] || tape.graph()[v].op != ir::Op::parameter) continue;
    const Tensor parameter(tape, v);
    gradients.push_back({parameter, gradient(loss, parameter)});
  }
  if (gradients.empty())
    throw Error("compile: the loss depends on no parameter", tape.graph()[loss.id()].location);
  return gradients;
}

Group::Group(Tape& tape, std::vector<Item> items, Tensor learning_rate, Tensor accepted)
    : tape_(tape), items_(std::move(items)), learning_rate_(learning_rate), accepted_(accepted) {}

Tensor Group::state(const std::string& kind, const Item& item) {
  const ir::TensorType type{DType::f32, item.parameter.shape()};
  return tape_.state(std::make_shared<Variable>(fmt::format("{}.{}", kind, item.name), type));
}
Tensor Group::state(const std::string& name) {
  return tape_.state(std::make_shared<Variable>(name, ir::TensorType{DType::f32, {}}));
}

Tensor Group::set(const Item& item, const Tensor& variable, const Tensor& value) {
  const Tensor next = where(item.accepted, value, variable);
  tape_.update(variable, next);
  return next;
}
Tensor Group::set(const Tensor& number, const Tensor& value) {
  const Tensor next = where(accepted_, value, number);
  tape_.update(number, next);
  return next;
}

Optimizer& Optimizer::clip_norm(double maximum) {
  clip_norm_ = positive(maximum, "clip_norm");
  return *this;
}

Optimizer& Optimizer::clip_value(double limit) {
  clip_value_ = positive(limit, "clip_value");
  return *this;
}

Optimizer& Optimizer::add_group(std::set<const Variable*> members, Record record,
                                double multiplier) {
  if (!(multiplier >= 0) || !std::isfinite(multiplier))
    throw Error("group: the learning-rate multiplier {} is negative or not finite", multiplier);
  for (const Special& other : groups_)
    for (const Variable* member : members)
      if (other.members.contains(member))
        throw Error("group: parameter \"{}\" is in another group already", member->name());
  groups_.push_back({std::move(members), std::move(record), multiplier});
  return *this;
}

std::vector<Tensor> Optimizer::clipped(const std::vector<Gradient>& gradients, Tensor& trip) const {
  std::vector<Tensor> result;
  for (const Gradient& g : gradients) {
    result.push_back(g.value);
    if (clip_value_ > 0) result.back() = minimum(maximum(result.back(), -clip_value_), clip_value_);
  }
  if (clip_norm_ == 0) return result;
  Tensor total = sum(result[0] * result[0]);
  for (std::size_t i = 1; i < result.size(); ++i) total = total + sum(result[i] * result[i]);
  const Tensor norm = sqrt(total);
  trip = trip + norm * 0;
  const Tensor factor = minimum(clip_norm_ / (norm + 1e-6), 1);
  for (Tensor& g : result) g = g * factor;
  return result;
}

void Optimizer::record(Tape& tape, const Tensor& loss, const Tensor& learning_rate) const {
  const std::vector<Gradient> gradients = gradients_of(tape, loss);
  record(tape, gradients, learning_rate, reshape(loss, {}) * 0);
}

Tensor Optimizer::record(Tape& tape, const std::vector<Gradient>& gradients,
                         const Tensor& learning_rate, const Tensor& trip) const {
  Tensor tripped = trip;
  const std::vector<Tensor> values = clipped(gradients, tripped);
  std::vector<std::vector<Group::Item>> items(groups_.size() + 1);
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    const Tensor& parameter = gradients[i].parameter;
    const Variable* variable = tape.variables().at(name_of(parameter)).get();
    std::size_t group = 0;
    while (group < groups_.size() && !groups_[group].members.contains(variable)) ++group;
    // Decided by each element from its own gradient, so that it takes no operand of another shape
    // than the rest of the update and fuses with it.
    const Tensor accepted = abs(gradients[i].value + tripped) <= kLargest;
    items[group].push_back({name_of(parameter), parameter, values[i], accepted});
  }
  const Tensor accepted = abs(tripped) <= kLargest;
  for (std::size_t i = 0; i <= groups_.size(); ++i) {
    const bool special = i < groups_.size();
    if (special && items[i].empty())
      throw Error("group {}: the loss depends on none of its parameters", i);
    if (items[i].empty()) continue;
    const double multiplier = special ? groups_[i].multiplier : 1;
    Group group(tape, std::move(items[i]),
                multiplier == 1 ? learning_rate : learning_rate * multiplier, accepted);
    special ? groups_[i].record(group) : rule_(group);
  }
  return tripped;
}

}  // namespace taper::optim
