// Steps that are rejected, gradient accumulation, and what both leave in the variables.
#include <limits>

#include "tests/optim_vectors.h"

namespace taper {
namespace {

using recorded::backends;
using recorded::expect_sentence;

using Floats = std::vector<float>;
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// A regression with a logarithm, and a count of its own calls as layers keep it.
struct Model {
  Model() {
    for (const auto& [name, weight] : layers.parameters()) {
      Floats values = weight->read();
      for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = 0.25f + static_cast<float>(i % 7) / 16;
      weight->write(values);
    }
    const Tensor x = tape.input("x", {N, 4});
    const Tensor y = tape.input("y", {N, 1});
    const Tensor count = tape.state(calls);
    tape.update(count, where(training(tape), count + 1, count));
    logarithm = log(layers(x));
    loss = mse_loss(logarithm, y);
  }
  std::map<std::string, Floats> contents(const TrainingStep& step) const {
    std::map<std::string, Floats> all;
    for (const auto& [name, variable] : step.variables()) all[name] = variable->read();
    return all;
  }

  Tape tape;
  nn::Sequential layers{nn::Linear(4, 6), nn::Linear(6, 1)};
  std::shared_ptr<Variable> calls =
      std::make_shared<Variable>("calls", ir::TensorType{DType::f32, {}});
  Tensor logarithm, loss;
};

Floats inputs(int seed, int rows) {
  Floats values;
  for (int i = 0; i < rows * 4; ++i)
    values.push_back(static_cast<float>((i * 31 + seed * 17) % 23 + 1) / 16);
  return values;
}
Floats wanted(int seed, int rows) {
  Floats values;
  for (int i = 0; i < rows; ++i) values.push_back(static_cast<float>((i * 5 + seed * 3) % 11) / 8);
  return values;
}

std::vector<optim::Optimizer> optimizers() {
  using namespace optim;
  return {SGD{.learning_rate = 0.01f},
          SGD{.learning_rate = 0.01f, .momentum = 0.9, .dampening = 0.5},
          Adam{},
          AdamW{},
          RMSprop{.learning_rate = 1e-3f, .momentum = 0.5, .weight_decay = 0.01, .centered = true},
          Optimizer(Adam{}).clip_norm(1)};
}

std::string rejection(TrainingStep& step, const Floats& x, const Floats& y) {
  try {
    step(x, y);
  } catch (const NonFiniteError& error) {
    return error.what();
  }
  return "not rejected";
}

TEST(NonFinite, ALossKeepsEverythingAndNamesTheOp) {
  for (const CompileOptions& options : backends())
    for (const optim::Optimizer& optimizer : optimizers()) {
      Model model;
      TrainingStep step = compile(model.loss, optimizer, options, {model.logarithm});
      step(inputs(1, 5), wanted(1, 5));
      step(inputs(2, 5), wanted(2, 5));
      const auto before = model.contents(step);
      Floats bad = inputs(3, 5);
      for (std::size_t i = 8; i < 12; ++i) bad[i] = -9;  // one row whose sum is negative
      const std::string message = rejection(step, bad, wanted(3, 5));
      expect_sentence(message, {"training step 3: the loss is", "nan",
                                "the result of log, f32[N,1]", "nonfinite.cpp:", "has changed"});
      EXPECT_EQ(model.contents(step), before) << options.name;
      EXPECT_TRUE(std::isnan(step.output(0)[2]));
      EXPECT_TRUE(std::isfinite(step(inputs(3, 5), wanted(3, 5))));
      EXPECT_NE(model.contents(step), before);
    }
}

TEST(NonFinite, RejectedStepsLeaveNoTrace) {
  for (const optim::Optimizer& optimizer : optimizers()) {
    Model clean, troubled;
    TrainingStep good = compile(clean.loss, optimizer);
    TrainingStep step = compile(troubled.loss, optimizer);
    for (int i = 0; i < 6; ++i) {
      const float loss = good(inputs(i, 5), wanted(i, 5));
      Floats bad = wanted(i, 5);
      bad[0] = i % 2 == 0 ? kNaN : kInfinity;
      EXPECT_NE(rejection(step, inputs(i, 5), bad), "not rejected");
      EXPECT_EQ(step(inputs(i, 5), wanted(i, 5)), loss);
    }
    EXPECT_EQ(clean.contents(good), troubled.contents(step));
    EXPECT_EQ(step.calls, 12);
  }
}

TEST(NonFinite, NamesABadInputAndABadParameter) {
  Model model;
  TrainingStep step = compile(model.loss, optim::Adam{});
  Floats bad = inputs(1, 5);
  bad[7] = kNaN;
  expect_sentence(rejection(step, bad, wanted(1, 5)), {"input \"x\""});
  const auto weight = model.layers.parameters()[2].second;
  Floats values = weight->read();
  values[1] = kInfinity;
  weight->write(values);
  expect_sentence(rejection(step, inputs(1, 5), wanted(1, 5)), {"parameter \"1.weight\""});
}

TEST(NonFinite, AMaskedInfinityIsNotTheCause) {
  Tape tape;
  const auto w = std::make_shared<Variable>("w", ir::TensorType{DType::f32, {3}});
  const Tensor x = tape.input("x", {3});
  const Tensor masked = where(x > 0, log(x), 0);  // -inf is not chosen
  const Tensor root = sqrt(x - 1);
  TrainingStep step = compile(sum(masked + root + tape.parameter(w)), optim::SGD{});
  EXPECT_NO_THROW(step(Floats{1, 2, 3}));
  try {
    step(Floats{0, 2, 3});
    FAIL();
  } catch (const NonFiniteError& error) {
    expect_sentence(error.what(), {"the result of sqrt"});
  }
}

// A loss that is finite where its gradient is not: the square root of a parameter at zero.
struct Cusp {
  Cusp() {
    w->write(Floats{1, 0, 4});
    loss = sum(sqrt(tape.parameter(w)) * tape.input("x", {3}));
  }
  Tape tape;
  std::shared_ptr<Variable> w = std::make_shared<Variable>("w", ir::TensorType{DType::f32, {3}});
  Tensor loss;
};

TEST(NonFinite, AGradientChangesNoElementOfItsOwn) {
  for (const CompileOptions& options : backends()) {
    Cusp cusp;
    TrainingStep step = compile(cusp.loss, optim::SGD{.learning_rate = 0.5f}, options);
    EXPECT_EQ(step(Floats{1, 1, 1}), 3.0f);
    EXPECT_EQ(cusp.w->read(), (Floats{0.75f, 0, 3.875f})) << options.name;
  }
}

TEST(NonFinite, AGradientRejectsTheStepOnRequest) {
  for (const CompileOptions& options : backends()) {
    Cusp cusp;
    TrainingStep step = compile(cusp.loss, optim::SGD{.learning_rate = 0.5f, .momentum = 0.9},
                                options, {}, {.guard = Guard::gradients});
    try {
      step(Floats{1, 1, 1});
      FAIL();
    } catch (const NonFiniteError& error) {
      expect_sentence(error.what(), {"training step 1: a gradient", "the result of div"});
    }
    EXPECT_EQ(cusp.w->read(), (Floats{1, 0, 4})) << options.name;
  }
}

TEST(NonFinite, ANormThatIsNotFiniteRejectsTheStep) {
  Cusp cusp;
  TrainingStep step = compile(cusp.loss, optim::Optimizer(optim::SGD{}).clip_norm(1));
  EXPECT_THROW(step(Floats{1, 1, 1}), NonFiniteError);
  EXPECT_EQ(cusp.w->read(), (Floats{1, 0, 4}));
}

// ---- Gradient accumulation ----

Floats concatenated(Floats (*make)(int, int), int first, int count, int rows) {
  Floats all;
  for (int i = first; i < first + count; ++i)
    for (const float value : make(i, rows)) all.push_back(value);
  return all;
}

TEST(Accumulation, OfEqualBatchesIsOneBatch) {
  for (const CompileOptions& options : backends())
    for (const optim::Optimizer& optimizer : optimizers()) {
      Model whole, parts;
      TrainingStep once = compile(whole.loss, optimizer, options);
      TrainingStep step =
          compile(parts.loss, optimizer, options, {parts.logarithm}, {.accumulate = 3});
      for (int i = 0; i < 12; i += 3) {
        const float loss = once(concatenated(inputs, i, 3, 4), concatenated(wanted, i, 3, 4));
        const auto before = parts.layers.parameters()[0].second->read();
        float mean = 0;
        for (int k = i; k < i + 3; ++k) {
          EXPECT_EQ(parts.layers.parameters()[0].second->read(), before);
          mean += step(inputs(k, 4), wanted(k, 4)) / 3;
          EXPECT_EQ(step.output(0).size(), 4u);
        }
        EXPECT_NEAR(mean, loss, 1e-5);
      }
      for (std::size_t p = 0; p < 4; ++p) {
        const Floats a = whole.layers.parameters()[p].second->read();
        const Floats b = parts.layers.parameters()[p].second->read();
        for (std::size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 2e-5) << options.name;
      }
      EXPECT_EQ(parts.calls->read(), Floats{12});
      EXPECT_EQ(step.variables().at("accumulated.count")->read(), Floats{0});
    }
}

TEST(Accumulation, IsAStateThatASavedProgramGoesOnWith) {
  Model first, second;
  const TrainingOptions three{.accumulate = 3};
  TrainingStep whole = compile(first.loss, optim::Adam{}, {}, {}, three);
  TrainingStep a = compile(second.loss, optim::Adam{}, {}, {}, three);
  for (int i = 0; i < 4; ++i) a(inputs(i, 4), wanted(i, 4));
  Model third;
  TrainingStep b = compile(third.loss, optim::Adam{}, {}, {}, three);
  for (const auto& [name, variable] : b.variables())
    variable->write(a.variables().at(name)->read());
  for (int i = 4; i < 6; ++i) b(inputs(i, 4), wanted(i, 4));
  for (int i = 0; i < 6; ++i) whole(inputs(i, 4), wanted(i, 4));
  EXPECT_EQ(first.contents(whole), third.contents(b));
}

TEST(Accumulation, ARejectedCallAddsNothing) {
  Model model;
  TrainingStep step = compile(model.loss, optim::Adam{}, {}, {}, {.accumulate = 3});
  for (int i = 0; i < 5; ++i) {
    const auto before = model.contents(step);
    Floats bad = wanted(i, 4);
    bad[1] = kNaN;
    expect_sentence(rejection(step, inputs(i, 4), bad), {"input \"y\""});
    EXPECT_EQ(model.contents(step), before);
    step(inputs(i, 4), wanted(i, 4));
  }
  EXPECT_EQ(step.variables().at("accumulated.count")->read(), Floats{2});
}

}  // namespace
}  // namespace taper
