// Optimizers: they record their updates on a tape, so that a step is one compiled program.
#pragma once

#include "frontend/tape.h"

namespace taper::optim {

// torch.optim.Adam (Kingma and Ba, 2015) without weight decay. The bias corrections 1 - beta^t are
// kept as state and advanced by q' = beta q + (1 - beta), which stays accurate in f32.
struct Adam {
  float learning_rate = 1e-3f;  // the value a TrainingStep starts with
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;

  // Records the update of every parameter of `tape` that `loss` depends on; `learning_rate` is
  // f32[].
  void record(Tape& tape, const Tensor& loss, const Tensor& learning_rate) const;
};

}  // namespace taper::optim
