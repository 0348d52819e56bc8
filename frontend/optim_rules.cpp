// The rules of frontend/optim.h, in the order of operations that it defines.
#include <fmt/format.h>

#include <cmath>

#include "frontend/ops.h"
#include "frontend/optim.h"

namespace taper::optim {
namespace {

void check_at_least_zero(const char* rule, const char* what, double value) {
  if (!(value >= 0) || !std::isfinite(value))
    throw Error("{}: {} {} is negative or not finite", rule, what, value);
}

void check_below_one(const char* rule, const char* what, double value) {
  if (!(value >= 0 && value < 1)) throw Error("{}: {} {} is not in [0, 1)", rule, what, value);
}

Tensor decayed(const Group::Item& item, double weight_decay) {
  return weight_decay == 0 ? item.gradient : item.gradient + weight_decay * item.parameter;
}

// The new bias correction q = beta q + (1 - beta).
Tensor advance_correction(Group& group, const std::string& name, double beta) {
  const Tensor old = group.state(name);
  return group.set(old, old * beta + (1 - beta));
}

// Adam and AdamW differ in what becomes of the parameter and the gradient before.
struct AdamSteps {
  const char* name;
  double beta1, beta2;
  Tensor step_size, epsilon;  // both times the square root of correction2: one division an element

  AdamSteps(Group& group, const char* rule, double b1, double b2, double eps)
      : name(rule), beta1(b1), beta2(b2) {
    const Tensor correction1 = advance_correction(group, fmt::format("{}.correction1", name), b1);
    const Tensor correction2 = advance_correction(group, fmt::format("{}.correction2", name), b2);
    const Tensor scale = sqrt(correction2);
    step_size = group.learning_rate() / correction1 * scale;
    epsilon = eps * scale;
  }

  void record(Group& group, const Group::Item& item, const Tensor& parameter,
              const Tensor& g) const {
    const Tensor m = group.state(fmt::format("{}.m", name), item);
    const Tensor v = group.state(fmt::format("{}.v", name), item);
    const Tensor m_next = group.set(item, m, m * beta1 + g * (1 - beta1));
    const Tensor v_next = group.set(item, v, v * beta2 + g * g * (1 - beta2));
    group.set(item, item.parameter, parameter - step_size * (m_next / (sqrt(v_next) + epsilon)));
  }
};

template <class AdamLike>
void check_adam(const char* name, const AdamLike& rule) {
  check_below_one(name, "beta1", rule.beta1);
  check_below_one(name, "beta2", rule.beta2);
  check_at_least_zero(name, "epsilon", rule.epsilon);
  check_at_least_zero(name, "weight_decay", rule.weight_decay);
}

}  // namespace

void SGD::record(Group& group) const {
  check_at_least_zero("SGD", "momentum", momentum);
  check_at_least_zero("SGD", "weight_decay", weight_decay);
  if (!std::isfinite(dampening)) throw Error("SGD: dampening {} is not finite", dampening);
  if (nesterov && (momentum == 0 || dampening != 0))
    throw Error("SGD: nesterov needs a momentum and no dampening");
  // b starts at zero, so that with this factor the first b is g.
  Tensor fresh;
  if (momentum != 0 && dampening != 0) {
    const Tensor started = group.state("sgd.started");
    fresh = where(started > 0, 1 - dampening, 1);
    group.set(started, where(started > 0, started, 1));
  }
  for (const Group::Item& item : group.items()) {
    Tensor g = decayed(item, weight_decay);
    if (momentum != 0) {
      const Tensor b = group.state("sgd.b", item);
      const Tensor share = dampening != 0 ? g * fresh : g;
      const Tensor b_next = group.set(item, b, b * momentum + share);
      g = nesterov ? g + b_next * momentum : b_next;
    }
    group.set(item, item.parameter, item.parameter - group.learning_rate() * g);
  }
}

void Adam::record(Group& group) const {
  check_adam("Adam", *this);
  const AdamSteps steps(group, "adam", beta1, beta2, epsilon);
  for (const Group::Item& item : group.items())
    steps.record(group, item, item.parameter, decayed(item, weight_decay));
}

void AdamW::record(Group& group) const {
  check_adam("AdamW", *this);
  const AdamSteps steps(group, "adamw", beta1, beta2, epsilon);
  const Tensor decay = weight_decay == 0 ? Tensor() : group.learning_rate() * weight_decay;
  for (const Group::Item& item : group.items())
    steps.record(group, item,
                 weight_decay == 0 ? item.parameter : item.parameter - item.parameter * decay,
                 item.gradient);
}

void RMSprop::record(Group& group) const {
  check_below_one("RMSprop", "alpha", alpha);
  check_at_least_zero("RMSprop", "epsilon", epsilon);
  check_at_least_zero("RMSprop", "momentum", momentum);
  check_at_least_zero("RMSprop", "weight_decay", weight_decay);
  for (const Group::Item& item : group.items()) {
    const Tensor g = decayed(item, weight_decay);
    const Tensor v = group.state("rmsprop.v", item);
    Tensor spread = group.set(item, v, v * alpha + g * g * (1 - alpha));
    if (centered) {
      const Tensor a = group.state("rmsprop.a", item);
      const Tensor a_next = group.set(item, a, a * alpha + g * (1 - alpha));
      spread = relu(spread - a_next * a_next);
    }
    Tensor step = g / (sqrt(spread) + epsilon);
    if (momentum != 0) {
      const Tensor b = group.state("rmsprop.b", item);
      step = group.set(item, b, step + b * momentum);
    }
    group.set(item, item.parameter, item.parameter - group.learning_rate() * step);
  }
}

}  // namespace taper::optim
