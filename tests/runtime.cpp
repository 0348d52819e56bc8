// The planner, updates, the thread pool, the environment, and what a step must not do: allocate.
#include <gtest/gtest.h>
#include <sched.h>
#include <taper/taper.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "passes/passes.h"
#include "runtime/arena.h"
#include "runtime/environment.h"
#include "runtime/plan.h"
#include "runtime/thread_pool.h"

namespace {
std::atomic<long> allocations{0};
}

// Not inlined: the compiler would see free() of what new returned.
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++allocations;
  if (void* p = std::malloc(size)) return p;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(size);
}
[[gnu::noinline]] void operator delete(void* p) noexcept {
  std::free(p);
}
[[gnu::noinline]] void operator delete(void* p, std::size_t) noexcept {
  std::free(p);
}

namespace taper::runtime {
namespace {

std::shared_ptr<Variable> variable(const std::string& name, std::vector<float> values) {
  auto v = std::make_shared<Variable>(
      name, ir::TensorType{DType::f32, {static_cast<Dim>(values.size())}});
  v->write(values);
  return v;
}

TEST(Updates, AllReadTheOldContents) {
  const auto a = variable("a", {1, 2, 3});
  const auto b = variable("b", {10, 20, 30});
  const auto c = variable("c", {0, 0, 0});
  Tape tape;
  const Tensor ta = tape.state(a);
  const Tensor tb = tape.state(b);
  const Tensor tc = tape.state(c);
  tape.update(ta, tb);  // a swap: plain copies of each other
  tape.update(tb, ta);
  tape.update(tc, ta * 2 + tb);
  Function f(tape, {ta + tb, ta}, CompileOptions{}, Mode::train);
  f();
  EXPECT_EQ(std::vector<float>(f.output(0).begin(), f.output(0).end()),
            (std::vector<float>{11, 22, 33}));
  EXPECT_EQ(std::vector<float>(f.output(1).begin(), f.output(1).end()),
            (std::vector<float>{1, 2, 3}));
  EXPECT_EQ(a->read(), (std::vector<float>{10, 20, 30}));
  EXPECT_EQ(b->read(), (std::vector<float>{1, 2, 3}));
  EXPECT_EQ(c->read(), (std::vector<float>{12, 24, 36}));
}

TEST(Updates, AnElementwiseUpdateWaitsForOtherReaders) {
  const auto w = variable("w", {1, 2, 3, 4});
  Tape tape;
  const Tensor tw = tape.parameter(w);
  const Tensor next = tw - 0.5;
  tape.update(tw, next);
  // Needs the old w and the new one; reduces it after the update's kernel could have run.
  Function f(tape, {sum(next) * 100 + sum(tw)}, CompileOptions{}, Mode::train);
  EXPECT_EQ(f()[0], 810.0f);
  EXPECT_EQ(f()[0], 608.0f);
  EXPECT_EQ(w->read(), (std::vector<float>{0, 1, 2, 3}));
}

TEST(Variables, LayoutChangesKeepTheContents) {
  Variable v("w", {DType::f32, {20, 5, 3, 2}});
  std::vector<float> values(20 * 5 * 3 * 2);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  v.write(values);
  for (const ir::Layout layout : {ir::Layout::o16, ir::Layout::i16, ir::Layout::plain}) {
    v.set_layout(layout);
    EXPECT_EQ(v.read(), values);
  }
  EXPECT_THROW(v.write(std::vector<float>(3)), Error);
  EXPECT_THROW(Variable("n", {DType::f32, {N, 2}}), Error);
}

// A product would have its matrix in blocks, but an executable holds it as it is.
TEST(Variables, KeepTheirLayoutWhileBound) {
  Tape tape;
  const nn::Linear linear(24, 20);
  const auto weight = linear.parameters()[0].second;
  Function twice = compile(tape.parameter(weight) * 2);
  const void* const storage = weight->data();
  Function product = compile(linear(tape.input("x", {N, 24})), {.max_batch = 4});
  EXPECT_EQ(weight->data(), storage);
  weight->write(std::vector<float>(20 * 24, 3));
  EXPECT_EQ(twice()[479], 6.0f);
  EXPECT_NEAR(product(std::vector<float>(24, 1))[19], 72, 1);
}

TEST(Variables, TakeTheLayoutOfALaterProgramWhenNoneIsLeft) {
  Tape tape;
  const nn::Linear linear(24, 20);
  const auto weight = linear.parameters()[0].second;
  weight->write(std::vector<float>(20 * 24, 3));
  EXPECT_EQ(compile(tape.parameter(weight) * 2)()[479], 6.0f);
  EXPECT_FALSE(weight->is_bound());
  Function product = compile(linear(tape.input("x", {N, 24})), {.max_batch = 4});
  EXPECT_TRUE(weight->is_bound());
  EXPECT_NE(weight->type().layout, ir::Layout::plain);
  EXPECT_NEAR(product(std::vector<float>(24, 1))[19], 72, 1);
}

struct Net {
  Tape tape;
  nn::Sequential model{nn::Conv2d(1, 16, 3, {.padding = nn::same_padding(1)}), nn::ReLU(),
                       nn::MaxPool2d(2), nn::Flatten(), nn::Linear(16 * 16, 10)};
  Tensor images = tape.input("images", {N, 1, 8, 8});
  Tensor labels = tape.input("labels", {N}, DType::i32);
  Tensor logits = model(images);
  Tensor loss = cross_entropy(logits, labels);
};

TEST(Plan, LiveBuffersDoNotShareBytes) {
  Net net;
  Tape tape(net.tape);
  const Tensor rate = tape.input("rate", {});
  optim::Optimizer(optim::Adam{}).record(tape, Tensor(tape, net.loss.id()), rate);
  tape.graph().outputs.push_back({"loss", net.loss.id()});
  const ir::Graph selected = passes::run_pipeline(tape.graph(), {.max_batch = 8});
  Plan plan = make_plan(selected, 8);
  pack_arena(plan, {}, 1);
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < plan.buffers.size(); ++i) {
    const Buffer& a = plan.buffers[i];
    if (a.place != Buffer::Place::arena || a.last < a.first) continue;
    sum += a.bytes;
    EXPECT_EQ(a.offset % 64, 0);
    EXPECT_LE(a.offset + a.bytes, plan.arena_bytes);
    for (std::size_t j = 0; j < i; ++j) {
      const Buffer& b = plan.buffers[j];
      if (b.place != Buffer::Place::arena || b.last < a.first || a.last < b.first) continue;
      EXPECT_FALSE(overlap(a, b)) << a.name << " and " << b.name;
    }
  }
  EXPECT_LT(plan.arena_bytes, sum) << "nothing was reused";
}

// That a kernel of `plan` shares the only image that there can be among threads, and that the
// result is that of a larger batch on one.
void expect_shared_image(const Tensor& y, std::int64_t values, std::string_view plan) {
  std::vector<float> image(static_cast<std::size_t>(values));
  for (std::size_t i = 0; i < image.size(); ++i) image[i] = static_cast<float>(i % 13) / 9 - 1;
  const auto run = [&](Function f) {
    const std::span<const float> result = f(image);
    return std::vector<float>(result.begin(), result.end());
  };
  const std::vector<float> expected = run(compile(y, {.max_batch = 8, .threads = 1}));
  for (const int threads : {1, 2, 3, 7}) {
    Function one = compile(y, {.max_batch = 1, .threads = threads});
    EXPECT_NE(one.plan().find(plan), std::string::npos);
    EXPECT_EQ(run(std::move(one)), expected) << threads << " threads";
  }
}

TEST(Plan, OneImageIsWorkForAllThreads) {
  Net net;
  expect_shared_image(net.logits, 64, "images=1 ");
}

// The rows of tiles are a number that no number of threads divides.
TEST(Plan, OneImageByWinogradIsWorkForAllThreads) {
  Tape tape;
  const Tensor x = tape.input("x", {N, 32, 34, 30});
  const Tensor y = relu(nn::Conv2d(32, 48, 3, {.padding = nn::same_padding(1)})(x));
  expect_shared_image(y, 32 * 34 * 30,
                      "images=1 ic=32 ih=34 iw=30 oc=48 oh=34 ow=30 kh=3 kw=3 stride=[1,1] "
                      "dilation=[1,1] pad_top=1 pad_left=1 groups=1 input=c16 winograd=4");
}

// One image, whatever the batch: all three passes count it once.
TEST(Plan, AnImageBesideTheBatchIsConvolvedByWinograd) {
  Tape tape;
  const Tensor image = tape.input("image", {1, 32, 26, 22});
  const Tensor scale = tape.input("scale", {N, 1});
  const nn::Conv2d conv(32, 40, 3, {.padding = nn::same_padding(1)});
  const Tensor y = conv(image);
  const Tensor loss = sum(y * y) * sum(scale);
  const auto weight = conv.parameters()[0].second;
  const std::vector<Tensor> outputs{reshape(gradient(loss, image), {32 * 26 * 22}),
                                    gradient(loss, tape.parameter(weight))};
  std::vector<float> pixels(32 * 26 * 22);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<float>(i % 17) / 9 - 1;
  const std::vector<float> scales{0.25f, 0.5f, 0.125f};
  Function f = compile(outputs, {.max_batch = 4});
  Function reference = compile(outputs, {.max_batch = 4, .interpret = true});
  for (const char* pass : {"forward", "backward_data", "backward_weights"})
    EXPECT_NE(f.plan().find("conv winograd 3x3 " + std::string(pass)), std::string::npos) << pass;
  f(pixels, scales);
  reference(pixels, scales);
  for (std::size_t o = 0; o < 2; ++o) {
    const auto got = f.output(o), expected = reference.output(o);
    float most = 0;
    for (const float v : expected) most = std::max(most, std::fabs(v));
    for (std::size_t i = 0; i < got.size(); ++i)
      ASSERT_NEAR(got[i], expected[i], 1e-4 * most) << o << " " << i;
  }
}

// 256 channels: weights of several groups, which threads share as well as the rows. The images fill
// too little of their tiles for Winograd, at any batch.
TEST(Plan, OneImageWithLargeWeightsIsWorkForAllThreads) {
  Tape tape;
  const Tensor x = tape.input("x", {N, 256, 3, 3});
  const Tensor y = relu(nn::Conv2d(256, 250, 3, {.padding = nn::same_padding(1)})(x));
  expect_shared_image(y, 256 * 3 * 3, "images=1 ic=256 ih=3 iw=3 oc=250");
}

// The gradient of an image of few channels, which threads share by bands of rows: their edges get
// sums of both sides.
TEST(Plan, OneImagesGradientIsWorkForAllThreads) {
  for (const std::int64_t kernel : {3, 5}) {
    Tape tape;
    const Tensor x = tape.input("x", {N, 2, 37, 35});
    const Tensor y = nn::Conv2d(2, 20, kernel, {.stride = {2, 1}, .padding = {1, 2, 0, 1}})(x);
    expect_shared_image(gradient(sum(y * y), x), 2 * 37 * 35,
                        "conv pass=backward_data images=1 ic=2 ih=37 iw=35 oc=20");
  }
}

// Pointwise convolutions, whose image is one long row; depthwise ones and pooling, by channels.
TEST(Plan, OneImageOfManyChannelsIsWorkForAllThreads) {
  Tape tape;
  const Tensor x = tape.input("x", {N, 32, 20, 22});
  const nn::Sequential model{nn::Conv2d(32, 96, 1), nn::ReLU6(),
                             nn::Conv2d(96, 96, 3, {.padding = nn::same_padding(1), .groups = 96}),
                             nn::MaxPool2d(2), nn::Conv2d(96, 40, 1)};
  const Tensor y = model(x);
  expect_shared_image(y, 32 * 20 * 22, "pool kind=max backward=false images=1 channels=96");

  tape.graph().outputs.push_back({"y", y.id()});
  const ir::Graph selected = passes::run_pipeline(tape.graph(), {.max_batch = 1});
  int kernels = 0;
  for (const ir::Node& node : selected.nodes()) {
    const auto* kernel = std::get_if<ir::KernelAttrs>(&node.attrs);
    if (kernel == nullptr) continue;
    const ir::KernelSpec& spec = kernel->spec;
    if (!std::holds_alternative<ir::ConvSpec>(spec) && !std::holds_alternative<ir::PoolSpec>(spec))
      continue;
    EXPECT_GT(codegen::compile(spec, *ir::host_isa())->units(1), 1) << ir::to_string(spec);
    ++kernels;
  }
  EXPECT_EQ(kernels, 4);
}

// conv -> relu -> pool -> conv: only the first convolution's result is wanted nowhere else.
TEST(Plan, BuffersInsideAChainHoldAGroupOfImages) {
  Tape tape;
  const Tensor x = tape.input("x", {N, 16, 32, 32});
  const nn::Sequential model{nn::Conv2d(16, 32, 3, {.padding = nn::same_padding(1)}), nn::ReLU(),
                             nn::MaxPool2d(2), nn::Conv2d(32, 32, 1)};
  constexpr std::int64_t kBatch = 64;
  const Function f = compile(model(x), {.max_batch = kBatch, .threads = 2});
  const std::size_t whole = kBatch * 32 * 32 * 32 * 4;  // of the first convolution's result
  const std::size_t input = whole / 2, result = whole / 4;
  // Whole: input and result. Twenty images of two threads: the input in blocks, the first
  // convolution, its pooling, the second one.
  const std::size_t group = 2 * 20 * (input + whole + 2 * result) / kBatch;
  EXPECT_LT(f.report().arena_bytes, input + result + group + 4096);
}

// The gradients of the weights do not wait until the data's gradients are all there, where that
// would take much more memory.
TEST(Plan, GradientsOfWeightsRunBeforeTheMemoryGrows) {
  Tape tape;
  const Tensor x = tape.input("x", {N, 64});
  const Tensor target = tape.input("target", {N, 64});
  Tensor y = x;
  constexpr std::size_t kLayers = 8;
  for (std::size_t i = 0; i < kLayers; ++i) y = tanh(nn::Linear(64, 64)(y));
  const Tensor loss = mean((y - target) * (y - target));
  constexpr std::size_t kBatch = 4096, kActivation = kBatch * 64 * 4;
  const TrainingStep step = compile(loss, optim::SGD{}, {.max_batch = kBatch, .threads = 1});
  // Forward keeps one activation a layer and two inputs; then a gradient takes the place of each.
  EXPECT_LT(step.report().arena_bytes, (kLayers + 5) * kActivation * 5 / 4);
}

TEST(Step, AllocatesNothing) {
  Net net;
  TrainingStep step = compile(net.loss, optim::Adam{}, {.max_batch = 32, .threads = 2});
  const std::vector<float> images(32 * 64, 0.5f);
  const std::vector<std::int32_t> labels(32, 3);
  step(images, labels);
  const long before = allocations;
  for (int i = 0; i < 20; ++i) step(images, labels);
  EXPECT_EQ(allocations, before);
}

TEST(Dump, WritesEveryStageThePlanAndTheListings) {
  const auto folder = std::filesystem::temp_directory_path() / "taper-dump-test";
  std::filesystem::remove_all(folder);
  Net net;
  compile(net.logits, {.max_batch = 4, .dump = folder.string(), .name = "net"});
  for (const char* name :
       {"net.00-recorded.tir", "net.04-fuse.tir", "net.07-select.tir", "net.plan.txt", "net.asm"})
    EXPECT_GT(std::filesystem::file_size(folder / name), 100u) << name;
  std::ifstream recorded(folder / "net.00-recorded.tir");
  const std::string text(std::istreambuf_iterator<char>(recorded), {});
  EXPECT_EQ(ir::print(ir::parse(text)), text);
  std::filesystem::remove_all(folder);
}

TEST(Report, CountsWhatWasCompiled) {
  Net net;
  const Function f = compile(net.logits, {.max_batch = 4});
  EXPECT_GT(f.report().arena_bytes, 4u * 16 * 64 * 4);
  EXPECT_GE(f.report().kernels, 3u);
  EXPECT_GT(f.report().code_bytes, 1000u);
  EXPECT_GT(f.report().compile_seconds, 0);
  EXPECT_NE(f.plan().find("conv direct 3x3 forward"), std::string::npos);
}

class Environment : public testing::Test {
 protected:
  void TearDown() override {
    for (const char* name : {"TAPER_NUM_THREADS", "TAPER_MAX_ISA"}) unsetenv(name);
  }
};

TEST_F(Environment, SetsWhatOptionsLeaveOpen) {
  setenv("TAPER_NUM_THREADS", "3", 1);
  EXPECT_EQ(resolve({}).threads, 3);
  EXPECT_EQ(resolve({.threads = 2}).threads, 2);
  setenv("TAPER_MAX_ISA", "avx2", 1);
  const ir::Isa* isa = resolve({}).isa;
  EXPECT_TRUE(isa == nullptr || isa->name == "avx2");
}

TEST_F(Environment, RefusesUnknownValues) {
  for (const char* value : {"0", "-1", "two", "3x", "1000"}) {
    setenv("TAPER_NUM_THREADS", value, 1);
    EXPECT_THROW(resolve({}), Error) << value;
  }
  unsetenv("TAPER_NUM_THREADS");
  setenv("TAPER_MAX_ISA", "sse9", 1);
  EXPECT_THROW(resolve({}), Error);
  EXPECT_THROW(resolve({.max_batch = 0}), Error);
  EXPECT_THROW(resolve({.threads = -1}), Error);
}

TEST(ThreadPool, RunsEveryThreadOfEveryRegion) {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    std::vector<int> counts(static_cast<std::size_t>(threads), 0);
    for (int i = 0; i < 1000; ++i)
      pool.run([](void* context, int t) { ++static_cast<int*>(context)[t]; }, counts.data());
    EXPECT_EQ(counts, std::vector<int>(static_cast<std::size_t>(threads), 1000));
  }
}

