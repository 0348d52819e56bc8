// What inference computes from weights alone is kept until a weight changes, whoever changes it.
#include <gtest/gtest.h>
#include <taper/taper.h>

#include <set>
#include <vector>

#include "runtime/executable.h"

namespace taper {
namespace {

constexpr std::size_t kImage = 32 * 16 * 16;

// Winograd's convolution, whose filters a kernel of weights alone transforms, and a batch norm,
// which another one folds.
struct Network {
  Tape tape;
  nn::Sequential model{nn::Conv2d(32, 32, 3, {.padding = nn::same_padding(1)}), nn::BatchNorm2d(32),
                       nn::ReLU(), nn::Flatten(), nn::Linear(kImage, 10)};
  Tensor images = tape.input("images", {N, 32, 16, 16});
  Tensor labels = tape.input("labels", {N}, DType::i32);
  Tensor logits = model(images);

  runtime::Executable program(int threads, Mode mode = Mode::evaluate) {
    return runtime::compile(graph_of(tape, {logits}, mode), tape.variables(),
                            {.max_batch = 1, .threads = threads});
  }
  Variable& weight() { return *tape.variables().at("0.weight"); }
};

std::vector<float> image(float seed) {
  std::vector<float> values(kImage);
  for (std::size_t i = 0; i < kImage; ++i) values[i] = static_cast<float>(i * 37 % 101) / 50 - seed;
  return values;
}

std::vector<float> logits_of(runtime::Executable& executable, const std::vector<float>& image) {
  const runtime::InputBytes input(std::as_bytes(std::span(image)));
  executable.run({&input, 1}, 1);
  return {executable.output(0).begin(), executable.output(0).end()};
}

std::size_t calls_run(runtime::Executable& executable, const std::vector<float>& image) {
  const runtime::InputBytes input(std::as_bytes(std::span(image)));
  std::set<std::uint32_t> calls;
  for (const runtime::ProfileEvent& event : executable.profile({&input, 1}, 1))
    if (!event.wait) calls.insert(event.call);
  return calls.size();
}

TEST(Kept, IsComputedOnce) {
  for (const int threads : {1, 2}) {
    Network net;
    runtime::Executable kept = net.program(threads);
    const std::size_t all = kept.report().kernels;
    EXPECT_EQ(calls_run(kept, image(0)), all);
    EXPECT_LE(calls_run(kept, image(0)), all - 2);  // filters, batch norm
    for (const float seed : {0.5f, 1.0f}) {
      runtime::Executable fresh = net.program(threads);
      EXPECT_EQ(logits_of(kept, image(seed)), logits_of(fresh, image(seed)));
    }
  }
}

TEST(Kept, IsComputedAgainAfterAWrite) {
  Network net;
  runtime::Executable kept = net.program(1);
  const std::vector<float> before = logits_of(kept, image(0));
  std::vector<float> weight = net.weight().read();
  for (float& w : weight) w *= -0.5f;
  net.weight().write(weight);
  runtime::Executable fresh = net.program(1);
  const std::vector<float> after = logits_of(kept, image(0));
  EXPECT_EQ(after, logits_of(fresh, image(0)));
  EXPECT_NE(after, before);
  auto* raw = static_cast<float*>(net.weight().data());
  for (std::size_t i = 0; i < weight.size(); ++i) raw[i] *= -2;
  EXPECT_EQ(logits_of(kept, image(0)), before);
}

TEST(Kept, IsComputedAgainAfterATrainingStep) {
  Network net;
  runtime::Executable kept = net.program(1);
  TrainingStep step = compile(cross_entropy(net.logits, net.labels), optim::Adam{0.01f},
                              {.max_batch = 1, .threads = 1});
  std::vector<float> before = logits_of(kept, image(0));
  for (int i = 0; i < 2; ++i) {
    step(image(0.25f), std::vector<std::int32_t>{3});
    runtime::Executable fresh = net.program(1);
    const std::vector<float> after = logits_of(kept, image(0));
    EXPECT_EQ(after, logits_of(fresh, image(0)));
    EXPECT_NE(after, before);
    before = after;
  }
}

TEST(Kept, IsNothingWhereTheGraphUpdates) {
  Network net;
  runtime::Executable training = net.program(1, Mode::train);  // running statistics
  for (int i = 0; i < 2; ++i) EXPECT_EQ(calls_run(training, image(0)), training.report().kernels);
}

}  // namespace
}  // namespace taper
