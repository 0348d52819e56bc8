// Recorded training steps for tests: layers, cross entropy, and an optimizer over all parameters.
#pragma once

#include <string>
#include <vector>

#include "ir/builder.h"

namespace taper::testing {

class TrainingGraph {
 public:
  using ValueId = ir::ValueId;

  ir::Builder& builder() { return b_; }

  ValueId input(const ir::Shape& shape) { return b_.input("x", {ir::DType::f32, shape}); }

  ValueId dense(ValueId x, ir::Dim out) {
    const ValueId weight = parameter("weight", {out, b_.type(x).shape[1]});
    const ValueId bias = parameter("bias", {out});
    const ValueId product = b_.matmul(x, weight, {.transpose_b = true});
    return b_.add(product, bias);
  }

  struct Conv {
    ir::Dim stride = 1, padding = 0, groups = 1;
  };
  ValueId conv(ValueId x, ir::Dim out, ir::Dim kernel, const Conv& options) {
    const ir::Dim in = b_.type(x).shape[1] / options.groups;
    const ir::Dim pad = options.padding;
    const ir::ConvAttrs attrs{.stride = {options.stride, options.stride},
                              .dilation = {1, 1},
                              .padding = {pad, pad, pad, pad},
                              .groups = options.groups,
                              .shape = {}};
    const ValueId weight = parameter("weight", {out, in, kernel, kernel});
    const ValueId bias = parameter("bias", {out});
    const ValueId result = b_.conv2d(x, weight, attrs);
    return b_.add(result, b_.reshape(bias, {out, 1, 1}));
  }

  ValueId batch_norm(ValueId x) {
    const ir::Dim channels = b_.type(x).shape[1];
    const ValueId scale = parameter("scale", {channels});
    const ValueId shift = parameter("shift", {channels});
    const ValueId mean = b_.reduce(x, ir::ReduceKind::mean, {0, 2, 3}, true);
    const ValueId centred = b_.sub(x, mean);
    const ValueId square = b_.mul(centred, centred);
    const ValueId variance = b_.reduce(square, ir::ReduceKind::mean, {0, 2, 3}, true);
    const ValueId epsilon = b_.scalar(1e-3);
    const ValueId deviation = b_.sqrt(b_.add(variance, epsilon));
    const ValueId normal = b_.div(centred, deviation);
    const ValueId scaled = b_.mul(normal, b_.reshape(scale, {channels, 1, 1}));
    return b_.add(scaled, b_.reshape(shift, {channels, 1, 1}));
  }

  ValueId dropout(ValueId x) {
    const ValueId drawn = b_.random(step(), {.seed = 1, .stream = 2, .shape = b_.type(x).shape});
    const ValueId half = b_.scalar(0.5);
    const ValueId kept = b_.cast(b_.lt(drawn, half), ir::DType::f32);
    const ValueId two = b_.scalar(2);
    const ValueId factor = b_.mul(kept, two);
    return b_.mul(x, factor);
  }

  ValueId relu(ValueId x) { return b_.relu(x); }
  ValueId tanh(ValueId x) { return b_.tanh(x); }
  ValueId max_pool(ValueId x) { return b_.pool2d(x, {}); }
  ValueId average(ValueId x) { return b_.reduce(x, ir::ReduceKind::mean, {2, 3}, false); }
  ValueId flatten(ValueId x) {
    const ir::Shape shape = b_.type(x).shape;
    return b_.reshape(x, {shape[0], shape[1] * shape[2] * shape[3]});
  }

  ir::Graph train_with_sgd(ValueId logits) {
    const ValueId loss = finish(logits);
    const ValueId rate = b_.scalar(0.1);
    for (const ValueId p : parameters_) {
      const ValueId gradient = b_.gradient(loss, p);
      const ValueId change = b_.mul(gradient, rate);
      graph_.updates.push_back({p, b_.sub(p, change)});
    }
    return ir::canonical(graph_);
  }

  ir::Graph train_with_adam(ValueId logits) {
    const ValueId loss = finish(logits);
    const ValueId next = b_.add(step(), b_.scalar(1));
    graph_.updates.push_back({step(), next});
    const ValueId rate = b_.div(b_.scalar(0.01), b_.sqrt(next));
    for (const ValueId p : parameters_) adam(p, loss, rate);
    return ir::canonical(graph_);
  }

 private:
  ValueId parameter(const std::string& name, const ir::Shape& shape) {
    const std::string full = std::to_string(parameters_.size()) + "." + name;
    parameters_.push_back(b_.parameter(full, {ir::DType::f32, shape}));
    return parameters_.back();
  }

  ValueId step() {
    if (step_ == ir::kNoValue) step_ = b_.state("step", {ir::DType::f32, {}});
    return step_;
  }

  ValueId finish(ValueId logits) {
    const ValueId labels = b_.input("labels", {ir::DType::i32, {ir::kBatch}});
    const ValueId losses = b_.cross_entropy(logits, labels);
    const ValueId loss = b_.reduce(losses, ir::ReduceKind::mean, {0}, false);
    graph_.outputs.push_back({"loss", loss});
    graph_.outputs.push_back({"logits", logits});
    return loss;
  }

  void adam(ValueId p, ValueId loss, ValueId rate) {
    const std::string name = std::get<ir::NameAttrs>(graph_[p].attrs).name;
    const ValueId m = b_.state(name + ".m", b_.type(p));
    const ValueId v = b_.state(name + ".v", b_.type(p));
    const ValueId g = b_.gradient(loss, p);
    const ValueId new_m = average_in(m, g, 0.9);
    const ValueId square = b_.mul(g, g);
    const ValueId new_v = average_in(v, square, 0.99);
    const ValueId epsilon = b_.scalar(1e-2);
    const ValueId root = b_.add(b_.sqrt(new_v), epsilon);
    const ValueId change = b_.mul(b_.div(new_m, root), rate);
    graph_.updates.push_back({p, b_.sub(p, change)});
    graph_.updates.push_back({m, new_m});
    graph_.updates.push_back({v, new_v});
  }

  ValueId average_in(ValueId old, ValueId now, double keep) {
    const ValueId kept = b_.mul(old, b_.scalar(keep));
    const ValueId added = b_.mul(now, b_.scalar(1 - keep));
    return b_.add(kept, added);
  }

  ir::Graph graph_;
  ir::Builder b_{graph_};
  std::vector<ValueId> parameters_;
  ValueId step_ = ir::kNoValue;
};

}  // namespace taper::testing
