// A live progress line for a training loop.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

// One line that redraws itself on a terminal, at most ten times a second; elsewhere one line per
// epoch.
class Progress {
 public:
  Progress(std::int64_t epochs, std::int64_t images_per_epoch);
  void start_epoch(std::int64_t epoch);
  // `accuracy` is that of the training batches so far, in [0, 1].
  void update(std::int64_t images_done, double loss, double accuracy);
  void end_epoch(double loss, double accuracy, const std::string& note);

 private:
  using Clock = std::chrono::steady_clock;
  std::string line(std::int64_t done, double loss, double accuracy) const;

  std::int64_t epochs_, images_per_epoch_, epoch_ = 0;
  bool terminal_;
  Clock::time_point start_, epoch_start_, drawn_;
};
