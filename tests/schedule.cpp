// Learning-rate schedules against the rates that PyTorch computed.
#include <limits>

#include "tests/optim_vectors.h"

namespace taper::optim {
namespace {

using recorded::error_of;
using recorded::expect_sentence;
using recorded::Rows;

const std::map<std::string, Rows>& cases() {
  static const auto all = recorded::read_cases("optim_schedules.txt");
  return all;
}

void expect_rates(const std::string& name, const Schedule& schedule) {
  const std::vector<double>& rates = cases().at(name).at(0);
  for (std::size_t step = 0; step < rates.size(); ++step)
    EXPECT_NEAR(schedule(static_cast<std::int64_t>(step)), rates[step], 2e-7 * rates[step] + 1e-9)
        << name << ", step " << step;
}

TEST(Schedule, FollowsPyTorch) {
  expect_rates("step", StepDecay{.initial = 0.5, .size = 7, .gamma = 0.3});
  expect_rates("multi_step",
               MultiStepDecay{.initial = 0.5, .milestones = {5, 20, 21, 40}, .gamma = 0.5});
  expect_rates("exponential", ExponentialDecay{.initial = 0.5, .gamma = 0.95});
  expect_rates("cosine", CosineAnnealing{.initial = 0.5, .steps = 59, .minimum = 0.01});
  expect_rates("restarts",
               CosineWarmRestarts{.initial = 0.5, .period = 8, .growth = 2, .minimum = 0.01});
  expect_rates("restarts_even", CosineWarmRestarts{.initial = 0.5, .period = 9});
  expect_rates("warmup", LinearWarmup{.initial = 0.5, .steps = 25, .start = 0.2});
  expect_rates("one_cycle", OneCycle{.maximum = 0.75, .steps = 61});
  expect_rates("sequence", Sequence{{LinearWarmup{.initial = 0.5, .steps = 10, .start = 0.1},
                                     ExponentialDecay{.initial = 0.5, .gamma = 0.9},
                                     StepDecay{.initial = 0.5, .size = 7, .gamma = 0.5}},
                                    {10, 30}});
}

double plateau_metric(std::int64_t step) {
  return step < 12 ? 1.0 / static_cast<double>(1 + step)
                   : 0.07 + static_cast<double>(step % 5) / 64;
}

void expect_plateau(const std::string& name, double sign, const ReduceOnPlateau::Options& options) {
  const std::vector<double>& rates = cases().at(name).at(0);
  ReduceOnPlateau schedule(0.5, options);
  ReduceOnPlateau resumed(0.5, options);
  for (std::size_t step = 0; step < rates.size(); ++step) {
    if (step == 30) resumed.restore(schedule.state());
    const double metric = sign * plateau_metric(static_cast<std::int64_t>(step));
    const float rate = schedule(metric);
    EXPECT_NEAR(rate, rates[step], 2e-7 * rates[step]) << name << ", step " << step;
    if (step < 30) continue;
    EXPECT_EQ(resumed(metric), rate);
  }
  EXPECT_EQ(resumed.state(), schedule.state());
  EXPECT_LT(schedule.rate(), 0.5f);
}

TEST(Schedule, ReduceOnPlateauFollowsPyTorchAndResumes) {
  expect_plateau("plateau", 1,
                 {.factor = 0.5, .patience = 3, .threshold = 0.01, .cooldown = 2, .minimum = 0.02});
  expect_plateau("plateau_max", -1,
                 {.better = ReduceOnPlateau::Better::higher,
                  .patience = 1,
                  .threshold = 0.05,
                  .threshold_mode = ReduceOnPlateau::Threshold::absolute});
}

TEST(Schedule, ANotANumberMetricIsABadEpoch) {
  ReduceOnPlateau schedule(1, {.patience = 0});
  schedule(2.0);
  EXPECT_EQ(schedule(std::numeric_limits<double>::quiet_NaN()), 0.1f);
  EXPECT_EQ(schedule.state().best, 2.0);
}

TEST(Schedule, KeepsTheLastValueBeyondTheEnd) {
  const std::int64_t far = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(Constant{0.25}(far), 0.25f);
  EXPECT_EQ((CosineAnnealing{.initial = 1, .steps = 10, .minimum = 0.125}(far)), 0.125f);
  EXPECT_EQ((LinearWarmup{.initial = 1, .steps = 10}(far)), 1.0f);
  const OneCycle cycle{.maximum = 1, .steps = 10};
  EXPECT_EQ(cycle(far), cycle(9));
  EXPECT_GE((CosineWarmRestarts{.initial = 1, .period = 3, .growth = 3}(far)), 0.0f);
  EXPECT_TRUE(std::isfinite(OneCycle{.maximum = 1, .steps = 1}(0)));
}

TEST(Schedule, BadOnesAreOneSentence) {
  expect_sentence(error_of([] { Constant{-1}(0); }), {"Constant: rate -1 is negative"});
  expect_sentence(error_of([] { Constant{1}(-2); }), {"Constant: there is no step -2"});
  expect_sentence(error_of([] { StepDecay{1, 0}(0); }), {"StepDecay: size is 0, not positive"});
  expect_sentence(error_of([] { MultiStepDecay{1, {5, 5}}(0); }), {"milestone 1 at step 5"});
  expect_sentence(error_of([] { ExponentialDecay{1, std::nan("")}(0); }), {"gamma nan"});
  expect_sentence(error_of([] { CosineAnnealing{1, 0}(0); }), {"steps is 0"});
  expect_sentence(error_of([] { CosineWarmRestarts{1, 4, 0}(0); }), {"growth is 0"});
  expect_sentence(error_of([] { LinearWarmup{1, -1}(0); }), {"steps is -1"});
  expect_sentence(error_of([] { OneCycle{1, 0}(0); }), {"OneCycle: steps is 0"});
  expect_sentence(error_of([] { Sequence{{Constant{1}}, {4}}(0); }), {"1 schedules need 0"});
  expect_sentence(error_of([] { ReduceOnPlateau(1, {.factor = 1}); }), {"factor 1 is not in"});
  expect_sentence(error_of([] { ReduceOnPlateau(1, {.patience = -1}); }), {"patience -1"});
}

}  // namespace
}  // namespace taper::optim
