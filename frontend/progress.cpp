#include "frontend/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace taper {
namespace {

constexpr int kBarWidth = 24;

std::string clock_time(double seconds) {
  const long whole = std::lround(seconds);
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

}  // namespace

Progress::Progress(std::int64_t epochs, std::int64_t samples_per_epoch, std::int64_t first)
    : epochs_(epochs),
      samples_per_epoch_(samples_per_epoch),
      elsewhere_(first * samples_per_epoch),
      terminal_(isatty(STDOUT_FILENO) == 1),
      start_(Clock::now()),
      epoch_start_(start_),
      drawn_(start_) {}

void Progress::start_epoch(std::int64_t epoch, std::int64_t samples) {
  epoch_ = epoch;
  resumed_ = samples;
  elsewhere_ += samples;
  epoch_start_ = Clock::now();
}

std::string Progress::line(std::int64_t done, double loss, double accuracy) const {
  const auto now = Clock::now();
  const auto all_done = static_cast<double>(epoch_ * samples_per_epoch_ + done - elsewhere_);
  const auto to_do = static_cast<double>((epochs_ - epoch_) * samples_per_epoch_ - done);
  const double elapsed = std::chrono::duration<double>(now - start_).count();
  const double epoch_elapsed = std::chrono::duration<double>(now - epoch_start_).count();
  const double left = all_done > 0 ? elapsed / all_done * to_do : 0;
  const auto filled = static_cast<std::size_t>(kBarWidth * done / samples_per_epoch_);
  const std::string share =
      std::isnan(accuracy) ? "" : fmt::format("  accuracy {:.2f} %", 100 * accuracy);
  return fmt::format("epoch {}/{} [{:<{}}] {:>8.0f} images/s  loss {:.4f}{}  {} left", epoch_ + 1,
                     epochs_, std::string(filled, '='), kBarWidth,
                     static_cast<double>(done - resumed_) / std::max(epoch_elapsed, 1e-9), loss,
                     share, clock_time(left));
}

void Progress::update(std::int64_t samples_done, double loss, double accuracy) {
  const auto now = Clock::now();
  if (!terminal_ || now - drawn_ < std::chrono::milliseconds(100)) return;
  drawn_ = now;
  drawn_any_ = true;
  fmt::print("\r{}\x1b[K", line(samples_done, loss, accuracy));
  std::fflush(stdout);
}

void Progress::end_epoch(std::int64_t samples_done, double loss, double accuracy,
                         const std::string& note) {
  fmt::print("{}{}{}{}\n", terminal_ ? "\r" : "", line(samples_done, loss, accuracy), note,
             terminal_ ? "\x1b[K" : "");
  std::fflush(stdout);
  drawn_any_ = false;
}

Progress::~Progress() {
  if (drawn_any_) std::fputs("\n", stdout);
}

}  // namespace taper
