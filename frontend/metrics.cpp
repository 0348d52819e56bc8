#include "frontend/metrics.h"

#include <algorithm>
#include <limits>

namespace taper {

std::int64_t count_correct(std::span<const float> scores, std::span<const std::int32_t> labels) {
  if (labels.empty()) return 0;
  const std::size_t classes = scores.size() / labels.size();
  std::int64_t correct = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const auto row = scores.subspan(i * classes, classes);
    correct += std::ranges::max_element(row) - row.begin() == labels[i];
  }
  return correct;
}

void Metrics::add(double loss, std::int64_t size, std::span<const float> scores,
                  const InputView& targets) {
  samples += size;
  loss_sum += loss * static_cast<double>(size);
  const auto labels = static_cast<std::size_t>(size);
  if (targets.dtype != DType::i32 || targets.bytes.size() != labels * sizeof(std::int32_t) ||
      scores.size() < 2 * labels || scores.size() % labels != 0)
    return;
  scored += size;
  correct +=
      count_correct(scores, {reinterpret_cast<const std::int32_t*>(targets.bytes.data()), labels});
}

double Metrics::loss() const {
  return samples == 0 ? std::numeric_limits<double>::quiet_NaN()
                      : loss_sum / static_cast<double>(samples);
}

double Metrics::accuracy() const {
  return scored == 0 ? std::numeric_limits<double>::quiet_NaN()
                     : static_cast<double>(correct) / static_cast<double>(scored);
}

}  // namespace taper
