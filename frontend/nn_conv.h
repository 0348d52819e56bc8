// Convolutions.
#pragma once

#include <array>

#include "frontend/nn_module.h"

namespace taper::nn {

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

 private:
  std::shared_ptr<Variable> weight_, bias_;
  ir::ConvAttrs attrs_;
  std::source_location where_;
};

struct Conv1dOptions {
  std::int64_t stride = 1;
  std::int64_t padding = 0;  // on both sides
  std::int64_t dilation = 1;
  std::int64_t groups = 1;
  bool bias = true;
};

// x [N,in,L], weight [out,in/groups,kernel], bias [out].
class Conv1d : public Module {
 public:
  Conv1d(std::int64_t in, std::int64_t out, std::int64_t kernel, Conv1dOptions options = {},
         std::source_location where = std::source_location::current());
  Tensor operator()(const Tensor& x) const override;

 private:
  std::shared_ptr<Variable> weight_, bias_;
  ir::ConvAttrs attrs_;
  std::source_location where_;
};

struct ConvTranspose2dOptions {
  std::array<std::int64_t, 2> stride{1, 1};
  std::array<std::int64_t, 2> padding{0, 0};  // taken off both sides of the result
  // More rows below and columns to the right, fewer than the stride.
  std::array<std::int64_t, 2> output_padding{0, 0};
  std::array<std::int64_t, 2> dilation{1, 1};
  std::int64_t groups = 1;
  bool bias = true;
};

// The gradient of a Conv2d(out, in) as a layer: x [N,in,H,W], weight [in,out/groups,kernel,kernel],
// bias [out]; the result has (H - 1) stride - 2 padding + dilation (kernel - 1) + output_padding +
// 1 rows.
class ConvTranspose2d : public Module {
 public:
  ConvTranspose2d(std::int64_t in, std::int64_t out, std::int64_t kernel,
                  ConvTranspose2dOptions options = {},
                  std::source_location where = std::source_location::current());
  Tensor operator()(const Tensor& x) const override;

 private:
  std::shared_ptr<Variable> weight_, bias_;
  std::int64_t out_;
  ConvTranspose2dOptions options_;
  std::source_location where_;
};

}  // namespace taper::nn
