// MobileNetV2 (Sandler et al. 2018), width 1.0, with torchvision's layers, names and
// initialisation.
#pragma once

#include <taper/taper.h>

namespace models {

// Expansion by a 1x1 convolution, a depthwise 3x3 one and a linear projection; the input is added
// where the shapes agree.
class InvertedResidual : public taper::nn::Module {
 public:
  InvertedResidual(std::int64_t in, std::int64_t out, std::int64_t stride, std::int64_t expansion);
  taper::Tensor operator()(const taper::Tensor& x) const override;

 private:
  taper::nn::Child conv_;
  bool adds_input_;
};

// Images [N,3,H,W] to logits [N,classes]; 32 x 32 or larger.
class MobileNetV2 : public taper::nn::Module {
 public:
  explicit MobileNetV2(std::int64_t classes = 1000, double dropout = 0.2);
  taper::Tensor operator()(const taper::Tensor& images) const override;

 private:
  taper::nn::Child features_, classifier_;
};

}  // namespace models
