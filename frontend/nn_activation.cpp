#include "frontend/nn_activation.h"

namespace taper::nn {

Tensor ReLU::operator()(const Tensor& x) const {
  return relu(at(x));
}
Tensor ReLU6::operator()(const Tensor& x) const {
  return relu6(at(x));
}
Tensor Sigmoid::operator()(const Tensor& x) const {
  return sigmoid(at(x));
}
Tensor Tanh::operator()(const Tensor& x) const {
  return tanh(at(x));
}
Tensor SiLU::operator()(const Tensor& x) const {
  return silu(at(x));
}
Tensor LeakyReLU::operator()(const Tensor& x) const {
  return leaky_relu(at(x), slope_);
}
Tensor GELU::operator()(const Tensor& x) const {
  return gelu(at(x), form_);
}
Tensor Softmax::operator()(const Tensor& x) const {
  return softmax(at(x), axis_);
}

}  // namespace taper::nn
