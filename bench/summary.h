// What is said of repeated measurements.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

namespace taper::bench {

struct Summary {
  double median = 0, least = 0, most = 0;
};

// Of at least one value.
inline Summary summary(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  const double median = values.size() % 2 ? values[half] : (values[half - 1] + values[half]) / 2;
  return {median, values.front(), values.back()};
}

inline double geometric_mean(const std::vector<double>& values) {
  double logarithms = 0;
  for (const double value : values) logarithms += std::log(value);
  return std::exp(logarithms / static_cast<double>(values.size()));
}

}  // namespace taper::bench
