#include "models/weights.h"

namespace models {
namespace {

// A weight of the given rank, and the bias of the same layer: it follows its weight in the list.
template <class Initialise>
void initialise_rank(const taper::nn::Module& model, std::size_t rank, Initialise initialise) {
  bool of_layer = false;
  for (const auto& [name, variable] : model.parameters()) {
    if (name.ends_with("weight")) {
      of_layer = variable->type().shape.size() == rank;
      if (of_layer) initialise(*variable);
    } else if (of_layer) {
      taper::init::constant(*variable, 0);
    }
  }
}

}  // namespace

void initialise_convolutions(const taper::nn::Module& model) {
  initialise_rank(
      model, 4,
      [](auto& weight) {
        taper::init::kaiming_normal(weight, {.fan = taper::init::Fan::out,
                                             .nonlinearity = taper::init::Nonlinearity::relu});
      });
}

void initialise_linears(const taper::nn::Module& model) {
  initialise_rank(
      model, 2, [](auto& weight) { taper::init::normal(weight, 0, 0.01); });
}

std::int64_t parameter_count(const taper::nn::Module& model) {
  std::int64_t count = 0;
  for (const auto& [name, variable] : model.parameters()) {
    std::int64_t values = 1;
    for (const auto extent : variable->type().shape) values *= extent;
    count += values;
  }
  return count;
}

}  // namespace models
