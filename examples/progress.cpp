#include "progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace {

constexpr int kBarWidth = 24;

std::string clock_time(double seconds) {
  const auto whole = static_cast<long>(seconds + 0.5);
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

}  // namespace

Progress::Progress(std::int64_t epochs, std::int64_t images_per_epoch)
    : epochs_(epochs),
      images_per_epoch_(images_per_epoch),
      terminal_(isatty(STDOUT_FILENO) == 1),
      start_(Clock::now()),
      epoch_start_(start_),
      drawn_(start_) {}

void Progress::start_epoch(std::int64_t epoch) {
  epoch_ = epoch;
  epoch_start_ = Clock::now();
}

std::string Progress::line(std::int64_t done, double loss, double accuracy) const {
  const auto now = Clock::now();
  const double total = static_cast<double>(epochs_ * images_per_epoch_);
  const double all_done = static_cast<double>(epoch_ * images_per_epoch_ + done);
  const double elapsed = std::chrono::duration<double>(now - start_).count();
  const double epoch_elapsed = std::chrono::duration<double>(now - epoch_start_).count();
  const double left = all_done > 0 ? elapsed / all_done * (total - all_done) : 0;
  const auto filled = static_cast<std::size_t>(kBarWidth * done / images_per_epoch_);
  return fmt::format(
      "epoch {}/{} [{:<{}}] {:>8.0f} images/s  loss {:.4f}  accuracy {:.2f} %  {} left", epoch_ + 1,
      epochs_, std::string(filled, '='), kBarWidth,
      static_cast<double>(done) / std::max(epoch_elapsed, 1e-9), loss, 100 * accuracy,
      clock_time(left));
}

void Progress::update(std::int64_t images_done, double loss, double accuracy) {
  const auto now = Clock::now();
  if (!terminal_ || now - drawn_ < std::chrono::milliseconds(100)) return;
  drawn_ = now;
  fmt::print("\r{}\x1b[K", line(images_done, loss, accuracy));
  std::fflush(stdout);
}

void Progress::end_epoch(double loss, double accuracy, const std::string& note) {
  fmt::print("{}{}{}{}\n", terminal_ ? "\r" : "", line(images_per_epoch_, loss, accuracy), note,
             terminal_ ? "\x1b[K" : "");
  std::fflush(stdout);
}
