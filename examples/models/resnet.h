// ResNet-18 (He et al. 2015), with torchvision's layers, names and initialisation.
#pragma once

#include <taper/taper.h>

namespace models {

// Two 3x3 convolutions with BatchNorm around which the input goes, through a 1x1 convolution where
// its shape changes.
class BasicBlock : public taper::nn::Module {
 public:
  BasicBlock(std::int64_t in, std::int64_t out, std::int64_t stride);
  taper::Tensor operator()(const taper::Tensor& x) const override;

 private:
  taper::nn::Child conv1_, bn1_, conv2_, bn2_;
  std::optional<taper::nn::Child> downsample_;
};

// Images [N,3,H,W] to logits [N,classes]; 32 x 32 or larger.
class ResNet18 : public taper::nn::Module {
 public:
  explicit ResNet18(std::int64_t classes = 1000);
  taper::Tensor operator()(const taper::Tensor& images) const override;

 private:
  taper::nn::Child conv1_, bn1_;
  std::vector<taper::nn::Child> layers_;
  taper::nn::Child fc_;
};

}  // namespace models
