// Layers without state, but for pooling.
#pragma once

#include "frontend/nn_module.h"

namespace taper::nn {

// A layer without state: one function of its input.
class FunctionLayer : public Module {
 public:
  explicit FunctionLayer(std::source_location where) : where_(where) {}

 protected:
  Operand at(const Tensor& x) const { return {x, where_}; }

 private:
  std::source_location where_;
};

#define TAPER_ACTIVATION(Name, function)                                          \
  class Name : public FunctionLayer {                                             \
   public:                                                                        \
    explicit Name(std::source_location where = std::source_location::current())   \
        : FunctionLayer(where) {}                                                 \
    Tensor operator()(const Tensor& x) const override { return function(at(x)); } \
  };
TAPER_ACTIVATION(ReLU, relu)
TAPER_ACTIVATION(ReLU6, relu6)
TAPER_ACTIVATION(Sigmoid, sigmoid)
TAPER_ACTIVATION(Tanh, tanh)
TAPER_ACTIVATION(SiLU, silu)
#undef TAPER_ACTIVATION

// The same of functions with an argument.
#define TAPER_ACTIVATION_OF(Name, function, Argument, standard)                              \
  class Name : public FunctionLayer {                                                        \
   public:                                                                                   \
    explicit Name(Argument argument = standard,                                              \
                  std::source_location where = std::source_location::current())              \
        : FunctionLayer(where), argument_(argument) {}                                       \
    Tensor operator()(const Tensor& x) const override { return function(at(x), argument_); } \
                                                                                             \
   private:                                                                                  \
    Argument argument_;                                                                      \
  };
// x, or slope * x where x is negative.
TAPER_ACTIVATION_OF(LeakyReLU, leaky_relu, double, 0.01)
TAPER_ACTIVATION_OF(GELU, gelu, GeluForm, GeluForm::exact)
// Along an axis other than the batch; negative ones count from the end.
TAPER_ACTIVATION_OF(Softmax, softmax, int, -1)
// [..., axes from the argument on ...] -> [..., product]; it counts the batch axis.
TAPER_ACTIVATION_OF(Flatten, flatten, int, 1)
#undef TAPER_ACTIVATION_OF

}  // namespace taper::nn
