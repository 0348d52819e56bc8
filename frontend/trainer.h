// Training loops: epochs over data loaders around a compiled step.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "frontend/compile.h"
#include "frontend/data/loader.h"
#include "frontend/history.h"
#include "frontend/metrics.h"
#include "frontend/schedule.h"
#include "frontend/trainer_state.h"

namespace taper {

// What a callback wants.
enum class Next { go_on, stop };

struct StepReport {
  std::int64_t step = 0;  // of the whole training, from 0
  std::int64_t epoch = 0, batch = 0;
  float loss = 0;
  float learning_rate = 0;
};

// Called in the thread of fit(). What it throws leaves fit().
struct Callback {
  std::function<Next(const StepReport&)> after_step = {};
  std::function<Next(const EpochRecord&)> after_epoch = {};
};

// What makes an epoch the best: the least loss or the highest accuracy, of the validation set if
// there is one.
enum class Monitor { loss, accuracy };

struct FitOptions {
  std::int64_t epochs = 1;
  // The rate of each step of the training; without it the step's own is used. With gradient
  // accumulation a step is a call, not an update.
  optim::Schedule learning_rate = {};
  // Instead of it: gets the monitored number after each epoch and sets the step's rate. Its state
  // is in the checkpoints.
  optim::ReduceOnPlateau* on_plateau = nullptr;
  Monitor monitor = Monitor::loss;
  std::int64_t patience = 0;  // stop after so many epochs without a new best one; 0: never
  // A live line on standard output; at an epoch's end with the fingerprint of all variables.
  bool progress = true;
  // Files that load_checkpoint reads, replaced as a whole; no path: none. The first is written
  // after each epoch and, if checkpoint_steps > 0, whenever so many steps are done; the second
  // after each epoch that is the best so far.
  std::filesystem::path checkpoint = {};
  std::int64_t checkpoint_steps = 0;
  std::filesystem::path best = {};
  // First go on where `checkpoint` is, bit for bit, when that file exists.
  bool resume = false;
  std::vector<Callback> callbacks = {};
};

enum class Ended { all_epochs, no_better, callback, not_finite };

struct FitResult {
  Ended ended = Ended::all_epochs;
  std::int64_t best_epoch = 0;  // from 1; 0: there was none
  std::string error = {};       // of a loss that was not finite
};

// The mean loss and the accuracy of `evaluate` over the loader's current epoch. Its inputs are the
// loader's inputs and targets, its output 0 is the mean loss of a batch, and its output 1, if there
// is one and the targets are i32, the scores f32[N, classes].
Metrics evaluate(Function& function, data::DataLoader& loader);

// One training of one model. Its inputs are those of the loaders, of any rank.
class Trainer {
 public:
  // Of `step` the extra output 0, if there is one, is the scores; `evaluate` is as above and
  // may be null when there is no validation set. Both must outlive the trainer.
  explicit Trainer(TrainingStep& step, Function* evaluate = nullptr)
      : step_(step), evaluate_(evaluate) {}

  // Trains up to the end of epoch `options.epochs` from where the training is: at its begin, or
  // after what an earlier call did. A loss that is not finite ends it; the weights of the last
  // good step and the history stay. Any other error is thrown, and the history stays too.
  FitResult fit(data::DataLoader& train, data::DataLoader* validation, const FitOptions& options);

  const History& history() const { return state_.history; }

 private:
  class Run;

  TrainingStep& step_;
  Function* evaluate_;
  TrainerState state_;
};

}  // namespace taper
