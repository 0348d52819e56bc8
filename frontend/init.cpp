#include "frontend/init.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "ir/eval.h"

namespace taper {
namespace {

thread_local std::uint64_t current_seed = 0;
thread_local std::uint64_t next_stream = 0;

// Uniform in (0, 1), at the middle of one of 2^32 equal steps.
double uniform_at(std::uint64_t index, std::uint64_t stream) {
  return (ir::philox(index, 0, stream, current_seed) + 0.5) * 0x1p-32;
}

template <class Sample>
void fill(runtime::Variable& variable, Sample&& sample) {
  const std::uint64_t stream = next_stream++;
  std::vector<float> values(static_cast<std::size_t>(ir::element_count(variable.type().shape, 1)));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(sample(i, stream));
  variable.write(values);
}

}  // namespace

void manual_seed(std::uint64_t seed) {
  current_seed = seed;
  next_stream = 0;
}

namespace init {

std::int64_t fan_in(const ir::Shape& weight) {
  std::int64_t product = 1;
  for (std::size_t axis = 1; axis < weight.size(); ++axis) product *= weight[axis];
  return std::max<std::int64_t>(product, 1);
}

void uniform(runtime::Variable& variable, double low, double high) {
  fill(variable, [&](std::uint64_t i, std::uint64_t stream) {
    return low + (high - low) * uniform_at(i, stream);
  });
}

// Box-Muller.
void normal(runtime::Variable& variable, double mean, double deviation) {
  fill(variable, [&](std::uint64_t i, std::uint64_t stream) {
    const double radius = std::sqrt(-2 * std::log(uniform_at(2 * i, stream)));
    return mean +
           deviation * radius * std::cos(2 * std::numbers::pi * uniform_at(2 * i + 1, stream));
  });
}

void constant(runtime::Variable& variable, double value) {
  fill(variable, [&](std::uint64_t, std::uint64_t) { return value; });
}

void kaiming_normal(runtime::Variable& weight) {
  normal(weight, 0, std::sqrt(2 / static_cast<double>(fan_in(weight.type().shape))));
}

}  // namespace init
}  // namespace taper
