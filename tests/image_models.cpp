// The networks of examples/models: torchvision's parameters, and training on tiny images.
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "models/image_model.h"
#include "models/mobilenet.h"
#include "models/resnet.h"
#include "models/vgg.h"
#include "models/weights.h"

namespace taper {
namespace {

// A VGG-11 whose hidden layers do not dominate the time of a test.
models::VggOptions small_vgg(bool batch_norm) {
  return {.classes = 4, .batch_norm = batch_norm, .dropout = 0, .hidden = 32};
}

std::map<std::string, Shape> shapes(const nn::Parameters& list) {
  std::map<std::string, Shape> result;
  for (const auto& [name, variable] : list) result[name] = variable->type().shape;
  return result;
}

struct Training {
  std::int64_t size = 32;
  int steps = 8;
  float learning_rate = 1e-3f;
};

void expect_learns(const nn::Module& model, const Training& training = {}) {
  constexpr std::int64_t batch = 4, classes = 4;
  const auto data = models::synthetic_images(batch, training.size, classes);
  Tape tape;
  const auto images = tape.input("images", {N, 3, training.size, training.size});
  const auto labels = tape.input("labels", {N}, DType::i32);
  auto step = compile(cross_entropy(model(images), labels), optim::Adam{training.learning_rate},
                      {.max_batch = batch, .threads = 2});
  const float first = step(data.images, data.labels);
  EXPECT_NEAR(first, std::log(4.f), 1.f);
  float last = first;
  for (int i = 1; i < training.steps; ++i) last = step(data.images, data.labels);
  EXPECT_LT(last, 0.5f * first);
}

TEST(ImageModels, ResNet18IsTorchvisions) {
  const models::ResNet18 model;
  EXPECT_EQ(models::parameter_count(model), 11'689'512);
  const auto parameters = shapes(model.parameters());
  EXPECT_EQ(parameters.size(), 62u);
  EXPECT_EQ(parameters.at("conv1.weight"), (Shape{64, 3, 7, 7}));
  EXPECT_EQ(parameters.at("layer1.1.bn2.bias"), (Shape{64}));
  EXPECT_EQ(parameters.at("layer4.0.downsample.0.weight"), (Shape{512, 256, 1, 1}));
  EXPECT_EQ(parameters.at("fc.weight"), (Shape{1000, 512}));
  EXPECT_TRUE(shapes(model.buffers()).contains("layer2.0.downsample.1.running_mean"));
}

TEST(ImageModels, MobileNetV2IsTorchvisions) {
  const models::MobileNetV2 model;
  EXPECT_EQ(models::parameter_count(model), 3'504'872);
  const auto parameters = shapes(model.parameters());
  EXPECT_EQ(parameters.size(), 158u);
  EXPECT_EQ(parameters.at("features.0.0.weight"), (Shape{32, 3, 3, 3}));
  EXPECT_EQ(parameters.at("features.1.conv.0.0.weight"), (Shape{32, 1, 3, 3}));
  EXPECT_EQ(parameters.at("features.2.conv.1.0.weight"), (Shape{96, 1, 3, 3}));
  EXPECT_EQ(parameters.at("features.17.conv.2.weight"), (Shape{320, 960, 1, 1}));
  EXPECT_EQ(parameters.at("features.18.0.weight"), (Shape{1280, 320, 1, 1}));
  EXPECT_EQ(parameters.at("classifier.1.bias"), (Shape{1000}));
}

TEST(ImageModels, Vgg11IsTorchvisions) {
  // Half a gigabyte of parameters is too much for a test: those of the hidden layers are counted.
  constexpr auto hidden = [](std::int64_t h) { return h * (25088 + 1) + h * (h + 1) + h * 1000; };
  const models::Vgg11 model({.hidden = 1});
  const auto count = models::parameter_count(model);
  EXPECT_EQ(count - hidden(1) + hidden(models::VggOptions{}.hidden), 132'863'336);
  const auto parameters = shapes(model.parameters());
  EXPECT_EQ(parameters.size(), 22u);
  EXPECT_EQ(parameters.at("features.18.weight"), (Shape{512, 512, 3, 3}));
  EXPECT_EQ(parameters.at("classifier.0.weight"), (Shape{1, 512 * 7 * 7}));
  EXPECT_EQ(parameters.at("classifier.6.weight"), (Shape{1000, 1}));
  const models::Vgg11 normalised({.batch_norm = true, .hidden = 1});
  EXPECT_EQ(models::parameter_count(normalised) - count, 2 * (64 + 128 + 2 * 256 + 4 * 512));
  EXPECT_TRUE(shapes(normalised.buffers()).contains("features.26.running_var"));
}

TEST(ImageModels, ResNet18Learns) {
  expect_learns(models::ResNet18(4));
}

TEST(ImageModels, ResNet18LearnsFromImagesOfOddSizes) {
  expect_learns(models::ResNet18(4), {.size = 45});
}

TEST(ImageModels, MobileNetV2Learns) {
  expect_learns(models::MobileNetV2(4, 0));
}

TEST(ImageModels, MobileNetV2LearnsFromImagesOfOddSizes) {
  expect_learns(models::MobileNetV2(4, 0), {.size = 45});
}

TEST(ImageModels, Vgg11Learns) {
  const models::Vgg11 model(small_vgg(false));
  // With torchvision's small weights narrow linear layers pass hardly anything on.
  for (const auto& [name, variable] : model.parameters())
    if (variable->type().shape.size() == 2) init::kaiming_normal(*variable);
  expect_learns(model, {.steps = 14, .learning_rate = 1e-4f});
}

TEST(ImageModels, Vgg11WithBatchNormLearns) {
  expect_learns(models::Vgg11(small_vgg(true)), {.steps = 12});
}

TEST(ImageModels, AreFoundByName) {
  EXPECT_THROW(models::image_model("resnet"), Error);
  EXPECT_NE(models::image_model("mobilenet_v2", 2), nullptr);
}

}  // namespace
}  // namespace taper
