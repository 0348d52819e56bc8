#include "frontend/trainer_state.h"

#include <fmt/format.h>

#include <charconv>
#include <string>

#include "ir/error.h"

namespace taper {
namespace {

// The numbers of a state with their names, for both directions.
template <class State, class Visit>
void each_number(State& state, Visit visit) {
  visit("trainer.samples", state.sums.samples);
  visit("trainer.loss_sum", state.sums.loss_sum);
  visit("trainer.correct", state.sums.correct);
  visit("trainer.scored", state.sums.scored);
  visit("trainer.seconds", state.seconds);
  visit("trainer.best", state.best);
  visit("trainer.best_epoch", state.best_epoch);
  visit("trainer.plateau.rate", state.plateau.rate);
  visit("trainer.plateau.best", state.plateau.best);
  visit("trainer.plateau.bad_epochs", state.plateau.bad_epochs);
  visit("trainer.plateau.cooldown", state.plateau.cooldown);
}

constexpr const char* kHistory = "trainer.history";

}  // namespace

TrainingState TrainerState::saved() const {
  TrainingState saved;
  saved.step = steps;
  saved.position = at;
  saved.user[kHistory] = history.csv();
  // The shortest text that reads back as the same number.
  each_number(*this, [&](const char* key, const auto& number) {
    saved.user[key] = fmt::format("{}", number);
  });
  return saved;
}

TrainerState TrainerState::restored(const TrainingState& saved, const std::filesystem::path& path) {
  const auto text = [&](const char* key) -> const std::string& {
    const auto found = saved.user.find(key);
    if (found == saved.user.end())
      throw Error("{}: is no checkpoint of a trainer: it has no \"{}\"", path.string(), key);
    return found->second;
  };
  TrainerState state;
  state.at = saved.position;
  state.steps = saved.step;
  state.history = History::from_csv(text(kHistory));
  each_number(state, [&](const char* key, auto& number) {
    const std::string& digits = text(key);
    const char* end = digits.data() + digits.size();
    const auto [stop, failed] = std::from_chars(digits.data(), end, number);
    if (failed != std::errc{} || stop != end)
      throw Error("{}: \"{}\" is \"{}\", not a number", path.string(), key, digits);
  });
  return state;
}

}  // namespace taper
