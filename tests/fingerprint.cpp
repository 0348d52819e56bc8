// The numerics contract: one and the same bits on every instruction set and for any number of
// threads. The numbers below were found on x86-64; every machine must find them again.
#include <gtest/gtest.h>
#include <taper/taper.h>

#include <cstdint>
#include <string>
#include <vector>

#include "ir/eval.h"
#include "tests/masm_run.h"

namespace taper {
namespace {

// Of all parameters and states after twenty steps; of the logits of a quantized model.
constexpr std::uint64_t kCnn16 = 0xd377d2f62cd83b0c, kCnn37 = 0xe3e056df820ddd95,
                        kMlp = 0x3c3e41c391b3cb30, kInt8 = 0xa1dc59b3fcd4da61;

constexpr std::int64_t kSide = 12, kSteps = 20, kMaxBatch = 37;

data::Dataset samples() {
  constexpr std::size_t kCount = 96;
  std::vector<std::uint8_t> pixels(kCount * kSide * kSide);
  for (std::size_t i = 0; i < pixels.size(); ++i)
    pixels[i] = static_cast<std::uint8_t>(ir::philox(i, 1, 0, 3));
  std::vector<std::int32_t> labels(kCount);
  for (std::size_t i = 0; i < kCount; ++i) labels[i] = static_cast<std::int32_t>(i % 10);
  return {data::Array(std::move(pixels), {1, kSide, kSide}), data::Array(std::move(labels))};
}

nn::Conv2d conv3x3(std::int64_t in, std::int64_t out, nn::Conv2dOptions options = {}) {
  options.padding = nn::same_padding(1);
  return nn::Conv2d(in, out, 3, options);
}

// Every kind of layer; the 3x3 convolutions of 32 channels are Winograd's.
nn::Sequential cnn_of_all_layers() {
  return nn::Sequential{
      conv3x3(1, 16),
      nn::BatchNorm2d(16),
      nn::ReLU(),
      nn::MaxPool2d(2),  //
      conv3x3(16, 32),
      nn::GELU(),                                                                      //
      nn::Residual(nn::Sequential{conv3x3(32, 32), nn::BatchNorm2d(32), nn::ReLU()}),  //
      conv3x3(32, 32, {.stride = {2, 2}, .groups = 32}),
      nn::SiLU(),  //
      nn::Conv2d(32, 48, 1),
      nn::LeakyReLU(),
      nn::AvgPool2d(2),
      nn::Dropout(0.3),
      nn::Flatten(),
      nn::Linear(48, 40),
      nn::LayerNorm(40),
      nn::Tanh(),
      nn::Linear(40, 24),
      nn::Sigmoid(),
      nn::Linear(24, 10)};
}

nn::Sequential mlp() {
  return nn::Sequential{nn::Flatten(), nn::Linear(kSide * kSide, 128),
                        nn::ReLU(),    nn::Linear(128, 64),
                        nn::ReLU(),    nn::Linear(64, 10)};
}

std::uint64_t trained(nn::Sequential (*make)(), std::int64_t batch, const CompileOptions& options) {
  manual_seed(7);
  Tape tape;
  const Tensor x = tape.input("images", {N, 1, kSide, kSide}, DType::u8);
  const Tensor y = tape.input("labels", {N}, DType::i32);
  const nn::Sequential model = make();
  for (const auto& [name, variable] : model.parameters())
    if (variable->type().shape.size() > 1) init::kaiming_normal(*variable);
  const Tensor scaled = cast(x, DType::f32) * (1 / 128.0) - 1;
  auto step = compile(cross_entropy(model(scaled), y), optim::Adam{0.002f}, options);
  data::DataLoader loader(samples(), {.batch = batch,
                                      .shuffle = true,
                                      .seed = 11,
                                      .augment = {data::Shift{2}, data::HorizontalFlip{}}});
  std::uint64_t epoch = 0;
  for (std::int64_t i = 0; i < kSteps; ++i) {
    data::Batch next = loader.next();
    if (next.size == 0) {
      loader.start_epoch(++epoch);
      next = loader.next();
    }
    step(next.inputs, next.targets);
  }
  return fingerprint(step.variables());
}

// `found` for every instruction set of this processor, or those that differ without `integers`, and
// each number of threads.
template <class Find>
void expect_everywhere(std::uint64_t want, bool integers, const Find& found) {
  for (const ir::Isa* isa : host_isas()) {
    if (!integers && isa->integer_dot != ir::IntegerDot::none) continue;
    for (const int threads : {1, 2, 3, 7}) {
      const std::uint64_t got = found({.max_batch = kMaxBatch, .threads = threads, .isa = isa});
      EXPECT_EQ(got, want) << std::hex << "0x" << got << " on " << isa->name << std::dec << ", "
                           << threads << " threads";
    }
  }
}

TEST(Fingerprint, CnnAtBatch16) {
  expect_everywhere(kCnn16, false, [](const CompileOptions& options) {
    return trained(cnn_of_all_layers, 16, options);
  });
}

TEST(Fingerprint, CnnAtBatch37) {
  expect_everywhere(kCnn37, false, [](const CompileOptions& options) {
    return trained(cnn_of_all_layers, 37, options);
  });
}

TEST(Fingerprint, Mlp) {
  expect_everywhere(kMlp, false,
                    [](const CompileOptions& options) { return trained(mlp, 32, options); });
}

nn::Sequential quantizable() {
  return nn::Sequential{
      conv3x3(1, 16), nn::ReLU(),        nn::MaxPool2d(2), conv3x3(16, 24),
      nn::ReLU(),     nn::MaxPool2d(2),  nn::Flatten(),    nn::Linear(24 * 3 * 3, 32),
      nn::ReLU(),     nn::Linear(32, 10)};
}

TEST(Fingerprint, Int8Logits) {
  std::vector<std::uint8_t> images(kMaxBatch * kSide * kSide);
  for (std::size_t i = 0; i < images.size(); ++i)
    images[i] = static_cast<std::uint8_t>(ir::philox(i, 2, 0, 3));
  expect_everywhere(kInt8, true, [&](const CompileOptions& options) {
    manual_seed(9);
    Tape tape;
    const Tensor x = tape.input("images", {N, 1, kSide, kSide}, DType::u8);
    const Tensor logits = quantizable()(cast(x, DType::f32) * (1 / 128.0) - 1);
    quantize::Calibration calibration({logits}, {.measure = false, .compile = options});
    calibration.observe(images);
    const quantize::Quantized quantized = calibration.finish();
    auto f = compile(quantized.model.outputs, options);
    return fingerprint(f(images));
  });
}

TEST(Fingerprint, SeesEveryBitAndName) {
  runtime::Variables variables;
  const auto weight = std::make_shared<Variable>("w", ir::TensorType{DType::f32, {2, 3}});
  variables.emplace("w", weight);
  const std::uint64_t zeros = fingerprint(variables);
  weight->set_layout(ir::Layout::o16);
  EXPECT_EQ(fingerprint(variables), zeros);
  weight->write(std::vector<float>{0, 0, -0.0f, 0, 0, 0});
  EXPECT_NE(fingerprint(variables), zeros);
  runtime::Variables renamed;
  renamed.emplace("v", std::make_shared<Variable>("v", ir::TensorType{DType::f32, {2, 3}}));
  EXPECT_NE(fingerprint(renamed), zeros);
  // Two values of the published test vectors of FNV-1a: of nothing and of four zero bytes.
  EXPECT_EQ(fingerprint(std::span<const float>()), 0xcbf29ce484222325u);
  EXPECT_EQ(fingerprint(std::vector<float>{0}), 0x4d25767f9dce13f5u);
}

}  // namespace
}  // namespace taper