// They are moved off their maker's CPU once, and then belong nowhere.
TEST(ThreadPool, ThreadsMayRunWhereTheirMakerMay) {
  struct Masks {
    cpu_set_t own, maker;
    static void look(void* context, int t) {
      cpu_set_t& mask =
          t == 0 ? static_cast<Masks*>(context)->maker : static_cast<Masks*>(context)->own;
      sched_getaffinity(0, sizeof mask, &mask);
    }
  } masks;
  ThreadPool pool(2);
  pool.run(Masks::look, &masks);
  EXPECT_TRUE(CPU_EQUAL(&masks.own, &masks.maker));
}

TEST(ThreadPool, ServesSeveralCallers) {
  ThreadPool pool(2);
  std::atomic<int> total{0};
  const auto caller = [&] {
    for (int i = 0; i < 300; ++i)
      pool.run([](void* context, int) { ++*static_cast<std::atomic<int>*>(context); }, &total);
  };
  std::thread other(caller);
  caller();
  other.join();
  EXPECT_EQ(total, 2 * 2 * 300);
}

TEST(Barrier, NobodyPassesEarly) {
  constexpr int kThreads = 4;
  ThreadPool pool(kThreads);
  struct Context {
    Barrier barrier{kThreads};
    std::atomic<int> arrived{0};
    std::atomic<bool> early{false};
  } context;
  pool.run(
      [](void* pointer, int) {
        auto& c = *static_cast<Context*>(pointer);
        for (int round = 1; round <= 200; ++round) {
          ++c.arrived;
          c.barrier.arrive_and_wait();
          if (c.arrived < round * kThreads) c.early = true;
          c.barrier.arrive_and_wait();
        }
      },
      &context);
  EXPECT_FALSE(context.early);
}

TEST(Progress, IsAwaitedButNotForEver) {
  constexpr std::uint64_t kPoints = 200;
  ThreadPool pool(2);
  struct Context {
    Progress progress;
    std::array<std::atomic<bool>, kPoints + 1> reached{};
    std::atomic<std::uint64_t> kept = 0;
  } context;
  pool.run(
      [](void* pointer, int thread) {
        auto& c = *static_cast<Context*>(pointer);
        for (std::uint64_t point = 1; point <= kPoints; ++point) {
          if (thread == 0) {
            c.reached[point] = true;
            c.progress.reach(point);
          } else {
            c.progress.await(point);
            c.kept += c.reached[point];
          }
        }
      },
      &context);
  EXPECT_GT(context.kept, kPoints / 2);  // the others took too long
  context.progress.await(kPoints - 1);
  context.progress.await(kPoints + 1);  // returns although nobody gets there
}

TEST(FlushDenormals, IsOnInsideAndRestored) {
  volatile float tiny = 1e-38f;
  {
    const FlushDenormals flush;
    EXPECT_EQ(tiny * 1e-3f, 0.0f);
  }
  EXPECT_NE(tiny * 1e-3f, 0.0f);
}

}  // namespace
}  // namespace taper::runtime
