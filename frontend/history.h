// What a training run measured, epoch by epoch, as CSV and as a plot.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace taper {

// A number that was not measured (no labels, no validation set) is NaN. Accuracies are in [0, 1].
struct EpochRecord {
  std::int64_t epoch = 0;  // from 1
  double loss = 0;         // mean over the training samples, while the weights changed
  double accuracy = 0;
  double validation_loss = 0;
  double validation_accuracy = 0;
  double learning_rate = 0;  // of the last step
  double images_per_second = 0;
  double seconds = 0;
};

struct History {
  std::vector<EpochRecord> epochs;

  // A header line and a line per epoch; empty fields for NaN; numbers read back as they were.
  std::string csv() const;
  static History from_csv(const std::string& text);  // throws taper::Error for any other text
  // Loss and, if there is one, accuracy over the epochs, side by side: self-contained SVG.
  std::string svg(const std::string& title) const;

  // Throw taper::Error, naming the file, when it cannot be written.
  void write_csv(const std::filesystem::path& path) const;
  void write_svg(const std::filesystem::path& path, const std::string& title) const;
};

}  // namespace taper
