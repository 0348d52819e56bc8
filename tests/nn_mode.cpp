// Train and evaluate from one tape: what is chosen, what is updated; dropout; modules and names.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <numeric>

#include "ir/eval.h"
#include "tests/layer_vectors.h"

namespace taper {
namespace {

using layers::error_of;

std::vector<std::string> names(const nn::Parameters& parameters) {
  std::vector<std::string> list;
  for (const auto& [name, variable] : parameters) list.push_back(name);
  return list;
}

TEST(Mode, ResolvesEveryChoiceAndKeepsTheUpdatesOfTraining) {
  Tape tape;
  const Tensor x = tape.input("x", {N, 2});
  const auto variable = std::make_shared<Variable>("count", ir::TensorType{DType::f32, {}});
  const Tensor count = tape.state(variable);
  tape.update(count, where(training(tape), count + 1, count));
  const Tensor y = where(training(tape), x * 2, 3.0);
  ir::Graph graph = tape.graph();
  graph.outputs.push_back({"y", y.id()});

  const ir::Graph train = in_mode(graph, Mode::train);
  ASSERT_EQ(train.updates.size(), 1u);
  EXPECT_EQ(train[train.outputs[0].value].op, ir::Op::mul);
  const ir::Graph evaluate = in_mode(graph, Mode::evaluate);
  EXPECT_TRUE(evaluate.updates.empty());
  EXPECT_EQ(evaluate[evaluate.outputs[0].value].type.shape, (Shape{N, 2}));
  for (const ir::Graph* each : {&train, &evaluate}) {
    ir::verify(*each, ir::Stage::recorded);
    EXPECT_EQ(ir::print(*each).find("$training"), std::string::npos);
  }
}

// d/dy of a choice y is not d/dx of the branch x, which is used elsewhere as well.
TEST(Mode, GradientOfAChoiceIsItsOwn) {
  Tape tape;
  const Tensor x = tape.input("x", {N});
  const Tensor y = where(training(tape), x, 0.0);
  const Tensor g = gradient(sum(y * 2.0 + x * 5.0), y);
  Function function(tape, {g}, {}, Mode::train);
  EXPECT_EQ(function(std::vector<float>{1, 1})[0], 2);
}

TEST(Mode, ATrainingStepMovesTheStatisticsThatInferenceReads) {
  const nn::BatchNorm1d norm(1, {.momentum = 0.5});
  Tape tape;
  const Tensor x = tape.input("x", {N, 1});
  const Tensor y = norm(x);
  Function step(tape, {mean(y)}, {}, Mode::train);
  Function infer(tape, {y}, {}, Mode::evaluate);
  const std::vector<float> data{1, 3};  // mean 2, variance 1, unbiased 2
  infer(data);
  EXPECT_EQ(norm.buffers()[0].second->read()[0], 0);
  step(data);
  EXPECT_FLOAT_EQ(norm.buffers()[0].second->read()[0], 1);
  EXPECT_FLOAT_EQ(norm.buffers()[1].second->read()[0], 1.5f);
  EXPECT_EQ(norm.buffers()[2].second->read()[0], 1);
  EXPECT_NEAR(infer(data)[1], 2 / std::sqrt(1.5 + 1e-5), 1e-6);
  const std::vector<float> one{4};  // whose unbiased variance is no number in PyTorch
  step(one);
  EXPECT_FLOAT_EQ(norm.buffers()[1].second->read()[0], 0.75f);
}

// As PyTorch's, a layer that is called twice in a step moves its statistics twice.
TEST(Mode, ALayerMayBeCalledTwice) {
  const nn::BatchNorm1d norm(1, {.momentum = 0.5});
  Tape tape;
  const Tensor x = tape.input("x", {N, 1});
  const Tensor y = norm(x * 1.0), z = norm(x * 3.0);
  Function step(tape, {y + z}, {}, Mode::train);
  step(std::vector<float>{1, 3});
  EXPECT_FLOAT_EQ(norm.buffers()[0].second->read()[0], 0.25f * 2 + 0.5f * 6);
  EXPECT_EQ(norm.buffers()[2].second->read()[0], 2);
}

std::vector<float> drop(const nn::Dropout& layer, std::size_t count, Mode mode, int steps,
                        const CompileOptions& options, Shape image = {}) {
  Tape tape;
  image.insert(image.begin(), N);
  const Tensor x = tape.input("x", image);
  const Tensor y = layer(x);
  const Tensor g = gradient(sum(y), x);
  Function function(tape, {y, g}, options, mode);
  for (int i = 0; i < steps; ++i) function(std::vector<float>(count, 1));
  const std::span<const float> last = function.output(0);
  EXPECT_TRUE(std::ranges::equal(last, function.output(1)));
  return {last.begin(), last.end()};
}

TEST(Dropout, DropsTheFractionAndScalesTheRest) {
  for (const double p : {0.0, 0.1, 0.5, 0.9, 1.0}) {
    const std::vector<float> y = drop(nn::Dropout(p), 20000, Mode::train, 1, {.max_batch = 20000});
    const auto dropped = static_cast<double>(std::ranges::count(y, 0.0f)) / 20000;
    EXPECT_NEAR(dropped, p, 5 * std::sqrt(p * (1 - p) / 20000));
    for (const float value : y)
      EXPECT_TRUE(value == 0 || value == static_cast<float>(1 / (1 - p))) << value;
    const std::vector<float> z = drop(nn::Dropout(p), 100, Mode::evaluate, 1, {});
    EXPECT_EQ(std::ranges::count(z, 1.0f), 100);
  }
}

TEST(Dropout, StepsLayersAndSeedsDiffer) {
  const CompileOptions options{.max_batch = 1000};
  manual_seed(1);
  const std::vector<float> first = drop(nn::Dropout(), 1000, Mode::train, 1, options);
  EXPECT_NE(drop(nn::Dropout(), 1000, Mode::train, 1, options), first);
  manual_seed(1);
  EXPECT_NE(drop(nn::Dropout(), 1000, Mode::train, 2, options), first);
  manual_seed(2);
  EXPECT_NE(drop(nn::Dropout(), 1000, Mode::train, 1, options), first);
  manual_seed(1);
  EXPECT_EQ(drop(nn::Dropout(), 1000, Mode::train, 1, options), first);
}

TEST(Dropout, SameBitsForAnyThreadsAndIsaAndTheInterpreter) {
  for (const Shape& image : {Shape{700}, Shape{20, 9, 9}}) {
    const auto count = static_cast<std::size_t>(
        64 * std::accumulate(image.begin(), image.end(), Dim{1}, std::multiplies<>()));
    const auto run = [&](CompileOptions options) {
      manual_seed(5);
      options.max_batch = 64;
      return drop(nn::Dropout(0.3), count, Mode::train, 3, options, image);
    };
    const std::vector<float> reference = run({.interpret = true});
    for (const ir::Isa* isa : layers::host_isas())
      for (const int threads : {1, 2, 3, 7})
        EXPECT_EQ(run({.threads = threads, .isa = isa}), reference) << isa->name << threads;
  }
}

struct Outcome {
  std::vector<float> losses;
  std::vector<std::vector<float>> variables;
};

// Five steps of a model with every layer that has a mode, and a table.
Outcome train(const CompileOptions& options) {
  manual_seed(7);
  Tape tape;
  const Tensor words = tape.input("words", {N, 4}, DType::i32);
  const Tensor labels = tape.input("labels", {N}, DType::i32);
  const nn::Embedding table(11, 36);
  const auto pad = nn::same_padding(1);
  const nn::Sequential model(nn::Conv2d(4, 20, 3, {.padding = pad}), nn::BatchNorm2d(20),
                             nn::GELU(), nn::Dropout(0.2), nn::ConvTranspose2d(20, 6, 2),
                             nn::AdaptiveAvgPool2d({3, 4}), nn::Flatten(), nn::Linear(72, 24),
                             nn::LayerNorm(24), nn::SiLU(), nn::Dropout(0.5), nn::Linear(24, 11),
                             nn::BatchNorm1d(11));
  const Tensor image = reshape(table(words), {N, 4, 6, 6});
  TrainingStep step =
      compile(cross_entropy(model(image), labels), optim::Adam{.learning_rate = 3e-3f}, options);
  Outcome outcome;
  for (std::uint64_t i = 0; i < 5; ++i) {
    std::vector<std::int32_t> x, y;
    for (std::uint64_t k = 0; k < 148; ++k) {
      x.push_back(static_cast<std::int32_t>(ir::philox(k, 0, i, 3) % 11));
      if (k % 4 == 3) y.push_back(x.back());
    }
    outcome.losses.push_back(step(x, y));
  }
  for (const auto& list : {table.parameters(), model.parameters(), model.buffers()})
    for (const auto& [name, variable] : list) outcome.variables.push_back(variable->read());
  return outcome;
}

TEST(Models, SameBitsForAnyThreadsAndIsaAndNearTheInterpreter) {
  const Outcome reference = train({.max_batch = 37, .interpret = true});
  const Outcome first = train({.max_batch = 37, .threads = 1, .isa = layers::host_isas()[0]});
  for (std::size_t i = 0; i < first.losses.size(); ++i)
    EXPECT_NEAR(first.losses[i], reference.losses[i], 1e-3);
  for (const ir::Isa* isa : layers::host_isas())
    for (const int threads : {1, 2, 3, 7}) {
      const Outcome other = train({.max_batch = 37, .threads = threads, .isa = isa});
      EXPECT_EQ(other.losses, first.losses) << isa->name << threads;
      EXPECT_EQ(other.variables, first.variables) << isa->name << threads;
    }
}

// As frontend/nn_module.h shows.
class Block : public nn::Module {
 public:
  explicit Block(std::int64_t channels)
      : conv_(add("conv", nn::Conv2d(channels, channels, 3, {.padding = nn::same_padding(1)}))),
        norm_(add("norm", nn::BatchNorm2d(channels))),
        scale_(add_parameter("scale", {1})) {
    init::constant(*scale_, 1);
  }
  Tensor operator()(const Tensor& x) const override {
    const Tensor y = norm_(conv_(x));
    return relu(x + y * x.tape().parameter(scale_));
  }
  void add_again(const std::string& name) { add(name, nn::ReLU()); }

