// The trainer: what it measures, when it stops, what it keeps, and that it resumes bit for bit.
#include <gtest/gtest.h>
#include <taper/taper.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "ir/eval.h"
#include "temporary_folder.h"

namespace taper {
namespace {

double noise(std::uint64_t index, std::uint64_t stream) {
  return ir::philox(index, 0, stream, 11) * 0x1p-32 - 0.5;
}

// Two rings of points: learnable, but not by a line.
data::Dataset rings(std::int64_t count, std::uint64_t stream) {
  std::vector<float> points;
  std::vector<std::int32_t> classes;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto index = static_cast<std::uint64_t>(i);
    const double angle = 6.2831853 * noise(index, stream);
    const double radius = (i % 2 == 0 ? 0.5 : 1.5) + 0.3 * noise(index, stream + 1);
    points.push_back(static_cast<float>(radius * std::cos(angle)));
    points.push_back(static_cast<float>(radius * std::sin(angle)));
    classes.push_back(static_cast<std::int32_t>(i % 2));
  }
  return data::Dataset(data::Array(points, {2}), classes);
}

struct Variant {
  int prefetch = 0;
  std::uint64_t seed = 1;
  std::int64_t samples = 200, batch = 32;
  int accumulate = 1;
};

// A model with its loaders and compiled functions.
struct Setting {
  explicit Setting(const Variant& v = {})
      : train(rings(v.samples, 1),
              {.batch = v.batch, .shuffle = true, .seed = 3, .prefetch = v.prefetch}),
        validation(rings(90, 7), {.batch = 32}) {
    manual_seed(v.seed);
    const Tensor x = tape.input("points", {N, 2});
    const Tensor labels = tape.input("classes", {N}, DType::i32);
    model = std::make_unique<nn::Sequential>(
        nn::Sequential{nn::Linear(2, 16), nn::ReLU(), nn::Linear(16, 2)});
    const Tensor logits = (*model)(x);
    const Tensor loss = cross_entropy(logits, labels);
    step = std::make_unique<TrainingStep>(
        compile(loss, optim::Adam{}, options(), {logits}, {.accumulate = v.accumulate}));
    evaluation = std::make_unique<Function>(compile({loss, logits}, options()));
  }
  static CompileOptions options() { return {.max_batch = 32, .threads = 1}; }

  std::vector<std::vector<float>> weights() const {
    std::vector<std::vector<float>> all;
    for (const auto& [name, variable] : model->parameters()) all.push_back(variable->read());
    return all;
  }

