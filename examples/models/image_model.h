// The networks of this folder by name, and data of ImageNet's shape for them.
#pragma once

#include <taper/taper.h>

#include <memory>
#include <string>
#include <vector>

namespace models {

// "resnet18", "mobilenet_v2", "vgg11" or "vgg11_bn"; others throw taper::Error.
std::unique_ptr<taper::nn::Module> image_model(const std::string& name,
                                               std::int64_t classes = 1000);
const std::vector<std::string>& image_model_names();

struct SyntheticImages {
  std::vector<float> images;         // [batch,3,size,size], normally distributed
  std::vector<std::int32_t> labels;  // [batch]
};
SyntheticImages synthetic_images(std::int64_t batch, std::int64_t size, std::int64_t classes);

}  // namespace models
