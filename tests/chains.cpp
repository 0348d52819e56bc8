// Chains of calls that a thread runs some images at a time.
#include <gtest/gtest.h>
#include <taper/taper.h>

#include <random>
#include <string>
#include <vector>

namespace taper {
namespace {

constexpr Dim kImages = 64;
constexpr std::size_t kPixels = 3 * 32 * 32;

struct Network {
  Tape tape;
  Tensor logits, loss;
  Network() {
    manual_seed(3);
    const auto padding = nn::same_padding(1);
    const nn::Sequential model(nn::Conv2d(3, 32, 3, {.padding = padding}), nn::ReLU(),
                               nn::MaxPool2d(2), nn::Conv2d(32, 32, 3, {.padding = padding}),
                               nn::ReLU(), nn::MaxPool2d(2), nn::Flatten(),
                               nn::Linear(32 * 8 * 8, 10));
    const Tensor images = tape.input("images", {N, 3, 32, 32});
    const Tensor labels = tape.input("labels", {N}, DType::i32);
    logits = model(images);
    loss = cross_entropy(logits, labels);
  }
};

std::vector<float> random_images() {
  std::mt19937 generator(1);
  std::normal_distribution<float> distribution;
  std::vector<float> images(kImages * kPixels);
  for (float& v : images) v = distribution(generator);
  return images;
}

TEST(Chains, GiveTheBitsOfOneImageAtATime) {
  const Network network;
  const std::vector<float> images = random_images();
  Function single = compile(network.logits, {.max_batch = 1, .winograd = false});
  ASSERT_EQ(single.plan().find("images at a time"), std::string::npos) << single.plan();
  std::vector<float> expected;
  for (std::size_t i = 0; i < kImages; ++i) {
    const auto y = single(std::span(images).subspan(i * kPixels, kPixels));
    expected.insert(expected.end(), y.begin(), y.end());
  }
  for (const int threads : {1, 2, 3}) {
    Function all =
        compile(network.logits, {.max_batch = kImages, .threads = threads, .winograd = false});
    ASSERT_NE(all.plan().find("images at a time"), std::string::npos) << all.plan();
    for (const std::size_t batch : {64u, 45u, 29u, 15u, 2u, 1u}) {
      const auto y = all(std::span(images).first(batch * kPixels));
      ASSERT_EQ(y.size(), batch * 10);
      EXPECT_TRUE(std::equal(y.begin(), y.end(), expected.begin()))
          << batch << " images on " << threads << " threads";
    }
  }
}

TEST(Chains, AreNotCutByTransformsOfFilters) {
  const Network network;
  const TrainingStep step = compile(network.loss, optim::Adam{}, {.max_batch = kImages});
  const std::string plan = step.plan();
  const auto filter = plan.find("conv winograd 3x3 filter ");
  const auto chain = plan.find("images at a time");
  const auto convolution = plan.find("conv winograd 3x3 forward");
  ASSERT_NE(filter, std::string::npos) << plan;
  ASSERT_NE(chain, std::string::npos) << plan;
  EXPECT_LT(filter, chain) << plan;
  EXPECT_LT(chain, convolution) << plan;
}

constexpr Dim kSide = 36;  // enough for gradients of each image

// An inverted residual block: what its ReLUs leave is computed again for the gradients, and lives
// in a chain each time.
struct Block {
  Tape tape;
  nn::Sequential model;
  Tensor loss;
  Block()
      : model(nn::Conv2d(16, 48, 1, {.bias = false}), nn::BatchNorm2d(48), nn::ReLU6(),
              nn::Conv2d(48, 48, 3, {.padding = nn::same_padding(1), .groups = 48, .bias = false}),
              nn::BatchNorm2d(48), nn::ReLU6(), nn::Conv2d(48, 16, 1, {.bias = false}),
              nn::BatchNorm2d(16)) {
    const Tensor x = tape.input("images", {N, 16, kSide, kSide});
    const Tensor y = model(x);
    loss = mean(y * y * y);
  }
};

std::vector<float> train_block(const CompileOptions& options, std::string* plan = nullptr) {
  manual_seed(5);
  Block block;
  TrainingStep step = compile(block.loss, optim::SGD{.learning_rate = 0.1f}, options);
  if (plan != nullptr) *plan = step.plan();
  std::vector<float> images(kImages * 16 * kSide * kSide);
  for (std::size_t i = 0; i < images.size(); ++i)
    images[i] = static_cast<float>(i * 7919 % 1009) / 500 - 1;
  step(images);
  std::vector<float> values;
  for (const auto& [name, variable] : block.model.parameters()) {
    const std::vector<float> v = variable->read();
    values.insert(values.end(), v.begin(), v.end());
  }
  return values;
}

TEST(Chains, ComputeAgainWhatOnlyGradientsWouldKeep) {
  std::string plan;
  const auto expected = train_block({.max_batch = kImages, .threads = 1}, &plan);
  EXPECT_NE(plan.find("each_image"), std::string::npos) << plan;
  EXPECT_NE(plan.find("planes at a time"), std::string::npos) << plan;
  EXPECT_NE(plan.find("images at a time, threads in turn"), std::string::npos) << plan;
  const auto relus = [&] {
    std::size_t count = 0;
    for (std::size_t at = 0; (at = plan.find("= relu6(", at)) != std::string::npos; ++at) ++count;
    return count;
  };
  EXPECT_EQ(relus(), 4u) << plan;
  for (const int threads : {2, 3})
    EXPECT_EQ(train_block({.max_batch = kImages, .threads = threads}), expected) << threads;
  const auto exact = train_block({.max_batch = kImages, .interpret = true});
  ASSERT_EQ(exact.size(), expected.size());
  for (std::size_t i = 0; i < exact.size(); ++i) ASSERT_NEAR(expected[i], exact[i], 1e-4) << i;
}

}  // namespace
}  // namespace taper
