#include "frontend/trainer.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <limits>

#include "frontend/fingerprint.h"
#include "frontend/progress.h"
#include "ir/error.h"

namespace taper {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void check_options(const FitOptions& options, const Function* evaluate,
                   const data::DataLoader* validation) {
  if (options.epochs < 0 || options.patience < 0)
    throw Error("fit: {} epochs with a patience of {} make no sense", options.epochs,
                options.patience);
  if (options.learning_rate && options.on_plateau != nullptr)
    throw Error("fit: there are two learning rates, learning_rate and on_plateau");
  if (validation != nullptr && evaluate == nullptr)
    throw Error("fit: there is a validation set but no function to evaluate it with");
}

TrainerState resumed(const std::filesystem::path& path, const Variables& variables) {
  // First without the variables: a file of another kind must not change them.
  TrainerState::restored({.user = safetensors::File(path).metadata()}, path);
  return TrainerState::restored(load_checkpoint(path, variables), path);
}

}  // namespace

Metrics evaluate(Function& function, data::DataLoader& loader) {
  const bool scored = function.output_count() > 1;
  Metrics metrics;
  loader.start_epoch(loader.position().epoch);
  for (data::Batch batch = loader.next(); batch.size > 0; batch = loader.next()) {
    const double loss = static_cast<double>(function(batch.inputs, batch.targets)[0]);
    metrics.add(loss, batch.size, scored ? function.output(1) : std::span<const float>{},
                batch.targets);
  }
  return metrics;
}

// One call of fit().
class Trainer::Run {
 public:
  Run(Trainer& trainer, data::DataLoader& train, data::DataLoader* validation,
      const FitOptions& options)
      : trainer_(trainer),
        state_(trainer.state_),
        train_(train),
        validation_(validation),
        options_(options),
        progress_(options.epochs, train.samples(), epoch()) {}

  FitResult run() {
    train_.seek(state_.at);
    if (options_.on_plateau != nullptr) trainer_.step_.learning_rate = options_.on_plateau->rate();
    while (epoch() < options_.epochs && result_.ended == Ended::all_epochs)
      if (out_of_patience())
        result_.ended = Ended::no_better;
      else if (train_epoch())
        end_epoch();
    result_.best_epoch = state_.best_epoch;
    return result_;
  }

 private:
  std::int64_t epoch() const { return static_cast<std::int64_t>(state_.at.epoch); }

  // False when it breaks off before the epoch's end.
  bool train_epoch() {
    progress_.start_epoch(epoch(), state_.sums.samples);
    const Clock::time_point start = Clock::now();
    const double before = state_.seconds;
    for (data::Batch batch = train_.next(); batch.size > 0; batch = train_.next()) {
      const bool good = one_step(batch);
      state_.seconds = before + seconds_since(start);
      if (!good) return false;
      if (options_.progress)
        progress_.update(state_.sums.samples, state_.sums.loss(), state_.sums.accuracy());
      if (result_.ended != Ended::all_epochs && state_.at.batch < train_.batches()) return false;
    }
    return true;
  }

  // False when the loss is not finite.
  bool one_step(const data::Batch& batch) {
    TrainingStep& step = trainer_.step_;
    if (options_.learning_rate) step.learning_rate = options_.learning_rate(state_.steps);
    StepReport report{state_.steps, epoch(), state_.at.batch, 0, step.learning_rate};
    try {
      report.loss = step(batch.inputs, batch.targets);
    } catch (const NonFiniteError& error) {
      result_.ended = Ended::not_finite;
      result_.error = error.what();
      return false;
    }
    const bool scored = step.output_count() > 0;
    state_.sums.add(static_cast<double>(report.loss), batch.size,
                    scored ? step.output(0) : std::span<const float>{}, batch.targets);
    ++state_.steps;
    state_.at = train_.position();
    const std::int64_t every = options_.checkpoint_steps;
    if (every > 0 && state_.steps % every == 0 && state_.at.batch < train_.batches())
      save(options_.checkpoint);
    for (const Callback& callback : options_.callbacks)
      if (callback.after_step && callback.after_step(report) == Next::stop)
        result_.ended = Ended::callback;
    return true;
  }

  void end_epoch() {
    const EpochRecord record = measured();
    state_.history.epochs.push_back(record);
    if (options_.progress)
      progress_.end_epoch(state_.sums.samples, record.loss, record.accuracy, note(record));
    const bool better = is_better(record);
    if (options_.on_plateau != nullptr) {
      trainer_.step_.learning_rate = (*options_.on_plateau)(monitored(record));
      state_.plateau = options_.on_plateau->state();
    }
    state_.at = {state_.at.epoch + 1, 0};
    state_.sums = {};
    state_.seconds = 0;
    train_.seek(state_.at);
    if (better) save(options_.best);
    save(options_.checkpoint);
    for (const Callback& callback : options_.callbacks)
      if (callback.after_epoch && callback.after_epoch(record) == Next::stop)
        result_.ended = Ended::callback;
  }

  bool out_of_patience() const {
    return options_.patience > 0 && !state_.history.epochs.empty() &&
           epoch() - state_.best_epoch >= options_.patience;
  }

  void save(const std::filesystem::path& path) const {
    if (!path.empty()) save_checkpoint(path, trainer_.step_.variables(), state_.saved());
  }

  EpochRecord measured() {
    constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
    const Metrics& sums = state_.sums;
    EpochRecord record{epoch() + 1, sums.loss(), sums.accuracy(), kNone, kNone};
    record.learning_rate = static_cast<double>(trainer_.step_.learning_rate);
    record.seconds = state_.seconds;
    record.images_per_second = static_cast<double>(sums.samples) / state_.seconds;
    if (validation_ == nullptr) return record;
    const Metrics metrics = evaluate(*trainer_.evaluate_, *validation_);
    record.validation_loss = metrics.loss();
    record.validation_accuracy = metrics.accuracy();
    return record;
  }

  double monitored(const EpochRecord& record) const {
    if (options_.monitor == Monitor::accuracy)
      return validation_ != nullptr ? record.validation_accuracy : record.accuracy;
    return validation_ != nullptr ? record.validation_loss : record.loss;
  }

  bool is_better(const EpochRecord& record) {
    const double sign = options_.monitor == Monitor::accuracy ? 1 : -1;
    const double value = sign * monitored(record);
    if (std::isnan(value) || (state_.best_epoch > 0 && value <= state_.best)) return false;
    state_.best = value;
    state_.best_epoch = record.epoch;
    return true;
  }

  std::string note(const EpochRecord& record) const {
    const std::string bits =
        fmt::format("  fingerprint {:016x}", fingerprint(trainer_.step_.variables()));
    if (!std::isnan(record.validation_accuracy))
      return fmt::format("  validation {:.2f} %{}", 100 * record.validation_accuracy, bits);
    if (!std::isnan(record.validation_loss))
      return fmt::format("  validation {:.4f}{}", record.validation_loss, bits);
    return bits;
  }

  Trainer& trainer_;
  TrainerState& state_;
  data::DataLoader& train_;
  data::DataLoader* validation_;
  const FitOptions& options_;
  Progress progress_;
  FitResult result_;
};

FitResult Trainer::fit(data::DataLoader& train, data::DataLoader* validation,
                       const FitOptions& options) {
  check_options(options, evaluate_, validation);
  if (options.resume && std::filesystem::exists(options.checkpoint)) {
    state_ = resumed(options.checkpoint, step_.variables());
    if (options.on_plateau != nullptr) options.on_plateau->restore(state_.plateau);
  }
  step_.calls = state_.steps;
  return Run(*this, train, validation, options).run();
}

}  // namespace taper
