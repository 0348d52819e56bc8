#include "frontend/schedule.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <numbers>

#include "ir/error.h"

namespace taper::optim {
namespace {

template <class Number>
struct Named {
  const char* name;
  Number value;
};
using Lengths = std::initializer_list<Named<std::int64_t>>;
using Factors = std::initializer_list<Named<double>>;

void check(const char* schedule, Factors factors) {
  for (const auto& [what, value] : factors)
    if (!(value >= 0) || !std::isfinite(value))
      throw Error("{}: {} {} is negative or not finite", schedule, what, value);
}
void check(const char* schedule, std::int64_t step, Lengths lengths, Factors factors) {
  if (step < 0) throw Error("{}: there is no step {}", schedule, step);
  for (const auto& [what, length] : lengths)
    if (length < 1) throw Error("{}: {} is {}, not positive", schedule, what, length);
  check(schedule, factors);
}
void check_ascending(const char* schedule, const std::vector<std::int64_t>& milestones) {
  for (std::size_t i = 0; i < milestones.size(); ++i)
    if (milestones[i] <= (i == 0 ? 0 : milestones[i - 1]))
      throw Error("{}: milestone {} at step {} does not come after the one before it", schedule, i,
                  milestones[i]);
}

// The last milestone at or before the step, as the number of milestones up to there.
std::size_t passed(const std::vector<std::int64_t>& milestones, std::int64_t step) {
  return static_cast<std::size_t>(std::ranges::upper_bound(milestones, step) - milestones.begin());
}

double anneal(double from, double to, double fraction) {
  return to + (from - to) / 2 * (1 + std::cos(std::numbers::pi * fraction));
}

double as_double(std::int64_t n) {
  return static_cast<double>(n);
}

}  // namespace

float Constant::operator()(std::int64_t step) const {
  check("Constant", step, {}, {{"rate", rate}});
  return static_cast<float>(rate);
}

float StepDecay::operator()(std::int64_t step) const {
  check("StepDecay", step, {{"size", size}}, {{"initial", initial}, {"gamma", gamma}});
  return static_cast<float>(initial * std::pow(gamma, as_double(step / size)));
}

float MultiStepDecay::operator()(std::int64_t step) const {
  check("MultiStepDecay", step, {}, {{"initial", initial}, {"gamma", gamma}});
  check_ascending("MultiStepDecay", milestones);
  const auto drops = static_cast<double>(passed(milestones, step));
  return static_cast<float>(initial * std::pow(gamma, drops));
}

float ExponentialDecay::operator()(std::int64_t step) const {
  check("ExponentialDecay", step, {}, {{"initial", initial}, {"gamma", gamma}});
  return static_cast<float>(initial * std::pow(gamma, as_double(step)));
}

float CosineAnnealing::operator()(std::int64_t step) const {
  check("CosineAnnealing", step, {{"steps", steps}}, {{"initial", initial}, {"minimum", minimum}});
  const double fraction = as_double(std::min(step, steps)) / as_double(steps);
  return static_cast<float>(anneal(initial, minimum, fraction));
}

float CosineWarmRestarts::operator()(std::int64_t step) const {
  check("CosineWarmRestarts", step, {{"period", period}, {"growth", growth}},
        {{"initial", initial}, {"minimum", minimum}});
  std::int64_t length = period;
  std::int64_t since = growth == 1 ? step % period : step;
  // A period that would overflow is longer than what is left of any step.
  while (since >= length) {
    since -= length;
    if (__builtin_mul_overflow(length, growth, &length))
      length = std::numeric_limits<std::int64_t>::max();
  }
  return static_cast<float>(anneal(initial, minimum, as_double(since) / as_double(length)));
}

float LinearWarmup::operator()(std::int64_t step) const {
  check("LinearWarmup", step, {{"steps", steps}},
        {{"initial", initial}, {"start", start}, {"end", end}});
  const double fraction = as_double(std::min(step, steps)) / as_double(steps);
  return static_cast<float>(initial * (start + (end - start) * fraction));
}

float OneCycle::operator()(std::int64_t step) const {
  check("OneCycle", step, {{"steps", steps}}, {{"maximum", maximum}});
  const double initial = maximum / 25;
  const double peak = 0.3 * as_double(steps) - 1;
  const double last = as_double(steps - 1);
  const double at = std::min(as_double(step), last);
  if (at <= peak && peak > 0) return static_cast<float>(anneal(initial, maximum, at / peak));
  return static_cast<float>(
      anneal(maximum, initial / 1e4, (at - peak) / std::max(last - peak, 1.0)));
}

float Sequence::operator()(std::int64_t step) const {
  check("Sequence", step, {}, {});
  check_ascending("Sequence", milestones);
  if (schedules.size() != milestones.size() + 1)
    throw Error("Sequence: {} schedules need {} milestones, not {}", schedules.size(),
                schedules.empty() ? 0 : schedules.size() - 1, milestones.size());
  const std::size_t which = passed(milestones, step);
  return schedules[which](which == 0 ? step : step - milestones[which - 1]);
}

ReduceOnPlateau::ReduceOnPlateau(double initial, const Options& options) : options_(options) {
  const char* name = "ReduceOnPlateau";
  check(name, {{"initial", initial},
               {"threshold", options.threshold},
               {"minimum", options.minimum},
               {"least_change", options.least_change}});
  if (!(options.factor >= 0 && options.factor < 1))
    throw Error("{}: factor {} is not in [0, 1)", name, options.factor);
  if (options.patience < 0 || options.cooldown < 0)
    throw Error("{}: patience {} or cooldown {} is negative", name, options.patience,
                options.cooldown);
  const double infinity = std::numeric_limits<double>::infinity();
  state_.rate = initial;
  state_.best = options.better == Better::lower ? infinity : -infinity;
}

bool ReduceOnPlateau::is_better(double metric) const {
  const bool relative = options_.threshold_mode == Threshold::relative;
  const double by = options_.threshold;
  if (options_.better == Better::lower)
    return metric < (relative ? state_.best * (1 - by) : state_.best - by);
  return metric > (relative ? state_.best * (1 + by) : state_.best + by);
}

float ReduceOnPlateau::operator()(double metric) {
  if (is_better(metric)) {
    state_.best = metric;
    state_.bad_epochs = 0;
  } else {
    ++state_.bad_epochs;
  }
  if (state_.cooldown > 0) {
    --state_.cooldown;
    state_.bad_epochs = 0;
  }
  if (state_.bad_epochs > options_.patience) {
    const double reduced = std::max(state_.rate * options_.factor, options_.minimum);
    if (state_.rate - reduced > options_.least_change) state_.rate = reduced;
    state_.cooldown = options_.cooldown;
    state_.bad_epochs = 0;
  }
  return rate();
}

}  // namespace taper::optim
