// Activations.
#pragma once

#include "frontend/nn_module.h"

namespace taper::nn {

// A layer without state: one function of its input.
class Activation : public Module {
 public:
  explicit Activation(std::source_location where) : where_(where) {}

 protected:
  Operand at(const Tensor& x) const { return {x, where_}; }

 private:
  std::source_location where_;
};

#define TAPER_ACTIVATION(Name, function)                                          \
  class Name : public Activation {                                                \
   public:                                                                        \
    explicit Name(std::source_location where = std::source_location::current())   \
        : Activation(where) {}                                                    \
    Tensor operator()(const Tensor& x) const override { return function(at(x)); } \
  };
TAPER_ACTIVATION(ReLU, relu)
TAPER_ACTIVATION(ReLU6, relu6)
TAPER_ACTIVATION(Sigmoid, sigmoid)
TAPER_ACTIVATION(Tanh, tanh)
TAPER_ACTIVATION(SiLU, silu)
#undef TAPER_ACTIVATION

// x, or slope * x where x is negative.
class LeakyReLU : public Activation {
 public:
  explicit LeakyReLU(double slope = 0.01,
                     std::source_location where = std::source_location::current())
      : Activation(where), slope_(slope) {}
  Tensor operator()(const Tensor& x) const override { return leaky_relu(at(x), slope_); }

 private:
  double slope_;
};

class GELU : public Activation {
 public:
  explicit GELU(GeluForm form = GeluForm::exact,
                std::source_location where = std::source_location::current())
      : Activation(where), form_(form) {}
  Tensor operator()(const Tensor& x) const override { return gelu(at(x), form_); }

 private:
  GeluForm form_;
};

// Along an axis other than the batch; negative ones count from the end.
class Softmax : public Activation {
 public:
  explicit Softmax(int axis = -1, std::source_location where = std::source_location::current())
      : Activation(where), axis_(axis) {}
  Tensor operator()(const Tensor& x) const override { return softmax(at(x), axis_); }

 private:
  int axis_;
};

}  // namespace taper::nn
