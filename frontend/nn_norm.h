// Normalisation and dropout.
#pragma once

#include <optional>

#include "frontend/nn_module.h"

namespace taper::nn {

struct BatchNormOptions {
  double eps = 1e-5;
  // How much of the running statistics a step replaces; nothing: their mean over all steps.
  std::optional<double> momentum = 0.1;
  bool affine = true;  // weight and bias [features]
};

// (x - mean) / sqrt(variance + eps) * weight + bias for each channel. A training step takes the
// mean and the biased variance of its batch and moves running_mean and running_var (unbiased; of
// one element per channel it is 0) towards them; other functions take these. num_batches_tracked
// counts the steps, exactly up to 2^24.
class BatchNorm : public Module {
 public:
  Tensor operator()(const Tensor& x) const override;

 protected:
  BatchNorm(std::string layer, std::vector<std::size_t> ranks, std::int64_t features,
            BatchNormOptions options, std::source_location where);

 private:
  struct Statistics {
    Tensor mean, variance;
  };
  Statistics of_batch(const Tensor& x) const;
  Statistics running(const Tensor& x, const Statistics& batch) const;
  Tensor batches(Tape& tape) const;
  Tensor blend(const Tensor& running, const Tensor& now, const Tensor& batches) const;

  std::string layer_;
  std::vector<std::size_t> ranks_;
  std::int64_t features_;
  BatchNormOptions options_;
  std::source_location where_;
  std::shared_ptr<Variable> weight_, bias_, running_mean_, running_var_, batches_;
};

// x [N,features] or [N,features,L].
class BatchNorm1d : public BatchNorm {
 public:
  explicit BatchNorm1d(std::int64_t features, BatchNormOptions options = {},
                       std::source_location where = std::source_location::current())
      : BatchNorm("BatchNorm1d", {2, 3}, features, options, where) {}
};

// x [N,features,H,W].
class BatchNorm2d : public BatchNorm {
 public:
  explicit BatchNorm2d(std::int64_t features, BatchNormOptions options = {},
                       std::source_location where = std::source_location::current())
      : BatchNorm("BatchNorm2d", {4}, features, options, where) {}
};

// Over the trailing axes, whose extents are `shape`, as are those of weight and bias.
class LayerNorm : public Module {
 public:
  explicit LayerNorm(Shape shape, double eps = 1e-5, bool affine = true,
                     std::source_location where = std::source_location::current());
  explicit LayerNorm(std::int64_t features, double eps = 1e-5, bool affine = true,
                     std::source_location where = std::source_location::current())
      : LayerNorm(Shape{features}, eps, affine, where) {}
  Tensor operator()(const Tensor& x) const override;

 private:
  Shape shape_;
  double eps_;
  std::source_location where_;
  std::shared_ptr<Variable> weight_, bias_;
};

// A training step sets each element to zero with probability p and divides the others by 1 - p;
// other functions pass x through. The elements are chosen by Philox: the seed is manual_seed's,
// each layer has a stream of its own, and a counter on the tape, which is no buffer of the layer,
// makes every step and every call differ.
class Dropout : public Module {
 public:
  explicit Dropout(double p = 0.5, std::source_location where = std::source_location::current());
  Tensor operator()(const Tensor& x) const override;

 private:
  double p_;
  RandomState random_;
  std::shared_ptr<Variable> step_;
  std::source_location where_;
};

}  // namespace taper::nn
