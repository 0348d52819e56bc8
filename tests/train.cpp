// Whole programs: training steps against the interpreter, the same bits everywhere, bad calls.
#include <gtest/gtest.h>
#include <taper/taper.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <tuple>
#include <vector>

#include "ir/eval.h"

namespace taper {
namespace {

struct Data {
  std::vector<std::uint8_t> images;
  std::vector<std::int32_t> labels;
};

// Ten classes of random patterns with noise: learnable, and made from Philox alone.
Data make_data(std::size_t count, std::size_t pixels, std::uint64_t seed) {
  Data data;
  for (std::size_t i = 0; i < count; ++i) {
    const auto label = static_cast<std::int32_t>(ir::philox(i, 1, 0, seed) % 10);
    data.labels.push_back(label);
    for (std::size_t p = 0; p < pixels; ++p) {
      const bool on = ir::philox(p, static_cast<std::uint32_t>(label), 99, 5) & 1;
      const auto noise = static_cast<std::uint8_t>(ir::philox(i * pixels + p, 2, 0, seed) & 63);
      data.images.push_back(static_cast<std::uint8_t>((on ? 160 : 20) + noise));
    }
  }
  return data;
}

nn::Sequential small_mlp() {
  return nn::Sequential{nn::Flatten(),      nn::Linear(64, 48), nn::ReLU(),
                        nn::Linear(48, 20), nn::ReLU(),         nn::Linear(20, 10)};
}

// Every kind of convolution and pooling: odd channels, a stride, groups, depthwise, 1x1, overlap.
nn::Sequential small_cnn() {
  const auto pad = nn::same_padding(1);
  return nn::Sequential{nn::Conv2d(1, 16, 3, {.padding = pad}),
                        nn::ReLU(),  //
                        nn::Conv2d(16, 20, 3, {.padding = pad}),
                        nn::ReLU(),
                        nn::MaxPool2d(2),  //
                        nn::Conv2d(20, 20, 3, {.padding = pad, .groups = 20}),
                        nn::ReLU(),  //
                        nn::Conv2d(20, 32, 1),
                        nn::ReLU(),
                        nn::MaxPool2d(3, 1, 1),  //
                        nn::Conv2d(32, 12, 3, {.stride = {2, 2}, .padding = pad, .groups = 2}),
                        nn::ReLU(),
                        nn::AdaptiveAvgPool2d(1),
                        nn::Flatten(),
                        nn::Linear(12, 10)};
}

struct Outcome {
  std::vector<float> losses;
  std::vector<std::vector<float>> weights;
};

Outcome train(nn::Sequential (*make)(), std::int64_t batch, int steps,
              const CompileOptions& options, float rate = 3e-3f) {
  manual_seed(3);
  Tape tape;
  const Tensor images = tape.input("images", {N, 1, 8, 8}, DType::u8);
  const Tensor labels = tape.input("labels", {N}, DType::i32);
  const nn::Sequential model = make();
  const Tensor logits = model(cast(images, DType::f32) * (1 / 128.0) - 1);
  TrainingStep step =
      compile(cross_entropy(logits, labels), optim::Adam{.learning_rate = rate}, options);
  Outcome outcome;
  for (int i = 0; i < steps; ++i) {
    const Data data = make_data(static_cast<std::size_t>(batch), 64, static_cast<std::uint64_t>(i));
    outcome.losses.push_back(step(data.images, data.labels));
  }
  for (const auto& [name, variable] : model.parameters())
    outcome.weights.push_back(variable->read());
  return outcome;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

void expect_same_bits(const Outcome& a, const Outcome& b, const std::string& what) {
  EXPECT_TRUE(same_bits(a.losses, b.losses)) << what;
  ASSERT_EQ(a.weights.size(), b.weights.size());
  for (std::size_t i = 0; i < a.weights.size(); ++i)
    EXPECT_TRUE(same_bits(a.weights[i], b.weights[i])) << what << ", parameter " << i;
}

std::vector<const ir::Isa*> host_isas() {
  std::vector<const ir::Isa*> isas;
  for (const ir::Isa* isa : {&ir::kAvx2, &ir::kAvx512, &ir::kNeon}) {
    const ir::Isa* best = ir::select_isa(ir::host_features(), std::string(isa->name));
    if (best != nullptr && best->name == isa->name) isas.push_back(isa);
  }
  return isas;
}

class Models : public testing::TestWithParam<nn::Sequential (*)()> {};

class FollowTheInterpreter
    : public testing::TestWithParam<std::tuple<nn::Sequential (*)(), ir::Dim>> {};

TEST_P(FollowTheInterpreter, InTraining) {
  const auto [model, batch] = GetParam();
  const Outcome reference = train(model, batch, 3, {.max_batch = batch, .interpret = true});
  for (const ir::Isa* isa : host_isas()) {
    const Outcome ours = train(model, batch, 3, {.max_batch = batch, .isa = isa});
    for (std::size_t i = 0; i < ours.losses.size(); ++i)
      EXPECT_NEAR(ours.losses[i], reference.losses[i], 1e-4 * (1 + std::fabs(reference.losses[i])));
    for (std::size_t p = 0; p < ours.weights.size(); ++p)
      for (std::size_t i = 0; i < ours.weights[p].size(); ++i)
        // Adam's first steps move by the sign of a gradient: a tiny one may differ by 2 rates.
        ASSERT_NEAR(ours.weights[p][i], reference.weights[p][i], 2e-3) << p << " " << i;
  }
}

TEST_P(Models, SameBitsForAnyThreadsAndIsa) {
  for (const std::int64_t batch : {1, 37, 64}) {
    const ir::Dim most = batch == 1 ? 1 : 64;  // a batch of one image is lowered in its own way
    const CompileOptions one{.max_batch = most, .threads = 1, .isa = host_isas().front()};
    const Outcome reference = train(GetParam(), batch, 5, one);
    for (const ir::Isa* isa : host_isas())
      for (const int threads : {1, 2, 3, 7})
        expect_same_bits(
            reference,
            train(GetParam(), batch, 5, {.max_batch = most, .threads = threads, .isa = isa}),
            std::string(isa->name) + " on " + std::to_string(threads) + " threads");
  }
}

TEST_P(Models, TrainingLearns) {
  const Outcome outcome = train(GetParam(), 64, 200, {.max_batch = 64}, 5e-3f);
  EXPECT_GT(outcome.losses.front(), 1.5f);
  EXPECT_LT(outcome.losses.back(), 0.3f);
}

INSTANTIATE_TEST_SUITE_P(Train, FollowTheInterpreter,
                         testing::Combine(testing::Values(&small_mlp, &small_cnn),
                                          testing::Values(ir::Dim{1}, ir::Dim{6})));
INSTANTIATE_TEST_SUITE_P(Train, Models, testing::Values(&small_mlp, &small_cnn),
                         [](const auto& info) { return info.index == 0 ? "mlp" : "cnn"; });

// ---- Inference and calls ----

struct Compiled {
  Tape tape;
  nn::Sequential model = small_mlp();
  Tensor images = tape.input("images", {N, 1, 8, 8}, DType::u8);
  Tensor labels = tape.input("labels", {N}, DType::i32);
  Tensor logits = model(cast(images, DType::f32) * (1 / 255.0));
  Tensor loss = cross_entropy(logits, labels);
};

template <class Action>
std::string error_of(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Call, OneProgramServesEveryBatchSize) {
  Compiled c;
  Function infer = compile(c.logits, {.max_batch = 50});
  const Data data = make_data(50, 64, 1);
  const auto all = infer(data.images);
  const std::vector<float> logits(all.begin(), all.end());
  ASSERT_EQ(logits.size(), 500u);
  for (const std::size_t n : {1u, 7u, 23u}) {
    const auto part = infer(std::span(data.images).first(n * 64));
    EXPECT_TRUE(std::equal(part.begin(), part.end(), logits.begin())) << n;
  }
}

TEST(Call, TrainingStepAndInferenceShareTheParameters) {
  Compiled c;
  TrainingStep step = compile(c.loss, optim::Adam{}, {.max_batch = 16});
  Function infer = compile(c.logits, {.max_batch = 16});
  const Data data = make_data(16, 64, 1);
  const auto first = infer(data.images);
  const std::vector<float> before(first.begin(), first.end());
  step(data.images, data.labels);
  const auto after = infer(data.images);
  EXPECT_FALSE(std::equal(after.begin(), after.end(), before.begin()));
}

// The step's head is a matrix of dot products, as it is stored; that of a batch wants blocks.
TEST(Call, AStepOfOneImageSharesParametersWithBatches) {
  Compiled c;
  TrainingStep step = compile(c.loss, optim::SGD{}, {.max_batch = 1});
  Function infer = compile(c.logits, {.max_batch = 16});
  Function one = compile(c.logits, {.max_batch = 1});
  const Data data = make_data(16, 64, 1);
  for (std::size_t i = 0; i < 3; ++i)
    step(std::span(data.images).subspan(i * 64, 64), std::span(data.labels).subspan(i, 1));
  const auto batch = infer(data.images);
  const auto first = one(std::span(data.images).first(64));
  EXPECT_TRUE(std::equal(first.begin(), first.end(), batch.begin()));
  Function interpreted = compile(c.logits, {.max_batch = 16, .interpret = true});
  const auto expected = interpreted(data.images);
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(batch[i], expected[i], 1e-4) << i;
}

TEST(Call, RateZeroChangesNoParameter) {
  Compiled c;
  TrainingStep step = compile(c.loss, optim::Adam{}, {.max_batch = 16});
  step.learning_rate = 0;
  const auto before = c.model.parameters()[0].second->read();
  const Data data = make_data(16, 64, 1);
  step(data.images, data.labels);
  EXPECT_EQ(before, c.model.parameters()[0].second->read());
}

TEST(BadCall, EachIsOneSentence) {
  Compiled c;
  TrainingStep step = compile(c.loss, optim::Adam{}, {.max_batch = 16});
  const auto weights = c.model.parameters()[0].second->read();
  Data data = make_data(16, 64, 1);
  const auto has = [](const std::string& message, const std::string& part) {
    EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  has(error_of([&] { step(make_data(17, 64, 1).images, make_data(17, 64, 1).labels); }),
      "batch 17 is not in 1..16");
  has(error_of([&] { step(std::span(data.images).first(100), data.labels); }),
      "input \"images\" is u8[N,1,8,8]");
  has(error_of([&] { step(std::span(data.images).first(64 * 15), data.labels); }),
      "input \"labels\" is i32[N]");
  has(error_of([&] { step(std::vector<float>(16 * 64), data.labels); }), "but f32 data were given");
  has(error_of([&] { step(data.images); }), "2 inputs were given but the function takes 3");
  data.labels[5] = 10;
  has(error_of([&] { step(data.images, data.labels); }), "label 10 in row 5");
  data.labels[5] = -1;
  const std::string message = error_of([&] { step(data.images, data.labels); });
  has(message, "label -1 in row 5");
  has(message, "train.cpp:");
  EXPECT_EQ(weights, c.model.parameters()[0].second->read());
}

TEST(BadModel, ErrorsNameTheOpTheShapesAndTheLine) {
  Tape tape;
  const Tensor x = tape.input("x", {N, 3, 8, 8});
  const auto has_all = [](const std::string& message, std::initializer_list<const char*> parts) {
    for (const char* part : parts) EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  has_all(error_of([&] { nn::Conv2d(4, 8, 3)(x); }), {"conv2d", "f32[N,3,8,8]", "train.cpp:"});
  has_all(error_of([&] { nn::Conv2d(3, 8, 9)(x); }), {"conv2d", "train.cpp:"});
  has_all(error_of([&] { nn::Linear(10, 2)(flatten(x)); }), {"matmul", "192", "train.cpp:"});
  has_all(error_of([&] { x + tape.constant({5}, {0}); }), {"add", "[5]", "train.cpp:"});
  has_all(error_of([&] { nn::MaxPool2d(20)(x); }), {"pool2d", "f32[N,3,8,8]"});
  has_all(error_of([&] {
            nn::AdaptiveAvgPool2d size(3);
            size(flatten(x));
          }),
          {"adaptive_avg_pool2d", "[N,192]", "3 x 3", "train.cpp:"});
  has_all(error_of([&] { Tensor() + x; }), {"empty Tensor"});
  has_all(error_of([&] { tape.input("x", {N}); }), {"already taken", "train.cpp:"});
  has_all(error_of([&] { cross_entropy(flatten(x), x); }), {"cross_entropy", "train.cpp:"});
  has_all(error_of([&] { compile(sum(x, {1}), optim::Adam{}); }), {"not one number"});
  has_all(error_of([&] { compile(sum(x), optim::Adam{}); }), {"depends on no parameter"});
}

}  // namespace
}  // namespace taper
