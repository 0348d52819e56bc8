// What is measured: one contraction, as taper's spec and as the logical tensors that every library
// computes it from.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ir/kernel.h"
#include "ir/type.h"

namespace taper::bench {

using Pass = ir::ConvPass;  // of dense layers too
inline constexpr Pass kPasses[] = {Pass::forward, Pass::backward_data, Pass::backward_weights};

struct Problem {
  std::string set;   // "layers/resnet50", "dense"
  std::string name;  // "layers/resnet50/64-64@56_k3s1p1/n16/forward", "dense/256x784x128/forward"
  Pass pass{};
  bool epilogue = false;  // forward: the result is relu(y + bias)
  ir::KernelSpec spec;
  ir::Dim batch = 0;
  // Of a convolution, on each side and along each axis.
  std::int64_t pad = 0, stride = 1, dilation = 1;
  bool depthwise = false;
  ir::Shape x, w, y;      // batch bound; rank 4 for a convolution, 2 for a dense layer y = x w'
  ir::Layout xl, wl, yl;  // the layouts that taper's pipeline chooses for this pass

  bool dense() const { return x.size() == 2; }
  // Two operands and the result of the pass, with taper's layouts.
  std::array<ir::TensorType, 3> tensors() const;
  ir::TensorType bias() const { return {ir::DType::f32, {y[1]}, ir::Layout::plain}; }
  double flops() const { return ir::flops(spec, batch); }
  double bytes() const;  // of the two operands and the result, each moved once
};

// Both operands, and the bias, row-major.
struct Operands {
  std::array<std::vector<float>, 2> tensors;
  std::vector<float> bias;
};

// Channels in and out, height and width, a square kernel; padding dilation * (kernel - 1) / 2.
struct ConvLayer {
  std::int64_t ic, oc, size, kernel, stride = 1;
  bool depthwise = false;
  std::int64_t dilation = 1;
};
Problem convolution(std::string_view set, const ConvLayer& layer, ir::Dim batch, Pass pass,
                    bool epilogue);
Problem dense(ir::Dim batch, std::int64_t in, std::int64_t out, Pass pass, bool epilogue);

std::string_view name(Pass pass);

// Between logical row-major order and the physical layout of `type`; all dims bound.
void pack(const std::vector<float>& plain, const ir::TensorType& type, float* physical);
std::vector<float> unpack(const float* physical, const ir::TensorType& type);

}  // namespace taper::bench
