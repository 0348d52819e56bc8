// Cache lines of weights change hands beside a product, before they are updated.
#include <gtest/gtest.h>
#include <taper/taper.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "ir/ahead.h"
#include "runtime/schedule.h"

namespace taper::runtime {
namespace {

constexpr std::int64_t kBytes = 64 * 1000;

// Writes unit i of eight of its only result.
struct Update final : codegen::Kernel {
  std::int64_t units(std::int64_t) const override { return 8; }
  void run(const codegen::Call&) const override {}
  std::vector<const codegen::Routine*> routines() const override { return {}; }
  std::span<std::byte> written(const codegen::Call& call, std::size_t) const override {
    auto* bytes = static_cast<std::byte*>(call.buffers[1]);
    return {bytes + call.begin * kBytes / 8, bytes + call.end * kBytes / 8};
  }
};

// A product that reads a weight, one over the batch that makes its gradient, and its update.
struct Step {
  ir::KernelSpec forward = ir::GemmSpec{.m = ir::kBatch, .n = 64, .k = 250};
  ir::KernelSpec gradient = ir::GemmSpec{.m = 250, .n = 64, .k = ir::kBatch};
  ir::KernelSpec update = ir::MapSpec{};
  Update kernel;
  std::vector<std::byte> memory = std::vector<std::byte>(kBytes + 64);
  Plan plan;
  std::vector<ScheduledCall> schedule;

  Step() {
    plan.buffers.resize(3);
    plan.buffers[0].place = Buffer::Place::variable;
    plan.buffers[0].bytes = kBytes;
    plan.calls = {{&forward, {}, {0, 1}, 1}, {&gradient, {}, {1, 2}, 1}, {&update, {}, {2, 0}, 1}};
    schedule.resize(3);
    for (ScheduledCall& call : schedule) call.kernel = &kernel;
    schedule[1].barrier_before = true;
    schedule[2].buffers = {nullptr, memory.data() + 4};  // its lines begin within a share
  }
  std::vector<std::span<std::byte>> taken(int threads, ir::Dim batch = 256) {
    take_over_early(plan, schedule, threads, batch);
    return schedule[1].written_later;
  }
  bool nothing_taken(int threads, ir::Dim batch = 256) {
    const auto is_empty = [](const std::span<std::byte> share) { return share.empty(); };
    return std::ranges::all_of(taken(threads, batch), is_empty);
  }
};

TEST(TakeOver, GivesEachThreadTheWholeLinesOfItsShare) {
  for (const int threads : {2, 3}) {
    Step step;
    const auto shares = step.taken(threads);
    ASSERT_EQ(shares.size(), static_cast<std::size_t>(threads));
    const std::byte* end = step.memory.data();
    std::size_t lines = 0;
    for (const std::span<std::byte> share : shares) {
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(share.data()) % ir::kCacheLine, 0u);
      EXPECT_EQ(share.size() % ir::kCacheLine, 0u);
      EXPECT_GE(share.data(), end);
      end = share.data() + share.size();
      lines += share.size() / ir::kCacheLine;
    }
    EXPECT_LE(end, step.memory.data() + 4 + kBytes);
    EXPECT_GE(lines, 1000u - 2 * shares.size());
  }
}

TEST(TakeOver, HappensOnlyWhereItHelps) {
  EXPECT_TRUE(Step().nothing_taken(1));
  EXPECT_TRUE(Step().nothing_taken(2, 16)) << "the product is too short";
  Step unread;
  unread.plan.calls[0].buffers = {1, 1};
  EXPECT_TRUE(unread.nothing_taken(2)) << "no other thread has the lines";
}

TEST(TakeOver, WaitsForTheThreadsThatRead) {
  Step reading;
  reading.schedule[1].barrier_before = false;
  EXPECT_TRUE(reading.nothing_taken(2));
  Step late;
  late.plan.calls[1].buffers = {0, 2};
  EXPECT_TRUE(late.nothing_taken(2)) << "the product itself reads them";
}

TEST(TakeOver, LeavesEveryBit) {
  std::vector<float> expected;
  for (const int threads : {1, 2, 3}) {
    manual_seed(3);
    Tape tape;
    const Tensor x = tape.input("x", {N, 256});
    const Tensor y = tape.input("y", {N}, DType::i32);
    const nn::Linear first(256, 64), second(64, 10);
    auto step = compile(cross_entropy(second(relu(first(x))), y), optim::Adam{},
                        {.max_batch = 256, .threads = threads});
    std::vector<float> images(256 * 256);
    for (std::size_t i = 0; i < images.size(); ++i)
      images[i] = static_cast<float>(i * 31 % 97) / 97;
    std::vector<std::int32_t> labels(256);
    for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<std::int32_t>(i % 10);
    for (int i = 0; i < 5; ++i) step(images, labels);
    std::vector<float> weights;
    for (const auto& [name, variable] : tape.variables()) {
      const std::vector<float> values = variable->read();
      weights.insert(weights.end(), values.begin(), values.end());
    }
    if (expected.empty()) expected = weights;
    EXPECT_EQ(weights, expected) << threads;
  }
}

}  // namespace
}  // namespace taper::runtime
