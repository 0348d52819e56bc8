// What is measured: one contraction, as taper's spec and as the logical tensors that both libraries
// compute it from.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "ir/kernel.h"
#include "ir/type.h"

namespace taper::bench {

using Pass = ir::ConvPass;  // of dense layers too

struct Problem {
  std::string name;  // "conv3x3/32-64@14/n32/forward", "dense/256x784x128/backward_data"
  Pass pass{};
  ir::KernelSpec spec;
  ir::Dim batch = 0;
  std::int64_t pad = 0;   // of a convolution, on each side
  ir::Shape x, w, y;      // batch bound; rank 4 for a convolution, 2 for a dense layer y = x w'
  ir::Layout xl, wl, yl;  // the layouts that taper's pipeline chooses for this pass

  // Two operands and the result of the pass, with taper's layouts.
  std::array<ir::TensorType, 3> tensors() const;
  double flops() const { return ir::flops(spec, batch); }
};

// The convolutions of the CNN of examples/models.h, a 1x1 convolution and dense layers.
std::vector<Problem> problems();

// Between logical row-major order and the physical layout of `type`; all dims bound.
void pack(const std::vector<float>& plain, const ir::TensorType& type, float* physical);
std::vector<float> unpack(const float* physical, const ir::TensorType& type);

}  // namespace taper::bench
