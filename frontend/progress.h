// A live progress line for a training loop.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace taper {

// One line that redraws itself on a terminal, at most ten times a second; elsewhere one line per
// epoch. Written to standard output.
class Progress {
 public:
  // Epochs `first` to `epochs` - 1 will run.
  Progress(std::int64_t epochs, std::int64_t samples_per_epoch, std::int64_t first = 0);
  ~Progress();  // ends the line of an epoch that broke off
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  // `samples` of the epoch were done before (a resumed one).
  void start_epoch(std::int64_t epoch, std::int64_t samples = 0);
  // `accuracy` is that of the training batches so far, in [0, 1]; NaN: there is none.
  void update(std::int64_t samples_done, double loss, double accuracy);
  void end_epoch(std::int64_t samples_done, double loss, double accuracy, const std::string& note);

 private:
  using Clock = std::chrono::steady_clock;
  std::string line(std::int64_t done, double loss, double accuracy) const;

  std::int64_t epochs_, samples_per_epoch_, epoch_ = 0;
  std::int64_t resumed_ = 0;    // samples of this epoch that this run did not do
  std::int64_t elsewhere_ = 0;  // samples of all epochs that this run did not do
  bool terminal_, drawn_any_ = false;
  Clock::time_point start_, epoch_start_, drawn_;
};

}  // namespace taper
