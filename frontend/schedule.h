// Learning-rate schedules: functions of the step, for TrainingStep::learning_rate.
#pragma once

#include <cstdint>

namespace taper::optim {

// torch.optim.lr_scheduler.OneCycleLR (Smith and Topin, 2019) with cosine annealing: from
// maximum / 25 up to `maximum` during the first 30 % of the steps, then down to maximum / 250,000.
struct OneCycle {
  double maximum;
  std::int64_t steps;

  // The rate of step 0 <= step < steps; the last one's from there on.
  float operator()(std::int64_t step) const;
};

}  // namespace taper::optim
