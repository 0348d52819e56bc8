// VGG-11 (Simonyan and Zisserman 2014, configuration A), with torchvision's layers, names and
// initialisation.
#pragma once

#include <taper/taper.h>

namespace models {

struct VggOptions {
  std::int64_t classes = 1000;
  bool batch_norm = false;
  double dropout = 0.5;
  std::int64_t hidden = 4096;  // width of the two hidden linear layers
};

// Images [N,3,H,W] to logits [N,classes]; 32 x 32 or larger.
class Vgg11 : public taper::nn::Module {
 public:
  explicit Vgg11(const VggOptions& options = {});
  taper::Tensor operator()(const taper::Tensor& images) const override;

 private:
  taper::nn::Child features_, classifier_;
};

}  // namespace models
