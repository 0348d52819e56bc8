// Optimizers: they record their updates on a tape, so that a step is one compiled program.
//
// A rule (SGD, Adam, AdamW, RMSprop, or a struct of your own) says how one parameter follows its
// gradient; an Optimizer is a rule for all parameters, perhaps others for groups of them, and
// gradient clipping. `compile(loss, optim::Adam{}, ...)` makes the one from the other.
//
// Every rule below is PyTorch's and is defined to the bit: the formulas are evaluated in f32 as
// they stand, products and divisions before sums, each from left to right, every operation rounded
// to nearest and none contracted, with hyperparameters rounded to f32 once (differences such as 1 -
// beta are formed before rounding). Scalar factors in brackets are computed once per step. All
// states start at zero. g is the gradient after clipping; where weight_decay is zero its line is
// left out.
#pragma once

#include <concepts>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "frontend/tape.h"

namespace taper::optim {

// A parameter and the gradient of the loss with respect to it.
struct Gradient {
  Tensor parameter, value;
};
// One for every parameter of `tape` that `loss` depends on, in the order of recording. Throws
// taper::Error when there is none.
std::vector<Gradient> gradients_of(Tape& tape, const Tensor& loss);

// The parameters of one group, while a rule records their update.
class Group {
 public:
  struct Item {
    std::string name;  // of the parameter on the tape
    Tensor parameter, gradient;
    Tensor accepted;  // bool, of the parameter's shape
  };
  Group(Tape& tape, std::vector<Item> items, Tensor learning_rate, Tensor accepted);

  const std::vector<Item>& items() const { return items_; }
  const Tensor& learning_rate() const { return learning_rate_; }  // f32[]

  // A new state, zero at first: one like the parameter, named KIND.PARAMETER, or one number.
  Tensor state(const std::string& kind, const Item& item);
  Tensor state(const std::string& name);
  // `variable` (the parameter or a state) becomes `value` where the step is accepted. Returns what
  // it becomes, which a rule should go on with: the old contents and `value` are then needed no
  // more.
  Tensor set(const Item& item, const Tensor& variable, const Tensor& value);
  Tensor set(const Tensor& number, const Tensor& value);

 private:
  Tape& tape_;
  std::vector<Item> items_;
  Tensor learning_rate_, accepted_;
};

template <class R>
concept Rule = requires(const R& rule, Group& group) {
  { rule.learning_rate } -> std::convertible_to<float>;
  rule.record(group);
};

// torch.optim.SGD.
//   g = g + weight_decay p
//   b = momentum b + [1 - dampening] g      (in the first step b = g)
//   g = g + momentum b                      (nesterov; else g = b)
//   p = p - rate g
// Without momentum there is no b. States: sgd.b.NAME, and sgd.started when dampening is not 0.
struct SGD {
  float learning_rate = 1e-3f;  // the value a TrainingStep starts with
  double momentum = 0;
  double dampening = 0;
  double weight_decay = 0;
  bool nesterov = false;

  void record(Group& group) const;
};

// torch.optim.Adam (Kingma and Ba, 2015). The bias corrections q = 1 - beta^t are kept as state and
// advanced by q = beta q + (1 - beta), which stays accurate in f32.
//   g = g + weight_decay p
//   m = m beta1 + g (1 - beta1)
//   v = v beta2 + g g (1 - beta2)
//   p = p - [rate / q1 sqrt(q2)] (m / (sqrt(v) + [epsilon sqrt(q2)]))
// The last line is PyTorch's with its quotient extended by sqrt(q2), which saves a division.
// States: adam.m.NAME, adam.v.NAME, adam.correction1, adam.correction2.
struct Adam {
  float learning_rate = 1e-3f;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0;

  void record(Group& group) const;
};

// torch.optim.AdamW (Loshchilov and Hutter, 2019): Adam without its first line, and with p replaced
// by p - p [rate weight_decay] in its last. States: as Adam's, with the prefix adamw.
struct AdamW {
  float learning_rate = 1e-3f;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 1e-2;

  void record(Group& group) const;
};

// torch.optim.RMSprop.
//   g = g + weight_decay p
//   v = v alpha + g g (1 - alpha)
//   a = a alpha + g (1 - alpha)             (centered)
//   d = sqrt(v) + epsilon                   (centered: sqrt(max(v - a a, 0)) + epsilon)
//   b = g / d + b momentum                  (momentum)
//   p = p - rate b                          (without momentum: p - rate (g / d))
// States: rmsprop.v.NAME, rmsprop.a.NAME, rmsprop.b.NAME.
struct RMSprop {
  float learning_rate = 1e-2f;
  double alpha = 0.99;
  double epsilon = 1e-8;
  double momentum = 0;
  double weight_decay = 0;
  bool centered = false;

  void record(Group& group) const;
};

class Optimizer {
 public:
  // `rule` for every parameter that is in no group.
  template <Rule R>
  Optimizer(const R& rule)
      : learning_rate_(rule.learning_rate), rule_([rule](Group& group) { rule.record(group); }) {}

  // Other hyperparameters, or another rule, for some parameters, at `multiplier` times the learning
  // rate of the step (the rule's own learning_rate does not count). `parameters` holds variables,
  // or pairs of a name and a variable as Module::parameters() does.
  template <class Range, Rule R>
  Optimizer& group(const Range& parameters, const R& rule, double multiplier = 1) {
    std::set<const Variable*> members;
    for (const auto& parameter : parameters) members.insert(variable_of(parameter));
    return add_group(
        std::move(members), [rule](Group& group) { rule.record(group); }, multiplier);
  }
  // torch.nn.utils.clip_grad_norm_ over all parameters: g = g min([maximum / (norm + 1e-6)], 1),
  // the norm being the square root of the sum, over parameters in order, of sum(g g).
  Optimizer& clip_norm(double maximum);
  // torch.nn.utils.clip_grad_value_: g = min(max(g, -limit), limit). Comes before clip_norm.
  Optimizer& clip_value(double limit);

  float learning_rate() const { return learning_rate_; }

  // Records the update of every parameter of `tape` that `loss` depends on; `learning_rate` is
  // f32[]. A loss that is not finite changes nothing.
  void record(Tape& tape, const Tensor& loss, const Tensor& learning_rate) const;

  // The same for gradients that the caller has made. `trip` (f32[]) is zero, or NaN to reject the
  // step: no variable changes then. Nor does any element whose gradient is not finite, or its
  // states. Returns the trip of the step, which is NaN also where the norm for clip_norm is not
  // finite.
  Tensor record(Tape& tape, const std::vector<Gradient>& gradients, const Tensor& learning_rate,
                const Tensor& trip) const;

 private:
  using Record = std::function<void(Group&)>;
  struct Special {
    std::set<const Variable*> members;
    Record record;
    double multiplier;
  };

  static const Variable* variable_of(const std::shared_ptr<Variable>& v) { return v.get(); }
  template <class Name>
  static const Variable* variable_of(const std::pair<Name, std::shared_ptr<Variable>>& named) {
    return named.second.get();
  }
  Optimizer& add_group(std::set<const Variable*> members, Record record, double multiplier);
  std::vector<Tensor> clipped(const std::vector<Gradient>& gradients, Tensor& trip) const;

  float learning_rate_;
  Record rule_;
  std::vector<Special> groups_;
  double clip_norm_ = 0, clip_value_ = 0;  // 0: none
};

}  // namespace taper::optim
