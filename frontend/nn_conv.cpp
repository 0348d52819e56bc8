#include "frontend/nn_conv.h"

namespace taper::nn {
namespace {

void check_sizes(std::string_view layer, std::int64_t in, std::int64_t out, std::int64_t kernel,
                 std::int64_t groups, const std::source_location& where) {
  if (in < 1 || out < 1 || kernel < 1 || groups < 1 || in % groups != 0 || out % groups != 0)
    throw Error(where, "{}: {} -> {} channels, kernel {}, groups {} do not fit together", layer, in,
                out, kernel, groups);
}

Tensor with_bias(const Tensor& y, const std::shared_ptr<Variable>& bias,
                 const std::source_location& where) {
  if (!bias) return y;
  const Operand values(y.tape().parameter(bias, where), where);
  return Operand(y, where) + Operand(reshape(values, {bias->type().shape[0], 1, 1}), where);
}

}  // namespace

Conv2d::Conv2d(std::int64_t in, std::int64_t out, std::int64_t kernel, Conv2dOptions options,
               std::source_location where)
    : attrs_{options.stride, options.dilation, options.padding, options.groups, {}}, where_(where) {
  check_sizes("Conv2d", in, out, kernel, options.groups, where);
  weight_ = add_parameter("weight", {out, in / options.groups, kernel, kernel});
  if (options.bias) bias_ = add_parameter("bias", {out});
  init::default_weights(*weight_, bias_.get());
}

Tensor Conv2d::operator()(const Tensor& x) const {
  const Operand weight(x.tape().parameter(weight_, where_), where_);
  const Tensor y = conv2d(Operand(x, where_), weight, attrs_);
  return with_bias(y, bias_, where_);
}

Conv1d::Conv1d(std::int64_t in, std::int64_t out, std::int64_t kernel, Conv1dOptions options,
               std::source_location where)
    : attrs_{{1, options.stride},
             {1, options.dilation},
             {0, options.padding, 0, options.padding},
             options.groups,
             {}},
      where_(where) {
  check_sizes("Conv1d", in, out, kernel, options.groups, where);
  weight_ = add_parameter("weight", {out, in / options.groups, kernel});
  if (options.bias) bias_ = add_parameter("bias", {out});
  init::default_weights(*weight_, bias_.get());
}

Tensor Conv1d::operator()(const Tensor& x) const {
  const Shape shape = x.shape();
  const Shape window = weight_->type().shape;
  if (shape.size() != 3)
    throw Error(where_, "Conv1d: the input {} is not [N, channels, length]", ir::to_string(shape));
  const Operand weight(x.tape().parameter(weight_, where_), where_);
  const Tensor image = reshape(Operand(x, where_), {shape[0], shape[1], 1, shape[2]});
  const Tensor kernel = reshape(weight, {window[0], window[1], 1, window[2]});
  const Tensor y = conv2d(Operand(image, where_), Operand(kernel, where_), attrs_);
  const Tensor biased = with_bias(y, bias_, where_);
  return reshape(Operand(biased, where_), {shape[0], window[0], biased.shape()[3]});
}

ConvTranspose2d::ConvTranspose2d(std::int64_t in, std::int64_t out, std::int64_t kernel,
                                 ConvTranspose2dOptions options, std::source_location where)
    : out_(out), options_(options), where_(where) {
  check_sizes("ConvTranspose2d", in, out, kernel, options.groups, where);
  for (std::size_t i = 0; i < 2; ++i)
    if (options.output_padding[i] < 0 || options.output_padding[i] >= options.stride[i])
      throw Error(where, "ConvTranspose2d: output padding {} is not in 0..{}, below the stride",
                  options.output_padding[i], options.stride[i] - 1);
  weight_ = add_parameter("weight", {in, out / options.groups, kernel, kernel});
  if (options.bias) bias_ = add_parameter("bias", {out});
  init::default_weights(*weight_, bias_.get());
}

Tensor ConvTranspose2d::operator()(const Tensor& x) const {
  Tape& tape = x.tape();
  const Shape shape = x.shape();
  const Shape window = weight_->type().shape;
  if (shape.size() != 4 || shape[1] != window[0])
    throw Error(where_, "ConvTranspose2d: the input {} is not [N, {}, height, width]",
                ir::to_string(shape), window[0]);
  const auto& [stride, padding, output_padding, dilation, groups, bias] = options_;
  ir::ConvAttrs attrs{stride,
                      dilation,
                      {padding[0], padding[1], padding[0], padding[1]},
                      groups,
                      {shape[0], out_, 0, 0}};
  for (std::size_t i = 0; i < 2; ++i)
    attrs.shape[2 + i] = (shape[2 + i] - 1) * stride[i] - 2 * padding[i] +
                         dilation[i] * (window[2 + i] - 1) + output_padding[i] + 1;
  const Tensor weight = tape.parameter(weight_, where_);
  const Tensor y(tape, tape.builder(where_).conv2d_backward_data(x.id(), weight.id(), attrs));
  return with_bias(y, bias_, where_);
}

}  // namespace taper::nn
