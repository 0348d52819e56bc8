// Initialisation of parameters. Numbers come from one Philox stream per call, so that a program's
// weights depend on the seed and the order of its calls alone.
#pragma once

#include <cstdint>

#include "runtime/executable.h"

namespace taper {

// Seeds everything initialised from here on in this thread. The default seed is 0.
void manual_seed(std::uint64_t seed);

// Where this thread's random numbers are: the seed and the streams used so far.
struct RandomState {
  std::uint64_t seed = 0, stream = 0;
  bool operator==(const RandomState&) const = default;
};
RandomState random_state();
void set_random_state(const RandomState& state);

// A Philox stream of this thread's seed that nothing else uses: for a layer's own random numbers.
RandomState next_random_stream();

namespace init {

// Inputs that one output element depends on: [out, in] -> in, [O,I,KH,KW] -> I*KH*KW.
std::int64_t fan_in(const ir::Shape& weight);
// Outputs that one input element reaches: [out, in] -> out, [O,I,KH,KW] -> O*KH*KW.
std::int64_t fan_out(const ir::Shape& weight);

void uniform(runtime::Variable& variable, double low, double high);
void normal(runtime::Variable& variable, double mean, double deviation);
void constant(runtime::Variable& variable, double value);

// torch.nn.init.calculate_gain; `slope` is leaky_relu's.
enum class Nonlinearity : std::uint8_t { linear, sigmoid, tanh, relu, leaky_relu, selu };
double gain(Nonlinearity nonlinearity, double slope = 0.01);

// He et al. 2015: variance gain^2 / fan. The defaults are PyTorch's; they fit ReLU networks.
enum class Fan : std::uint8_t { in, out };
struct Kaiming {
  Fan fan = Fan::in;
  Nonlinearity nonlinearity = Nonlinearity::leaky_relu;
  double slope = 0;
};
void kaiming_uniform(runtime::Variable& weight, const Kaiming& options = {});
void kaiming_normal(runtime::Variable& weight, const Kaiming& options = {});

// Glorot and Bengio 2010: variance gain^2 * 2 / (fan_in + fan_out).
void xavier_uniform(runtime::Variable& weight, double gain = 1);
void xavier_normal(runtime::Variable& weight, double gain = 1);

// What PyTorch gives linear and convolutional layers: weight and bias uniform in
// +-1 / sqrt(fan_in of the weight). `bias` may be null.
void default_weights(runtime::Variable& weight, runtime::Variable* bias);

}  // namespace init
}  // namespace taper
