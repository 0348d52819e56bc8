#include "frontend/nn_norm.h"

#include <fmt/format.h>

#include <algorithm>

#include "frontend/mode.h"

namespace taper::nn {
namespace {

// All axes but the channels'.
std::vector<std::int64_t> axes_of(const Shape& shape) {
  std::vector<std::int64_t> axes{0};
  for (std::size_t i = 2; i < shape.size(); ++i) axes.push_back(static_cast<std::int64_t>(i));
  return axes;
}

// [features], as it broadcasts to `shape`.
Tensor per_channel(const Tensor& values, const Shape& shape) {
  Shape kept(shape.size(), 1);
  kept[1] = values.shape()[0];
  return reshape(values, kept);
}

}  // namespace

BatchNorm::BatchNorm(std::string layer, std::vector<std::size_t> ranks, std::int64_t features,
                     BatchNormOptions options, std::source_location where)
    : layer_(std::move(layer)),
      ranks_(std::move(ranks)),
      features_(features),
      options_(options),
      where_(where) {
  const double momentum = options.momentum.value_or(0);
  if (features < 1 || !(options.eps >= 0) || !(momentum >= 0 && momentum <= 1))
    throw Error(where, "{}: {} features, eps {} or momentum {} is out of range", layer_, features,
                options.eps, momentum);
  if (options.affine) {
    weight_ = add_parameter("weight", {features});
    bias_ = add_parameter("bias", {features});
    init::constant(*weight_, 1);
  }
  running_mean_ = add_buffer("running_mean", {features});
  running_var_ = add_buffer("running_var", {features});
  batches_ = add_buffer("num_batches_tracked", {});
  init::constant(*running_var_, 1);
}

BatchNorm::Statistics BatchNorm::of_batch(const Tensor& x) const {
  const std::vector<std::int64_t> axes = axes_of(x.shape());
  const Tensor average = mean(x, axes, true);
  const Tensor centred = x - average;
  return {average, mean(centred * centred, axes, true)};
}

// The number of batches, this one included.
Tensor BatchNorm::batches(Tape& tape) const {
  const Tensor variable = tape.state(batches_, where_);
  const Tensor before = tape.updated(variable);
  const Tensor after = before + 1.0;
  tape.update(variable, where(training(tape), after, before));
  return after;
}

Tensor BatchNorm::blend(const Tensor& running, const Tensor& now, const Tensor& batches) const {
  if (!options_.momentum) return running + (now - running) / batches;
  const Tensor kept = running * (1 - *options_.momentum);
  return kept + now * *options_.momentum;
}

// Records the update of the running statistics; returns them as they are before it.
BatchNorm::Statistics BatchNorm::running(const Tensor& x, const Statistics& batch) const {
  Tape& tape = x.tape();
  const Tensor count = extent(x, axes_of(x.shape()));
  const Tensor unbiased = batch.variance * (count / maximum(count - 1.0, 1.0));
  const Tensor number = batches(tape);
  const auto follow = [&](const std::shared_ptr<Variable>& variable, const Tensor& now) {
    const Tensor old = tape.state(variable, where_);
    const Tensor before = tape.updated(old);
    const Tensor after = blend(before, reshape(now, {features_}), number);
    tape.update(old, where(training(tape), after, before));
    return per_channel(before, x.shape());
  };
  const Tensor mean = follow(running_mean_, batch.mean);
  return {mean, follow(running_var_, unbiased)};
}

Tensor BatchNorm::operator()(const Tensor& x) const {
  const Shape shape = x.shape();
  if (std::ranges::find(ranks_, shape.size()) == ranks_.end() || shape[1] != features_)
    throw Error(where_, "{}: the input {} has not rank {} and {} channels", layer_,
                ir::to_string(shape), fmt::join(ranks_, " or "), features_);
  Tape& tape = x.tape();
  const Tape::Line line(&tape, where_);
  const Statistics before = running(x, of_batch(x));
  Tensor scale = tape.scalar(1, where_);
  if (weight_) scale = per_channel(tape.parameter(weight_, where_), shape);
  const Tensor now = normalize(x, scale, axes_of(shape), options_.eps);
  const Tensor deviation = sqrt(before.variance + options_.eps);
  const Tensor centred = x - before.mean;
  const Tensor then = centred * (scale / deviation);
  const Tensor y = where(training(tape), now, then);
  return bias_ ? y + per_channel(tape.parameter(bias_, where_), shape) : y;
}

LayerNorm::LayerNorm(Shape shape, double eps, bool affine, std::source_location where)
    : shape_(std::move(shape)), eps_(eps), where_(where) {
  const auto positive = [](Dim extent) { return extent > 0; };
  if (shape_.empty() || !std::ranges::all_of(shape_, positive) || !(eps >= 0))
    throw Error(where, "LayerNorm: shape {} or eps {} is out of range", ir::to_string(shape_), eps);
  if (!affine) return;
  weight_ = add_parameter("weight", shape_);
  bias_ = add_parameter("bias", shape_);
  init::constant(*weight_, 1);
}

Tensor LayerNorm::operator()(const Tensor& x) const {
  const Shape shape = x.shape();
  const std::size_t first = shape.size() - std::min(shape.size(), shape_.size());
  if (!std::equal(shape.begin() + static_cast<std::ptrdiff_t>(first), shape.end(), shape_.begin(),
                  shape_.end()))
    throw Error(where_, "LayerNorm: the input {} does not end in {}", ir::to_string(shape),
                ir::to_string(shape_));
  std::vector<std::int64_t> axes;
  for (std::size_t i = first; i < shape.size(); ++i) axes.push_back(static_cast<std::int64_t>(i));
  const Tape::Line line(&x.tape(), where_);
  const Tensor unit = normalize(Operand(x, where_), 1.0, axes, eps_);
  if (!weight_) return unit;
  const Tensor scaled = unit * x.tape().parameter(weight_, where_);
  return scaled + x.tape().parameter(bias_, where_);
}

Dropout::Dropout(double p, std::source_location where)
    : p_(p),
      random_(next_random_stream()),
      step_(std::make_shared<Variable>("dropout_step", ir::TensorType{DType::f32, {}})),
      where_(where) {
  if (!(p >= 0 && p <= 1)) throw Error(where, "Dropout: the probability {} is not in [0, 1]", p);
}

Tensor Dropout::operator()(const Tensor& x) const {
  Tape& tape = x.tape();
  const Tape::Line line(&tape, where_);
  const Tensor step = tape.state(step_, where_);
  const Tensor now = tape.updated(step);
  const Tensor random = random_uniform(now, x.shape(), random_.seed, random_.stream);
  const Tensor kept = random >= p_;
  const Tensor scaled = Operand(x, where_) * (p_ < 1 ? 1 / (1 - p_) : 0.0);
  const Tensor dropped = where(kept, scaled, 0.0);
  const Tensor next = now + 1.0;
  tape.update(step, where(training(tape), next, now));
  return where(training(tape), dropped, x);
}

}  // namespace taper::nn
