// Running means of what a training or validation pass measures.
#pragma once

#include <cstdint>
#include <span>

#include "frontend/compile.h"

namespace taper {

// Rows of `scores`, f32[labels.size(), classes], whose first largest element is at their label.
std::int64_t count_correct(std::span<const float> scores, std::span<const std::int32_t> labels);

// Sums over the samples of a pass, in double and in the order of the batches.
struct Metrics {
  std::int64_t samples = 0;
  double loss_sum = 0;
  std::int64_t correct = 0;
  std::int64_t scored = 0;  // samples with an i32 label and scores

  // `loss` is the mean of a batch of `size`. Without scores, or with targets that are no labels,
  // there is no accuracy.
  void add(double loss, std::int64_t size, std::span<const float> scores, const InputView& targets);
  double loss() const;      // NaN before the first batch
  double accuracy() const;  // in [0, 1]; NaN when there is none
};

}  // namespace taper
