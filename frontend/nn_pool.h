// Pooling. Square windows; stride 0 means the kernel's size.
#pragma once

#include <array>

#include "frontend/nn_activation.h"

namespace taper::nn {

class MaxPool2d : public FunctionLayer {
 public:
  explicit MaxPool2d(std::int64_t kernel, std::int64_t stride = 0, std::int64_t padding = 0,
                     bool ceil_mode = false,
                     std::source_location where = std::source_location::current());
  Tensor operator()(const Tensor& x) const override { return max_pool2d(at(x), attrs_); }

 private:
  ir::PoolAttrs attrs_;
};

class AvgPool2d : public FunctionLayer {
 public:
  explicit AvgPool2d(std::int64_t kernel, std::int64_t stride = 0, std::int64_t padding = 0,
                     bool ceil_mode = false, bool count_include_pad = true,
                     std::source_location where = std::source_location::current());
  Tensor operator()(const Tensor& x) const override { return avg_pool2d(at(x), attrs_); }

 private:
  ir::PoolAttrs attrs_;
};

// Averages over windows, of sizes that differ by one where H or W is no multiple of the result's.
class AdaptiveAvgPool2d : public FunctionLayer {
 public:
  explicit AdaptiveAvgPool2d(std::int64_t size,
                             std::source_location where = std::source_location::current())
      : AdaptiveAvgPool2d(std::array{size, size}, where) {}
  explicit AdaptiveAvgPool2d(std::array<std::int64_t, 2> size,
                             std::source_location where = std::source_location::current());
  Tensor operator()(const Tensor& x) const override { return adaptive_avg_pool2d(at(x), size_); }

 private:
  std::array<std::int64_t, 2> size_;
};

}  // namespace taper::nn
