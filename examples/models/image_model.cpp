#include "models/image_model.h"

#include <random>

#include "models/mobilenet.h"
#include "models/resnet.h"
#include "models/vgg.h"

namespace models {

const std::vector<std::string>& image_model_names() {
  static const std::vector<std::string> names{"resnet18", "mobilenet_v2", "vgg11", "vgg11_bn"};
  return names;
}

std::unique_ptr<taper::nn::Module> image_model(const std::string& name, std::int64_t classes) {
  if (name == "resnet18") return std::make_unique<ResNet18>(classes);
  if (name == "mobilenet_v2") return std::make_unique<MobileNetV2>(classes);
  if (name == "vgg11") return std::make_unique<Vgg11>(VggOptions{.classes = classes});
  if (name == "vgg11_bn")
    return std::make_unique<Vgg11>(VggOptions{.classes = classes, .batch_norm = true});
  throw taper::Error("there is no image model \"" + name + "\"");
}

SyntheticImages synthetic_images(std::int64_t batch, std::int64_t size, std::int64_t classes) {
  SyntheticImages data;
  std::mt19937 random(0);
  std::normal_distribution<float> normal;
  data.images.resize(static_cast<std::size_t>(batch * 3 * size * size));
  for (float& value : data.images) value = normal(random);
  for (std::int64_t i = 0; i < batch; ++i)
    data.labels.push_back(static_cast<std::int32_t>(i * 7 % classes));
  return data;
}

}  // namespace models
