#include "frontend/nn.h"

#include <fmt/format.h>

#include <cmath>

namespace taper::nn {
namespace {

std::shared_ptr<Variable> make_parameter(const std::string& name, Shape shape) {
  return std::make_shared<Variable>(name, ir::TensorType{DType::f32, std::move(shape)});
}

// PyTorch's default for Linear and Conv2d: weight and bias uniform in +-1/sqrt(fan_in).
void initialise(Variable& weight, Variable* bias) {
  const double bound = 1 / std::sqrt(static_cast<double>(init::fan_in(weight.type().shape)));
  init::uniform(weight, -bound, bound);
  if (bias != nullptr) init::uniform(*bias, -bound, bound);
}

void append(Parameters& list, const std::shared_ptr<Variable>& variable) {
  if (variable) list.emplace_back(variable->name(), variable);
}

}  // namespace

Linear::Linear(std::int64_t in, std::int64_t out, bool bias, std::source_location where)
    : where_(where) {
  if (in < 1 || out < 1)
    throw Error(fmt::format("Linear: {} -> {} features are not positive", in, out), where);
  weight_ = make_parameter("weight", {out, in});
  if (bias) bias_ = make_parameter("bias", {out});
  initialise(*weight_, bias_.get());
}

Tensor Linear::operator()(const Tensor& x) const {
  Tape& tape = x.tape();
  const Tensor weight = tape.parameter(weight_, where_);
  ir::Builder builder(tape.graph(), where_);
  const Tensor y(tape, builder.matmul(x.id(), weight.id(), {.transpose_b = true}));
  if (!bias_) return y;
  return Operand(y, where_) + Operand(tape.parameter(bias_, where_), where_);
}

Parameters Linear::parameters() const {
  Parameters list;
  append(list, weight_);
  append(list, bias_);
  return list;
}

Conv2d::Conv2d(std::int64_t in, std::int64_t out, std::int64_t kernel, Conv2dOptions options,
               std::source_location where)
    : attrs_{options.stride, options.dilation, options.padding, options.groups, {}}, where_(where) {
  const std::int64_t groups = options.groups;
  if (in < 1 || out < 1 || kernel < 1 || groups < 1 || in % groups != 0 || out % groups != 0)
    throw Error(fmt::format("Conv2d: {} -> {} channels, kernel {}, groups {} do not fit together",
                            in, out, kernel, groups),
                where);
  weight_ = make_parameter("weight", {out, in / groups, kernel, kernel});
  if (options.bias) bias_ = make_parameter("bias", {out});
  initialise(*weight_, bias_.get());
}

Tensor Conv2d::operator()(const Tensor& x) const {
  Tape& tape = x.tape();
  const Operand weight(tape.parameter(weight_, where_), where_);
  const Tensor y = conv2d(Operand(x, where_), weight, attrs_);
  if (!bias_) return y;
  const Operand bias(tape.parameter(bias_, where_), where_);
  return Operand(y, where_) + Operand(reshape(bias, {bias_->type().shape[0], 1, 1}), where_);
}

Parameters Conv2d::parameters() const {
  Parameters list;
  append(list, weight_);
  append(list, bias_);
  return list;
}

Tensor ReLU::operator()(const Tensor& x) const {
  return relu(x);
}

MaxPool2d::MaxPool2d(std::int64_t kernel, std::int64_t stride, std::int64_t padding,
                     bool ceil_mode) {
  const std::int64_t step = stride == 0 ? kernel : stride;
  attrs_.kernel = {kernel, kernel};
  attrs_.stride = {step, step};
  attrs_.padding = same_padding(padding);
  attrs_.ceil_mode = ceil_mode;
}
Tensor MaxPool2d::operator()(const Tensor& x) const {
  return max_pool2d(x, attrs_);
}

AdaptiveAvgPool2d::AdaptiveAvgPool2d(std::int64_t size, std::source_location where)
    : size_(size), where_(where) {
  if (size < 1) throw Error(fmt::format("AdaptiveAvgPool2d: size {} is not positive", size), where);
}

Tensor AdaptiveAvgPool2d::operator()(const Tensor& x) const {
  const Shape& shape = x.shape();
  if (shape.size() != 4 || shape[2] % size_ != 0 || shape[3] % size_ != 0)
    throw Error(fmt::format("AdaptiveAvgPool2d: {} does not divide into {} x {} equal windows",
                            ir::to_string(shape), size_, size_),
                where_);
  if (size_ == 1) return mean(Operand(x, where_), {2, 3}, true);
  ir::PoolAttrs attrs;
  attrs.kernel = attrs.stride = {shape[2] / size_, shape[3] / size_};
  return avg_pool2d(Operand(x, where_), attrs);
}

Tensor Flatten::operator()(const Tensor& x) const {
  return flatten(x);
}

Tensor Sequential::operator()(const Tensor& x) const {
  Tensor y = x;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const Tape::Scope scope(x.tape(), std::to_string(i));
    y = (*layers_[i])(y);
  }
  return y;
}

Parameters Sequential::parameters() const {
  Parameters list;
  for (std::size_t i = 0; i < layers_.size(); ++i)
    for (auto& [name, variable] : layers_[i]->parameters())
      list.emplace_back(fmt::format("{}.{}", i, name), variable);
  return list;
}

}  // namespace taper::nn
