// Post-training quantization: ranges and weights, the rewritten model against the f32 one, the same
// bits everywhere, save and load.
#include <gtest/gtest.h>
#include <taper/taper.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "frontend/quantize.h"
#include "frontend/quantize_parts.h"
#include "ir/eval.h"
#include "tests/masm_run.h"

namespace taper {
namespace {

std::vector<std::uint8_t> images(std::size_t count) {
  std::vector<std::uint8_t> values(count);
  for (std::size_t i = 0; i < count; ++i)
    values[i] = static_cast<std::uint8_t>(ir::philox(i, 1, 0, 3));
  return values;
}

nn::Sequential network() {
  const auto pad = nn::same_padding(1);
  return nn::Sequential(nn::Conv2d(3, 16, 3, {.padding = pad}), nn::ReLU(), nn::MaxPool2d(2),
                        nn::Conv2d(16, 20, 3, {.padding = pad}),  // its result is signed
                        nn::Conv2d(20, 24, 3, {.padding = pad}), nn::ReLU(),
                        nn::Conv2d(24, 24, 3, {.padding = pad, .groups = 24}), nn::ReLU(),
                        nn::MaxPool2d(2), nn::Flatten(), nn::Linear(24 * 4 * 4, 32), nn::ReLU(),
                        nn::Linear(32, 10));
}

struct Recorded {
  Tape tape;
  Tensor logits;
  Recorded() {
    manual_seed(5);
    const Tensor x = tape.input("images", {N, 3, 16, 16}, DType::u8);
    logits = network()(cast(x, DType::f32) * (1 / 128.0) - 1);
  }
};

constexpr std::size_t kBatch = 8;
constexpr std::size_t kPixels = kBatch * 3 * 16 * 16;

quantize::Quantized quantized(const Recorded& model, double percentile, bool measure = false,
                              bool interpret = false) {
  quantize::Calibration calibration({model.logits},
                                    {.percentile = percentile,
                                     .measure = measure,
                                     .compile = {.max_batch = kBatch, .interpret = interpret}});
  calibration.observe(images(kPixels));
  return calibration.finish();
}

std::vector<float> run(const std::vector<Tensor>& outputs, const CompileOptions& options) {
  Function f = compile(outputs, options);
  const auto y = f(images(kPixels));
  return {y.begin(), y.end()};
}

TEST(Quantize, WeightsKeepTheirLargestExactlyAndErrByHalfAStep) {
  const std::vector<float> weight{0.5f, -1.27f, 0.011f, 0.0f, 0.0f, 0.0f, 3.0f, -2.0f, 1.0f};
  const auto q = quantize::quantize_weight(weight, 3);
  for (std::size_t i = 0; i < weight.size(); ++i) {
    EXPECT_LE(std::fabs(q.values[i]), 127);
    EXPECT_LE(std::fabs(q.values[i] * q.scales[i / 3] - weight[i]), 0.5001f * q.scales[i / 3]);
  }
  EXPECT_EQ(q.values[1], -127);
  EXPECT_EQ(q.values[6], 127);
  EXPECT_EQ(q.sums[0], q.values[0] + q.values[1] + q.values[2]);
}

TEST(Quantize, ByteRangesHoldZeroExactly) {
  const auto positive = quantize::byte_range(0, 25.5);
  EXPECT_EQ(positive.zero, 0);
  EXPECT_NEAR(positive.scale, 0.1, 1e-7);
  const auto both = quantize::byte_range(-1, 3);
  EXPECT_EQ(both.zero, 64);
  EXPECT_EQ(quantize::byte_range(0, 0).zero, 0);
}

TEST(Quantize, PercentilesIgnoreOutliers) {
  quantize::Observed observed;
  std::vector<float> values(10000);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 100);
  values[5000] = 1e6f;
  observed.add(values);
  EXPECT_EQ(observed.range(100).second, 1e6);
  EXPECT_LE(observed.range(99.9).second, 99);
  EXPECT_EQ(observed.range(99.9).first, 0);
}

// Planes of 784 pixels that are dark in the columns that an even step would see.
TEST(Quantize, SamplesArePlacedAtRandom) {
  quantize::Observed observed;
  std::vector<float> values(256 * 32 * 784);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = i % 28 == 0 ? 0.0f : 1.0f;
  observed.add(values);
  EXPECT_EQ(observed.range(99.9).second, 1);
}

TEST(Quantize, LogitsStayCloseAndLayersAreAccountedFor) {
  const Recorded model;
  const auto f32 = run({model.logits}, {.max_batch = kBatch});
  float largest = 0;
  for (const float y : f32) largest = std::max(largest, std::fabs(y));
  const auto q = quantized(model, 100);
  ASSERT_EQ(q.layers.size(), 6u);
  std::size_t integers = 0;
  for (const quantize::Layer& layer : q.layers) integers += layer.integers;
  EXPECT_EQ(integers, 5u) << to_string(q.layers);
  EXPECT_EQ(q.layers[3].reason, "it has 24 groups");
  EXPECT_LT(q.layers[0].low, 0);  // normalised pixels: a zero point other than 0
  const auto int8 = run(q.model.outputs, {.max_batch = kBatch});
  ASSERT_EQ(int8.size(), f32.size());
  for (std::size_t i = 0; i < f32.size(); ++i) EXPECT_NEAR(int8[i], f32[i], 0.05f * largest) << i;
  EXPECT_NE(int8, f32);
}

TEST(Quantize, SameBitsOnEveryInstructionSetAndThreadCount) {
  const Recorded model;
  const auto q = quantized(model, 99.9);
  const auto expected = run(q.model.outputs, {.max_batch = kBatch, .threads = 1});
  for (const ir::Isa* isa : host_isas())
    for (const int threads : {1, 2, 3})
      EXPECT_EQ(run(q.model.outputs, {.max_batch = kBatch, .threads = threads, .isa = isa}),
                expected)
          << isa->name << " on " << threads;
}

TEST(Quantize, KernelsMultiplyBytes) {
  const Recorded model;
  const auto q = quantized(model, 100);
  Function f = compile(q.model.outputs, {.max_batch = kBatch});
  const std::string plan = f.plan();
  EXPECT_NE(plan.find("conv int8 3x3"), std::string::npos) << plan;
  EXPECT_NE(plan.find("gemm int8"), std::string::npos) << plan;
  EXPECT_NE(plan.find("dtype=u8"), std::string::npos) << "pooling in bytes\n" << plan;
}

// The statistics that training would have left stay f32 and are applied to the products.
TEST(Quantize, BatchNormKeepsItsStatistics) {
  manual_seed(6);
  Tape tape;
  const Tensor x = tape.input("images", {N, 3, 16, 16}, DType::u8);
  const nn::Sequential model(nn::Conv2d(3, 16, 3), nn::BatchNorm2d(16), nn::ReLU(),
                             nn::MaxPool2d(2), nn::Conv2d(16, 8, 3), nn::BatchNorm2d(8),
                             nn::Flatten(), nn::Linear(8 * 5 * 5, 10));
  const Tensor logits = model(cast(x, DType::f32) * (1 / 255.0));
  for (const auto& [name, variable] : tape.variables()) {
    const bool mean = name.ends_with("running_mean"), var = name.ends_with("running_var");
    if (!mean && !var) continue;
    std::vector<float> values = variable->read();
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = mean ? 0.02f * static_cast<float>(i) : 0.05f + 0.01f * static_cast<float>(i);
    variable->write(values);
  }
  const auto f32 = run({logits}, {.max_batch = kBatch});
  quantize::Calibration calibration({logits}, {.measure = false, .compile = {.max_batch = kBatch}});
  calibration.observe(images(kPixels));
  const auto q = calibration.finish();
  for (const quantize::Layer& layer : q.layers) EXPECT_TRUE(layer.integers) << layer.weight;
  const auto int8 = run(q.model.outputs, {.max_batch = kBatch});
  float largest = 0;
  for (const float y : f32) largest = std::max(largest, std::fabs(y));
  ASSERT_EQ(int8.size(), f32.size());
  for (std::size_t i = 0; i < f32.size(); ++i) EXPECT_NEAR(int8[i], f32[i], 0.05f * largest) << i;
}

TEST(Quantize, SavedAndLoadedModelGivesTheSameBits) {
  const Recorded model;
  const auto q = quantized(model, 100);
  const auto path = std::filesystem::temp_directory_path() / "taper_quantized.tir";
  save_model(path, q.model.outputs);
  const Model loaded = load_model(path);
  EXPECT_EQ(run(loaded.outputs, {.max_batch = kBatch}),
            run(q.model.outputs, {.max_batch = kBatch}));
  std::filesystem::remove(path);
  std::filesystem::remove(std::filesystem::path(path).replace_extension(".safetensors"));
}

TEST(Quantize, MeasuresWhenAsked) {
  const Recorded model;
  const auto q = quantized(model, 100, true);
  for (const quantize::Layer& layer : q.layers) {
    if (layer.reason.ends_with(" groups")) continue;
    EXPECT_GT(layer.f32_seconds, 0) << layer.weight;
    EXPECT_GT(layer.integer_seconds, 0) << layer.weight;
    EXPECT_EQ(layer.integers, layer.integer_seconds < layer.f32_seconds) << layer.weight;
  }
  EXPECT_FALSE(run(q.model.outputs, {.max_batch = kBatch}).empty());
}

TEST(Quantize, TakesEveryLayerWhereNothingCanBeMeasured) {
  const Recorded model;
  for (const quantize::Layer& layer : quantized(model, 100, true, true).layers) {
    EXPECT_EQ(layer.f32_seconds, 0) << layer.weight;
    EXPECT_EQ(layer.integers, layer.reason.empty()) << layer.weight;
  }
}

TEST(Quantize, Refuses) {
  const Recorded model;
  EXPECT_THROW(quantize::Calibration({}), Error);
  quantize::Calibration blind({model.logits}, {.compile = {.max_batch = kBatch}});
  EXPECT_THROW(blind.finish(), Error);
  Tape tape;
  const Tensor x = tape.input("x", {N, 4});
  manual_seed(1);
  const Tensor y = nn::Linear(4, 2)(x);
  quantize::Calibration infinite({y}, {.compile = {.max_batch = 1}});
  infinite.observe(std::vector<float>{1, 2, std::numeric_limits<float>::infinity(), 3});
  EXPECT_THROW(infinite.finish(), Error);
}

}  // namespace
}  // namespace taper
