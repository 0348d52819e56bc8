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

// log(x) for x in (0, 1] and cos(2 pi x) for x in [0, 1), to about 1e-15. Ours, because those of C
// libraries differ in last bits, and the same seed should give the same weights on every machine.
double logarithm(double x) {
  int exponent = 0;
  double mantissa = std::frexp(x, &exponent);
  if (mantissa < std::numbers::sqrt2 / 2) {
    mantissa *= 2;
    --exponent;
  }
  const double t = (mantissa - 1) / (mantissa + 1), square = t * t;  // log = 2 artanh(t)
  double series = 0;
  for (int power = 23; power >= 1; power -= 2) series = series * square + 1.0 / power;
  return exponent * std::numbers::ln2 + 2 * t * series;
}
double cosine_of_turns(double x) {
  const double folded = x > 0.5 ? 1 - x : x;                    // even about half a turn
  const double angle = 2 * std::numbers::pi * (0.25 - folded);  // cos a = sin(pi / 2 - a)
  const double square = angle * angle;
  double series = 0;
  for (int power = 23; power >= 3; power -= 2)
    series = (series + 1) * -square / (power * (power - 1));
  return angle * (1 + series);
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
RandomState random_state() {
  return {current_seed, next_stream};
}
void set_random_state(const RandomState& state) {
  current_seed = state.seed;
  next_stream = state.stream;
}

RandomState next_random_stream() {
  return {current_seed, next_stream++};
}

namespace init {
namespace {

double fan_of(const runtime::Variable& weight, Fan fan) {
  const ir::Shape& shape = weight.type().shape;
  if (shape.size() < 2)
    throw Error("init: \"{}\" is {}; a fan needs a weight of rank 2 or more", weight.name(),
                ir::to_string(weight.type()));
  return static_cast<double>(fan == Fan::in ? fan_in(shape) : fan_out(shape));
}

double kaiming_deviation(const runtime::Variable& weight, const Kaiming& options) {
  return gain(options.nonlinearity, options.slope) / std::sqrt(fan_of(weight, options.fan));
}

double xavier_deviation(const runtime::Variable& weight, double gain) {
  return gain * std::sqrt(2 / (fan_of(weight, Fan::in) + fan_of(weight, Fan::out)));
}

// Of that standard deviation.
void centred_uniform(runtime::Variable& weight, double deviation) {
  const double bound = std::numbers::sqrt3 * deviation;
  uniform(weight, -bound, bound);
}

}  // namespace

std::int64_t fan_out(const ir::Shape& weight) {
  std::int64_t product = 1;
  for (std::size_t axis = 0; axis < weight.size(); ++axis) product *= axis == 1 ? 1 : weight[axis];
  return std::max<std::int64_t>(product, 1);
}

double gain(Nonlinearity nonlinearity, double slope) {
  switch (nonlinearity) {
    case Nonlinearity::linear:
    case Nonlinearity::sigmoid:
      return 1;
    case Nonlinearity::tanh:
      return 5.0 / 3;
    case Nonlinearity::relu:
      return std::numbers::sqrt2;
    case Nonlinearity::leaky_relu:
      return std::sqrt(2 / (1 + slope * slope));
    case Nonlinearity::selu:
      return 0.75;
  }
  return 1;
}

std::int64_t fan_in(const ir::Shape& weight) {
  std::int64_t product = 1;
  for (std::size_t axis = 1; axis < weight.size(); ++axis) product *= weight[axis];
  return std::max<std::int64_t>(product, 1);
}

void uniform(runtime::Variable& variable, double low, double high) {
  fill(
      variable, [&](std::uint64_t i,
                    std::uint64_t stream) { return low + (high - low) * uniform_at(i, stream); });
}

// Box-Muller.
void normal(runtime::Variable& variable, double mean, double deviation) {
  fill(
      variable,
      [&](std::uint64_t i, std::uint64_t stream) {
        const double radius = std::sqrt(-2 * logarithm(uniform_at(2 * i, stream)));
        return mean + deviation * radius * cosine_of_turns(uniform_at(2 * i + 1, stream));
      });
}

void constant(runtime::Variable& variable, double value) {
  fill(
      variable, [&](std::uint64_t, std::uint64_t) { return value; });
}

void kaiming_uniform(runtime::Variable& weight, const Kaiming& options) {
  centred_uniform(weight, kaiming_deviation(weight, options));
}
void kaiming_normal(runtime::Variable& weight, const Kaiming& options) {
  normal(weight, 0, kaiming_deviation(weight, options));
}
void xavier_uniform(runtime::Variable& weight, double gain) {
  centred_uniform(weight, xavier_deviation(weight, gain));
}
void xavier_normal(runtime::Variable& weight, double gain) {
  normal(weight, 0, xavier_deviation(weight, gain));
}

void default_weights(runtime::Variable& weight, runtime::Variable* bias) {
  const double bound = 1 / std::sqrt(static_cast<double>(fan_in(weight.type().shape)));
  uniform(weight, -bound, bound);
  if (bias != nullptr) uniform(*bias, -bound, bound);
}

}  // namespace init
}  // namespace taper
