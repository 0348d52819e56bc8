// Initialisation of parameters. Numbers come from one Philox stream per call, so that a program's
// weights depend on the seed and the order of its calls alone.
#pragma once

#include <cstdint>

#include "runtime/executable.h"

namespace taper {

// Seeds everything initialised from here on in this thread. The default seed is 0.
void manual_seed(std::uint64_t seed);

namespace init {

// Inputs that one output element depends on: [out, in] -> in, [O,I,KH,KW] -> I*KH*KW.
std::int64_t fan_in(const ir::Shape& weight);

void uniform(runtime::Variable& variable, double low, double high);
void normal(runtime::Variable& variable, double mean, double deviation);
void constant(runtime::Variable& variable, double value);
// He et al. 2015 for ReLU networks: normal with variance 2 / fan_in.
void kaiming_normal(runtime::Variable& weight);

}  // namespace init
}  // namespace taper
