// Where a training is, beside weights, optimizer and random numbers; it lives in checkpoints.
#pragma once

#include <cstdint>
#include <filesystem>

#include "frontend/checkpoint.h"
#include "frontend/data/loader.h"
#include "frontend/history.h"
#include "frontend/metrics.h"
#include "frontend/schedule.h"

namespace taper {

struct TrainerState {
  data::Position at;       // the next batch
  std::int64_t steps = 0;  // done
  Metrics sums;            // of the epoch so far
  double seconds = 0;      // of training in it
  double best = 0;         // of the monitored number, if best_epoch > 0
  std::int64_t best_epoch = 0;
  optim::ReduceOnPlateau::State plateau;
  History history;

  TrainingState saved() const;
  // Throws taper::Error, naming the file `path`, when a trainer did not write it.
  static TrainerState restored(const TrainingState& saved, const std::filesystem::path& path);
};

}  // namespace taper
