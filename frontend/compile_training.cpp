// What a training step is made of: the recorded model, gradients, the optimizer and the guard.
#include <fmt/format.h>

#include <cmath>

#include "frontend/compile.h"
#include "frontend/ops.h"

namespace taper {
namespace {

using Shared = std::shared_ptr<Variable>;

// States of gradient accumulation, shared by the two programs of a step.
struct Sums {
  Shared count;
  std::vector<Shared> sums;  // of the gradients, in their order
};

void check(const Tensor& loss, const TrainingOptions& training) {
  if (ir::element_count(loss.shape(), 2) != 1)
    throw Error(loss.tape().graph()[loss.id()].location, "compile: the loss is {}, not one number",
                ir::to_string(loss.shape()));
  if (training.accumulate < 1)
    throw Error("compile: {} calls cannot make an update", training.accumulate);
}

Sums make_sums(const Tensor& loss, const TrainingOptions& training) {
  if (training.accumulate < 2) return {};
  Sums sums{std::make_shared<Variable>("accumulated.count", ir::TensorType{DType::f32, {}}), {}};
  Tape tape(loss.tape());
  for (const optim::Gradient& g : optim::gradients_of(tape, Tensor(tape, loss.id())))
    sums.sums.push_back(
        std::make_shared<Variable>(fmt::format("accumulated.{}", name_of(g.parameter)),
                                   ir::TensorType{DType::f32, g.parameter.shape()}));
  return sums;
}

// Zero, or NaN where the guard rejects the step.
Tensor trip_of(const Tensor& loss, const std::vector<optim::Gradient>& gradients, Guard guard) {
  Tensor trip = reshape(loss, {}) * 0;
  if (guard == Guard::loss) return trip;
  for (const optim::Gradient& g : gradients) trip = trip + sum(g.value) * 0;
  return trip;
}

// Wraps the updates that the model itself has recorded: they must not outlive a rejected step.
void guard_updates(Tape& tape, const std::vector<ir::Update>& own, const Tensor& accepted) {
  for (const ir::Update& update : own) {
    const Tensor variable(tape, update.variable);
    const Tensor value(tape, update.value);
    tape.update(variable, where(accepted, value, variable));
  }
}

// The program of a call: the one that makes the update, with `optimizer`, or, without, the one that
// only adds its gradients to the sums.
Function program_of(const Tensor& model_loss, const optim::Optimizer* optimizer,
                    const std::vector<Tensor>& outputs, const CompileOptions& options,
                    const TrainingOptions& training, const Sums& sums) {
  Tape tape(model_loss.tape());
  const std::vector<ir::Update> own = tape.graph().updates;
  const Tensor loss(tape, model_loss.id());
  std::vector<optim::Gradient> gradients = optim::gradients_of(tape, loss);
  Tensor trip = trip_of(loss, gradients, training.guard);
  if (optimizer != nullptr) {
    for (std::size_t i = 0; i < sums.sums.size(); ++i)
      gradients[i].value = (tape.state(sums.sums[i]) + gradients[i].value) / training.accumulate;
    trip = optimizer->record(tape, gradients, tape.input("learning_rate", {}), trip);
  }
  const Tensor accepted = equal(trip, 0);
  guard_updates(tape, own, accepted);
  const auto become = [&](const Shared& variable, const auto& next) {
    const Tensor old = tape.state(variable);
    const Tensor value =
        optimizer != nullptr ? broadcast_to(tape.scalar(0), old.shape()) : next(old);
    tape.update(old, where(accepted, value, old));
  };
  for (std::size_t i = 0; i < sums.sums.size(); ++i)
    become(sums.sums[i], [&](const Tensor& sum) { return sum + gradients[i].value; });
  if (sums.count) become(sums.count, [](const Tensor& count) { return count + 1; });
  std::vector<Tensor> all{loss, trip};
  all.insert(all.end(), outputs.begin(), outputs.end());
  return Function(tape, all, options, Mode::train);
}

}  // namespace

TrainingStep::TrainingStep(const Tensor& loss, const optim::Optimizer& optimizer,
                           const std::vector<Tensor>& outputs, const CompileOptions& options,
                           const TrainingOptions& training)
    : learning_rate(optimizer.learning_rate()), programs_([&] {
        check(loss, training);
        const Sums sums = make_sums(loss, training);
        Programs programs{program_of(loss, &optimizer, outputs, options, training, sums),
                          {},
                          sums.count,
                          training.accumulate};
        if (sums.count)
          programs.accumulate = program_of(loss, nullptr, outputs, options, training, sums);
        return programs;
      }()) {
  views_.reserve(programs_.update.inputs().size());
}

float TrainingStep::run(std::span<const InputView> inputs) {
  const auto* count =
      programs_.count ? static_cast<const float*>(programs_.count->data()) : nullptr;
  updated_ = count == nullptr || *count + 1 >= static_cast<float>(programs_.accumulate_calls);
  views_.assign(inputs.begin(), inputs.end());
  if (updated_) views_.emplace_back(std::span(&learning_rate, 1));
  Function& function = updated_ ? programs_.update : *programs_.accumulate;
  const float loss = function.run(views_)[0];
  ++calls;
  if (function.output(1)[0] != 0) reject(loss);
  return loss;
}

void TrainingStep::reject(float loss) const {
  const bool is_loss = !std::isfinite(loss);
  const std::string what =
      is_loss ? fmt::format("the loss is {}", loss) : "a gradient or its norm is not finite";
  const auto cause = last().first_non_finite(is_loss ? 0 : 1);
  const std::string end = "no parameter and no state has changed";
  if (!cause)
    throw NonFiniteError("training step {}: {}, though all is finite in the interpreter; {}", calls,
                         what, end);
  throw NonFiniteError(cause->location,
                       "training step {}: {}; the first value that is not finite is {}; {}", calls,
                       what, cause->value, end);
}

TrainingStep compile(const Tensor& loss, const optim::Optimizer& optimizer,
                     const CompileOptions& options, const std::vector<Tensor>& outputs,
                     const TrainingOptions& training) {
  return TrainingStep(loss, optimizer, outputs, options, training);
}

}  // namespace taper
