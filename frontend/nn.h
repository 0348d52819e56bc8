// Layers, with PyTorch's names, parameter shapes and default initialisation.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "frontend/init.h"
#include "frontend/ops.h"
#include "frontend/tape.h"

namespace taper::nn {

using Parameters = std::vector<std::pair<std::string, std::shared_ptr<Variable>>>;

// A layer: calling it records its computation on the input's tape. A copy of a layer shares its
// parameters.
class Module {
 public:
  virtual ~Module() = default;
  virtual Tensor operator()(const Tensor& x) const = 0;
  // Names as in PyTorch's state_dict.
  virtual Parameters parameters() const { return {}; }
};

// y = x W^T + b; x [N,in], weight [out,in], bias [out].
class Linear : public Module {
 public:
  Linear(std::int64_t in, std::int64_t out, bool bias = true,
         std::source_location where = std::source_location::current());
  Tensor operator()(const Tensor& x) const override;
  Parameters parameters() const override;

 private:
  std::shared_ptr<Variable> weight_, bias_;
  std::source_location where_;
};

struct Conv2dOptions {
  std::array<std::int64_t, 2> stride{1, 1};
  std::array<std::int64_t, 4> padding{0, 0, 0, 0};  // top, left, bottom, right
  std::array<std::int64_t, 2> dilation{1, 1};
  std::int64_t groups = 1;
  bool bias = true;
};
// The same extent on all four sides.
constexpr std::array<std::int64_t, 4> same_padding(std::int64_t p) {
  return {p, p, p, p};
}

// x [N,in,H,W], weight [out,in/groups,kernel,kernel], bias [out].
class Conv2d : public Module {
 public:
  Conv2d(std::int64_t in, std::int64_t out, std::int64_t kernel, Conv2dOptions options = {},
         std::source_location where = std::source_location::current());
  Tensor operator()(const Tensor& x) const override;
  Parameters parameters() const override;

 private:
  std::shared_ptr<Variable> weight_, bias_;
  ir::ConvAttrs attrs_;
  std::source_location where_;
};

class ReLU : public Module {
 public:
  Tensor operator()(const Tensor& x) const override;
};

// Square windows; stride 0 means the kernel's size.
class MaxPool2d : public Module {
 public:
  explicit MaxPool2d(std::int64_t kernel, std::int64_t stride = 0, std::int64_t padding = 0,
                     bool ceil_mode = false);
  Tensor operator()(const Tensor& x) const override;

 private:
  ir::PoolAttrs attrs_;
};

// Average over windows that divide H and W evenly into `size` x `size` results; 1 is the global
// average. Throws taper::Error when H or W is no multiple of `size`.
class AdaptiveAvgPool2d : public Module {
 public:
  explicit AdaptiveAvgPool2d(std::int64_t size,
                             std::source_location where = std::source_location::current());
  Tensor operator()(const Tensor& x) const override;

 private:
  std::int64_t size_;
  std::source_location where_;
};

// [N, ...] -> [N, product].
class Flatten : public Module {
 public:
  Tensor operator()(const Tensor& x) const override;
};

// Layers one after another; parameters are named "0.weight", "2.bias", ...
class Sequential : public Module {
 public:
  template <class... Layers>
  explicit Sequential(Layers... layers) : layers_{std::make_shared<Layers>(std::move(layers))...} {}
  Tensor operator()(const Tensor& x) const override;
  Parameters parameters() const override;

 private:
  std::vector<std::shared_ptr<Module>> layers_;
};

}  // namespace taper::nn
