// Learning-rate schedules: the rate of step 0, 1, ..., for TrainingStep::learning_rate. The
// formulas are those of torch.optim.lr_scheduler. Each is a plain value; all but ReduceOnPlateau
// are functions of the step alone, computed in double and rounded once, and keep their last value
// beyond their end. A call throws taper::Error where a length is not positive, a factor is negative
// or not finite, or the step is negative.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

namespace taper::optim {

struct Constant {
  double rate;

  float operator()(std::int64_t step) const;
};

// StepLR: initial gamma^floor(step / size).
struct StepDecay {
  double initial;
  std::int64_t size;
  double gamma = 0.1;

  float operator()(std::int64_t step) const;
};

// MultiStepLR: initial gamma^(number of milestones at or before the step). Milestones ascend.
struct MultiStepDecay {
  double initial;
  std::vector<std::int64_t> milestones;
  double gamma = 0.1;

  float operator()(std::int64_t step) const;
};

// ExponentialLR: initial gamma^step.
struct ExponentialDecay {
  double initial;
  double gamma;

  float operator()(std::int64_t step) const;
};

// CosineAnnealingLR (Loshchilov and Hutter, 2017): from `initial` at step 0 down half a cosine to
// `minimum` at step `steps`, and there it stays.
struct CosineAnnealing {
  double initial;
  std::int64_t steps;
  double minimum = 0;

  float operator()(std::int64_t step) const;
};

// CosineAnnealingWarmRestarts: the same from `initial` again after `period` steps, then after
// `period` times `growth`, and so on for ever.
struct CosineWarmRestarts {
  double initial;
  std::int64_t period;
  std::int64_t growth = 1;
  double minimum = 0;

  float operator()(std::int64_t step) const;
};

// LinearLR: `initial` times a factor that goes from `start` at step 0 straight to `end` at step
// `steps`.
struct LinearWarmup {
  double initial;
  std::int64_t steps;
  double start = 1.0 / 3;
  double end = 1;

  float operator()(std::int64_t step) const;
};

// OneCycleLR (Smith and Topin, 2019) with cosine annealing: from maximum / 25 up to `maximum`
// during the first 30 % of the steps, then down to maximum / 250,000.
struct OneCycle {
  double maximum;
  std::int64_t steps;

  float operator()(std::int64_t step) const;
};

using Schedule = std::function<float(std::int64_t step)>;

// SequentialLR: schedule i from step milestones[i - 1] on, where it starts at its own step 0.
// Milestones ascend and are one fewer than the schedules.
struct Sequence {
  std::vector<Schedule> schedules;
  std::vector<std::int64_t> milestones;

  float operator()(std::int64_t step) const;
};

// ReduceLROnPlateau: multiplies the rate by `factor` after more than `patience` epochs without a
// better metric, and counts none in the `cooldown` epochs that follow.
class ReduceOnPlateau {
 public:
  enum class Better { lower, higher };
  enum class Threshold { relative, absolute };
  struct Options {
    Better better = Better::lower;
    double factor = 0.1;  // in [0, 1)
    std::int64_t patience = 10;
    // A metric is better when it beats the best one by this fraction of it, or by this.
    double threshold = 1e-4;
    Threshold threshold_mode = Threshold::relative;
    std::int64_t cooldown = 0;
    double minimum = 0;
    double least_change = 1e-8;  // smaller reductions are left out (PyTorch's eps)
  };
  struct State {
    double rate = 0;
    double best = 0;
    std::int64_t bad_epochs = 0, cooldown = 0;  // since the best one, and that are left
    bool operator==(const State&) const = default;
  };

  explicit ReduceOnPlateau(double initial, const Options& options = default_options());

  // The metric of the epoch that has ended; returns the rate of the next one.
  float operator()(double metric);
  float rate() const { return static_cast<float>(state_.rate); }

  const State& state() const { return state_; }
  void restore(const State& state) { state_ = state; }

 private:
  static Options default_options() { return {}; }
  bool is_better(double metric) const;

  Options options_;
  State state_;
};

}  // namespace taper::optim