  Tape tape;
  std::unique_ptr<nn::Sequential> model;
  std::unique_ptr<TrainingStep> step;
  std::unique_ptr<Function> evaluation;
  data::DataLoader train, validation;
};

float rate(std::int64_t step) {
  return static_cast<float>(0.01 / (1 + 0.01 * static_cast<double>(step)));
}

using TrainerFiles = TemporaryFolder;

TEST(Trainer, LearnsAndMeasures) {
  Setting s;
  Trainer trainer(*s.step, s.evaluation.get());
  const FitResult result =
      trainer.fit(s.train, &s.validation, {.epochs = 30, .learning_rate = rate, .progress = false});
  EXPECT_EQ(result.ended, Ended::all_epochs);
  const auto& epochs = trainer.history().epochs;
  ASSERT_EQ(epochs.size(), 30u);
  EXPECT_GT(epochs.back().accuracy, 0.97);
  EXPECT_GT(epochs.back().validation_accuracy, 0.97);
  EXPECT_LT(epochs.back().loss, epochs.front().loss / 3);
  EXPECT_EQ(epochs.back().epoch, 30);
  EXPECT_EQ(static_cast<float>(epochs.back().learning_rate), rate(30 * 7 - 1));
  EXPECT_GT(epochs.back().images_per_second, 0);
  const Metrics now = evaluate(*s.evaluation, s.validation);
  EXPECT_EQ(now.loss(), epochs.back().validation_loss);
  EXPECT_EQ(now.samples, 90);
}

TEST(Trainer, DoesTheStepsThatALoopOverTheLoaderWouldDo) {
  Setting by_hand, fitted({.prefetch = 2});
  for (std::uint64_t epoch = 0; epoch < 3; ++epoch) {
    by_hand.train.start_epoch(epoch);
    for (auto batch = by_hand.train.next(); batch.size > 0; batch = by_hand.train.next())
      (*by_hand.step)(batch.inputs, batch.targets);
  }
  Trainer trainer(*fitted.step);
  trainer.fit(fitted.train, nullptr, {.epochs = 2, .progress = false});
  trainer.fit(fitted.train, nullptr, {.epochs = 3, .progress = false});
  EXPECT_EQ(trainer.history().epochs.size(), 3u);
  EXPECT_TRUE(std::isnan(trainer.history().epochs.back().validation_loss));
  EXPECT_EQ(by_hand.weights(), fitted.weights());
}

TEST(Trainer, AccumulationFollowsTheLargerBatch) {
  Setting large({.samples = 192, .batch = 32}),
      small({.samples = 192, .batch = 16, .accumulate = 2});
  const FitOptions options{.epochs = 5, .progress = false};
  Trainer reference(*large.step), trainer(*small.step);
  reference.fit(large.train, nullptr, options);
  trainer.fit(small.train, nullptr, options);
  const auto expected = large.weights(), got = small.weights();
  for (std::size_t p = 0; p < got.size(); ++p)
    for (std::size_t i = 0; i < got[p].size(); ++i)
      EXPECT_NEAR(got[p][i], expected[p][i], 1e-4) << p << " " << i;
  for (std::size_t epoch = 0; epoch < 5; ++epoch)
    EXPECT_NEAR(trainer.history().epochs[epoch].loss, reference.history().epochs[epoch].loss, 1e-4);
}

TEST(Trainer, EarlyStoppingWaitsForItsPatience) {
  Setting s;
  s.step->learning_rate = 0;  // nothing gets better after the first epoch
  Trainer trainer(*s.step, s.evaluation.get());
  const FitOptions options{.epochs = 50, .patience = 3, .progress = false};
  const FitResult result = trainer.fit(s.train, &s.validation, options);
  EXPECT_EQ(result.ended, Ended::no_better);
  EXPECT_EQ(result.best_epoch, 1);
  EXPECT_EQ(trainer.history().epochs.size(), 4u);
}

TEST(Trainer, CallbacksSeeEveryStepAndMayStop) {
  Setting s;
  Trainer trainer(*s.step);
  std::vector<StepReport> reports;
  int epochs = 0;
  FitOptions options{.epochs = 5, .progress = false};
  options.callbacks.push_back({.after_step =
                                   [&](const StepReport& report) {
                                     reports.push_back(report);
                                     return report.step == 9 ? Next::stop : Next::go_on;
                                   },
                               .after_epoch =
                                   [&](const EpochRecord&) {
                                     ++epochs;
                                     return Next::go_on;
                                   }});
  EXPECT_EQ(trainer.fit(s.train, nullptr, options).ended, Ended::callback);
  ASSERT_EQ(reports.size(), 10u);
  EXPECT_EQ(epochs, 1);
  EXPECT_EQ(reports.back().epoch, 1);
  EXPECT_EQ(reports.back().batch, 2);
  EXPECT_TRUE(std::isfinite(reports.back().loss));
  // The next call goes on with the next batch, and the result is that of an uninterrupted training.
  options.callbacks.clear();
  trainer.fit(s.train, nullptr, options);
  Setting whole;
  Trainer reference(*whole.step);
  reference.fit(whole.train, nullptr, options);
  EXPECT_EQ(s.weights(), whole.weights());
  for (std::size_t i = 0; i < 5; ++i)
    EXPECT_EQ(trainer.history().epochs[i].loss, reference.history().epochs[i].loss);
}

TEST(Trainer, ALossThatIsNotFiniteEndsItWithTheHistory) {
  Setting s;
  Trainer trainer(*s.step, s.evaluation.get());
  FitOptions options{.epochs = 4, .progress = false};
  options.learning_rate = [](std::int64_t step) {
    return step < 10 ? 1e-3f : std::numeric_limits<float>::max();
  };
  const FitResult result = trainer.fit(s.train, &s.validation, options);
  EXPECT_EQ(result.ended, Ended::not_finite);
  EXPECT_FALSE(result.error.empty());
  EXPECT_EQ(trainer.history().epochs.size(), 1u);
}

TEST(Trainer, WhatTheDataThrowsComesOutAndTheHistoryStays) {
  Setting s;
  const data::SampleType point{DType::f32, {2}}, label{DType::i32, {}};
  int reads = 0;
  data::DataLoader broken(
      data::Dataset(64, point, label,
                    [&](std::int64_t, std::span<std::byte> input, std::span<std::byte> target) {
                      if (++reads > 100) throw Error("the disk is gone");
                      std::fill(input.begin(), input.end(), std::byte{0});
                      std::fill(target.begin(), target.end(), std::byte{0});
                    }),
      {.batch = 32, .prefetch = 1});
  Trainer trainer(*s.step);
  EXPECT_THROW(trainer.fit(broken, nullptr, {.epochs = 9, .progress = false}), Error);
  EXPECT_EQ(trainer.history().epochs.size(), 1u);
}

TEST(Trainer, RefusesNonsense) {
  Setting s;
  Trainer trainer(*s.step);
  EXPECT_THROW(trainer.fit(s.train, &s.validation, {.progress = false}), Error);
  EXPECT_THROW(trainer.fit(s.train, nullptr, {.epochs = -1, .progress = false}), Error);
}

TEST(Trainer, RegressionOfAnyRankHasNoAccuracy) {
  std::vector<float> inputs, targets;
  for (std::uint64_t i = 0; i < 768; ++i) inputs.push_back(static_cast<float>(noise(i, 3)));
  for (std::size_t i = 0; i < 64; ++i) targets.push_back(inputs[i * 12] - inputs[i * 12 + 5]);
  data::DataLoader train(
      data::Dataset(data::Array(inputs, {1, 2, 3, 2}), data::Array(targets, {1})), {.batch = 16});
  Tape tape;
  const Tensor x = tape.input("x", {N, 1, 2, 3, 2});
  const Tensor y = tape.input("y", {N, 1});
  const Tensor difference = nn::Linear(12, 1)(flatten(x)) - y;
  TrainingStep step = compile(mean(difference * difference), optim::Adam{0.05f});
  Trainer trainer(step);
  trainer.fit(train, nullptr, {.epochs = 60, .progress = false});
  EXPECT_LT(trainer.history().epochs.back().loss, 1e-3);
  EXPECT_TRUE(std::isnan(trainer.history().epochs.back().accuracy));
}

// ---- Checkpoints ----

TEST_F(TrainerFiles, TheBestEpochIsKept) {
  Setting s;
  const auto best = folder_ / "best.safetensors";
  Trainer trainer(*s.step, s.evaluation.get());
  FitOptions options{.epochs = 8, .progress = false, .best = best};
  // Good steps, then ones that ruin the model.
  options.learning_rate = [](std::int64_t step) { return step < 28 ? 0.02f : 30.0f; };
  const FitResult result = trainer.fit(s.train, &s.validation, options);
  const auto& epochs = trainer.history().epochs;
  double least = epochs[0].validation_loss;
  for (const EpochRecord& record : epochs) least = std::min(least, record.validation_loss);
  ASSERT_GT(epochs.back().validation_loss, least);
  EXPECT_EQ(epochs[static_cast<std::size_t>(result.best_epoch - 1)].validation_loss, least);
  load_checkpoint(best, s.step->variables());
  EXPECT_EQ(evaluate(*s.evaluation, s.validation).loss(), least);
}

// Stops after `steps` and goes on in a new process's stead: another model, resumed from the file.
void expect_same_after(std::int64_t steps, const std::filesystem::path& file,
                       const Variant& variant = {}) {
  Setting whole(variant);
  Trainer reference(*whole.step, whole.evaluation.get());
  const FitOptions all{.epochs = 4, .learning_rate = rate, .progress = false};
  reference.fit(whole.train, &whole.validation, all);

  FitOptions options = all;
  options.checkpoint = file;
  options.checkpoint_steps = 1;
  options.resume = true;
  {
    Setting first(variant);
    Trainer trainer(*first.step, first.evaluation.get());
    options.callbacks.push_back({.after_step = [&](const StepReport& report) {
      return report.step + 1 == steps ? Next::stop : Next::go_on;
    }});
    trainer.fit(first.train, &first.validation, options);
    options.callbacks.clear();
  }
  Variant other = variant;
  other.seed = 99;
  Setting second(other);
  Trainer trainer(*second.step, second.evaluation.get());
  trainer.fit(second.train, &second.validation, options);
  EXPECT_EQ(second.weights(), whole.weights()) << steps;
  ASSERT_EQ(trainer.history().epochs.size(), 4u);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(trainer.history().epochs[i].loss, reference.history().epochs[i].loss) << steps;
    EXPECT_EQ(trainer.history().epochs[i].accuracy, reference.history().epochs[i].accuracy);
    EXPECT_EQ(trainer.history().epochs[i].validation_loss,
              reference.history().epochs[i].validation_loss);
  }
}