 private:
  nn::Child conv_, norm_;
  std::shared_ptr<Variable> scale_;
};

TEST(Modules, NamesAreThoseOfStateDict) {
  const nn::Sequential model(nn::Conv2d(1, 4, 3), Block(4), nn::Sequential(nn::ReLU(), Block(4)));
  const std::vector<std::string> parameters{"0.weight",      "0.bias",          "1.scale",
                                            "1.conv.weight", "1.conv.bias",     "1.norm.weight",
                                            "1.norm.bias",   "2.1.scale",       "2.1.conv.weight",
                                            "2.1.conv.bias", "2.1.norm.weight", "2.1.norm.bias"};
  EXPECT_EQ(names(model.parameters()), parameters);
  const std::vector<std::string> buffers{
      "1.norm.running_mean",   "1.norm.running_var",   "1.norm.num_batches_tracked",
      "2.1.norm.running_mean", "2.1.norm.running_var", "2.1.norm.num_batches_tracked"};
  EXPECT_EQ(names(model.buffers()), buffers);
  Tape tape;
  model(tape.input("x", {N, 1, 6, 6}));
  for (const auto& list : {parameters, buffers})
    for (const std::string& name : list) EXPECT_TRUE(tape.variables().contains(name)) << name;
  EXPECT_EQ(tape.variables().size(), parameters.size() + buffers.size());
}

TEST(Modules, RefuseBadNames) {
  Block block(2);
  for (const std::string name : {"", "a.b", "conv", "scale"})
    EXPECT_NE(error_of([&] { block.add_again(name); }).find("\"" + name + "\""), std::string::npos);
  Tape tape;
  EXPECT_NE(error_of([&] { tape.input("$x", {}); }).find("$x"), std::string::npos);
}

TEST(Init, VariancesAreThoseOfTheFans) {
  Variable weight("weight", ir::TensorType{DType::f32, {64, 32, 3, 3}});
  const auto spread = [&] {
    double squares = 0, largest = 0;
    const std::vector<float> values = weight.read();
    for (const double x : values) {
      squares += x * x;
      largest = std::max(largest, std::fabs(x));
    }
    return std::pair(std::sqrt(squares / static_cast<double>(values.size())), largest);
  };
  const auto expect = [&](double deviation, bool uniform) {
    const auto [measured, largest] = spread();
    EXPECT_NEAR(measured, deviation, 0.02 * deviation);
    if (uniform) {
      EXPECT_NEAR(largest, std::sqrt(3) * deviation, 0.01 * deviation);
    }
  };
  const double in = 32 * 9, out = 64 * 9;
  init::kaiming_normal(weight);
  expect(std::sqrt(2 / in), false);
  init::kaiming_uniform(weight, {init::Fan::out, init::Nonlinearity::tanh});
  expect(5.0 / 3 / std::sqrt(out), true);
  init::xavier_normal(weight, init::gain(init::Nonlinearity::relu));
  expect(std::sqrt(4 / (in + out)), false);
  init::xavier_uniform(weight);
  expect(std::sqrt(2 / (in + out)), true);
  Variable bias("bias", ir::TensorType{DType::f32, {4}});
  EXPECT_NE(error_of([&] { init::xavier_uniform(bias); }).find("\"bias\""), std::string::npos);
}

// Of values whose squares leave no digits for their deviation, in planes that lie apart.
TEST(BatchNorm, HasTheMomentsOfLargeValues) {
  constexpr std::size_t kImages = 5, kChannels = 32, kPlane = 6 * 5;
  const auto value = [](std::size_t i) {
    return 1024.0 + static_cast<double>(i / (kChannels * kPlane)) / 4 +
           static_cast<double>(i * 29 % 31) / 128;
  };
  std::vector<float> x(kImages * kChannels * kPlane);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(value(i));
  Tape tape;
  const nn::BatchNorm2d norm(kChannels, {.momentum = 1.0});
  Function f(tape, {norm(tape.input("x", {N, kChannels, 6, 5}))}, {.max_batch = kImages},
             Mode::train);
  const std::span<const float> y = f(x);
  const nn::Parameters buffers = norm.buffers();
  const std::map<std::string, std::shared_ptr<Variable>> running(buffers.begin(), buffers.end());
  for (std::size_t c = 0; c < kChannels; ++c) {
    double mean = 0, variance = 0;
    const auto for_each = [&](const auto& visit) {
      for (std::size_t n = 0; n < kImages; ++n)
        for (std::size_t p = 0; p < kPlane; ++p) visit((n * kChannels + c) * kPlane + p);
    };
    for_each([&](std::size_t i) { mean += value(i) / (kImages * kPlane); });
    for_each([&](std::size_t i) { variance += std::pow(value(i) - mean, 2) / (kImages * kPlane); });
    for_each([&](std::size_t i) {
      EXPECT_NEAR(y[i], (value(i) - mean) / std::sqrt(variance + 1e-5), 2e-3) << c;
    });
    const double unbiased = variance * kImages * kPlane / (kImages * kPlane - 1);
    EXPECT_NEAR(running.at("running_mean")->read()[c], mean, 1e-3);
    EXPECT_NEAR(running.at("running_var")->read()[c], unbiased, 1e-3 * unbiased);
  }
}

}  // namespace
}  // namespace taper
