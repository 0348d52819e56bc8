#include "frontend/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace taper::optim {
namespace {

double anneal(double from, double to, double fraction) {
  return to + (from - to) / 2 * (1 + std::cos(std::numbers::pi * fraction));
}

}  // namespace

float OneCycle::operator()(std::int64_t step) const {
  const double initial = maximum / 25;
  const double peak = 0.3 * static_cast<double>(steps) - 1;
  const auto last = static_cast<double>(steps - 1);
  const double at = std::min(static_cast<double>(step), last);
  if (at <= peak) return static_cast<float>(anneal(initial, maximum, at / peak));
  return static_cast<float>(
      anneal(maximum, initial / 1e4, (at - peak) / std::max(last - peak, 1.0)));
}

}  // namespace taper::optim