TEST_F(TrainerFiles, ResumesBitForBitInAnEpochAndBetweenTwo) {
  for (const std::int64_t steps : {1, 5, 7, 10, 21}) {
    expect_same_after(steps, folder_ / ("after" + std::to_string(steps)));
  }
}

TEST_F(TrainerFiles, ResumesBetweenTheCallsOfOneUpdate) {
  for (const std::int64_t steps : {4, 5, 6})
    expect_same_after(steps, folder_ / ("after" + std::to_string(steps)), {.accumulate = 3});
}

TEST_F(TrainerFiles, ThePlateauScheduleIsResumed) {
  optim::ReduceOnPlateau::Options quick;
  quick.factor = 0.5;
  quick.patience = 0;
  quick.threshold = 0.2;  // few epochs are that much better
  const auto rates = [](const Trainer& trainer) {
    std::vector<double> all;
    for (const EpochRecord& record : trainer.history().epochs) all.push_back(record.learning_rate);
    return all;
  };
  optim::ReduceOnPlateau whole(0.01, quick), first(0.01, quick), second(0.01, quick);
  FitOptions options{.epochs = 12, .on_plateau = &whole, .progress = false};
  Setting a, b, c({.seed = 99});
  Trainer reference(*a.step, a.evaluation.get());
  reference.fit(a.train, &a.validation, options);
  EXPECT_LT(rates(reference).back(), 0.006);

  options.checkpoint = folder_ / "plateau";
  options.resume = true;
  options.epochs = 7;
  options.on_plateau = &first;
  Trainer(*b.step, b.evaluation.get()).fit(b.train, &b.validation, options);
  options.epochs = 12;
  options.on_plateau = &second;
  Trainer resumed(*c.step, c.evaluation.get());
  resumed.fit(c.train, &c.validation, options);
  EXPECT_EQ(rates(resumed), rates(reference));
  EXPECT_EQ(second.state(), whole.state());
  EXPECT_EQ(c.weights(), a.weights());
}

TEST_F(TrainerFiles, ResumingRefusesAnotherKindOfCheckpoint) {
  Setting s;
  const auto file = folder_ / "own.safetensors";
  save_checkpoint(file, s.step->variables(), TrainingState{});
  Trainer trainer(*s.step);
  const FitOptions options{.progress = false, .checkpoint = file, .resume = true};
  EXPECT_THROW(trainer.fit(s.train, nullptr, options), Error);
}

}  // namespace
}  // namespace taper
