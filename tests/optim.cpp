// Optimizers against what PyTorch computed, and the programs that they become.
#include <algorithm>
#include <functional>

#include "tests/optim_vectors.h"

namespace taper {
namespace {

using optim::Adam;
using optim::AdamW;
using optim::Optimizer;
using optim::RMSprop;
using optim::SGD;
using recorded::backends;
using recorded::error_of;
using recorded::expect_sentence;

using Shared = std::shared_ptr<Variable>;

// Two parameters whose gradients are inputs: those of tests/record_optim.py.
struct Problem {
  Problem() {
    std::vector<float> values;
    for (int i = 0; i < 15; ++i) values.push_back(1 + static_cast<float>(i) / 8);
    a->write(values);
    values.clear();
    for (int i = 0; i < 7; ++i) values.push_back(-2 + static_cast<float>(i) / 4);
    b->write(values);
    const Tensor da = tape.input("da", {3, 5});
    const Tensor db = tape.input("db", {7});
    const Tensor first = sum(tape.parameter(a) * da);
    loss = first + sum(tape.parameter(b) * db);
  }
  std::vector<float> values() const {
    std::vector<float> all = a->read();
    const std::vector<float> rest = b->read();
    all.insert(all.end(), rest.begin(), rest.end());
    return all;
  }

  Shared a = std::make_shared<Variable>("a", ir::TensorType{DType::f32, {3, 5}});
  Shared b = std::make_shared<Variable>("b", ir::TensorType{DType::f32, {7}});
  Tape tape;
  Tensor loss;
};

std::vector<float> gradient_of(int step, int begin, int count) {
  std::vector<float> values;
  for (int i = begin; i < begin + count; ++i)
    values.push_back(static_cast<float>((step * 37 + i * 101 + 13) % 97 - 48) / 32);
  return values;
}

using Make = std::function<Optimizer(const Problem&)>;
const std::map<std::string, Make>& optimizers() {
  const auto plain = [](const Optimizer& optimizer) {
    return [optimizer](const Problem&) { return optimizer; };
  };
  static const std::map<std::string, Make> all{
      {"sgd", plain(SGD{.learning_rate = 0.125f})},
      {"sgd_momentum", plain(SGD{.learning_rate = 0.125f, .momentum = 0.9})},
      {"sgd_nesterov",
       plain(
           SGD{.learning_rate = 0.125f, .momentum = 0.9, .weight_decay = 0.01, .nesterov = true})},
      {"sgd_dampening",
       plain(
           SGD{.learning_rate = 0.125f, .momentum = 0.9, .dampening = 0.3, .weight_decay = 0.01})},
      {"adam", plain(Adam{.learning_rate = 0.015625f})},
      {"adam_decay", plain(Adam{.learning_rate = 0.015625f,
                                .beta1 = 0.8,
                                .beta2 = 0.95,
                                .epsilon = 1e-6,
                                .weight_decay = 0.01})},
      {"adamw", plain(AdamW{.learning_rate = 0.015625f, .weight_decay = 0.1})},
      {"rmsprop", plain(RMSprop{.learning_rate = 0.015625f})},
      {"rmsprop_momentum",
       plain(RMSprop{.learning_rate = 0.015625f, .alpha = 0.9, .momentum = 0.5})},
      {"rmsprop_centered", plain(RMSprop{.learning_rate = 0.015625f,
                                         .alpha = 0.9,
                                         .epsilon = 1e-6,
                                         .momentum = 0.5,
                                         .weight_decay = 0.01,
                                         .centered = true})},
      {"clip_norm", plain(Optimizer(SGD{.learning_rate = 0.125f, .momentum = 0.9}).clip_norm(2))},
      {"clip_value", plain(Optimizer(Adam{.learning_rate = 0.015625f}).clip_value(0.5))},
      {"groups",
       [](const Problem& problem) {
         const std::vector<Shared> second{problem.b};
         return Optimizer(SGD{.learning_rate = 0.125f, .momentum = 0.9})
             .group(second, SGD{.momentum = 0.5, .weight_decay = 0.1}, 0.25);
       }},
  };
  return all;
}

// The parameters after steps 1, 2, 10 and 50.
std::vector<std::vector<float>> train(const Make& make, const CompileOptions& options,
                                      const TrainingOptions& training = {}) {
  Problem problem;
  const Optimizer optimizer = make(problem);
  TrainingStep step = compile(problem.loss, optimizer, options, {}, training);
  std::vector<std::vector<float>> rows;
  for (int i = 0; i < 50; ++i) {
    step.learning_rate = optimizer.learning_rate() * (i < 25 ? 1 : 0.5f);
    step(gradient_of(i, 0, 15), gradient_of(i, 15, 7));
    if (i == 0 || i == 1 || i == 9 || i == 49) rows.push_back(problem.values());
  }
  return rows;
}

class Rules : public testing::TestWithParam<std::string> {};

TEST_P(Rules, FollowPyTorchForFiftySteps) {
  static const auto cases = recorded::read_cases("optim_rules.txt");
  const recorded::Rows& expected = cases.at(GetParam());
  ASSERT_EQ(expected.size(), 4u);
  for (const CompileOptions& options : backends()) {
    const auto rows = train(optimizers().at(GetParam()), options);
    for (std::size_t row = 0; row < rows.size(); ++row)
      for (std::size_t i = 0; i < rows[row].size(); ++i)
        EXPECT_NEAR(rows[row][i], expected[row][i],
                    1e-6 * std::max(std::fabs(expected[row][i]), 1.))
            << options.name << ", row " << row << ", element " << i;
  }
}

TEST_P(Rules, GuardsChangeNoBits) {
  const Make& make = optimizers().at(GetParam());
  EXPECT_EQ(train(make, {}), train(make, {}, {.guard = Guard::gradients}));
}

TEST_P(Rules, HaveTheSameBitsOnEveryIsa) {
  const std::vector<CompileOptions> all = backends();
  for (std::size_t i = 2; i < all.size(); ++i)
    EXPECT_EQ(train(optimizers().at(GetParam()), all[1]),
              train(optimizers().at(GetParam()), all[i]))
        << all[i].name;
}

INSTANTIATE_TEST_SUITE_P(Optim, Rules, testing::ValuesIn([] {
                           std::vector<std::string> names;
                           for (const auto& [name, make] : optimizers()) names.push_back(name);
                           return names;
                         }()),
                         [](const auto& info) { return info.param; });

TEST(Optim, EveryRecordedCaseIsTested) {
  for (const auto& [name, rows] : recorded::read_cases("optim_rules.txt"))
    EXPECT_TRUE(optimizers().contains(name)) << name;
}

// ---- Programs ----

// Kernel calls of the step of a deep network whose gradients are sums, so that no update becomes an
// epilogue of more than one op.
std::size_t update_kernels(const Optimizer& optimizer, int layers) {
  Tape tape;
  const Tensor x = tape.input("x", {40, 24});
  Tensor loss = tape.scalar(0);
  std::vector<Shared> held;
  for (int i = 0; i < layers; ++i) {
    held.push_back(std::make_shared<Variable>("w", ir::TensorType{DType::f32, {24}}));
    const Tensor product = x * tape.parameter(held.back());
    loss = loss + sum(product * product);
  }
  const TrainingStep step = compile(loss, optimizer, {.threads = 1});
  std::istringstream plan(step.plan());
  std::size_t kernels = 0;
  for (std::string line; std::getline(plan, line);) {
    const std::size_t arrow = line.find(" -> ");
    if (arrow == std::string::npos) continue;
    std::istringstream results(line.substr(arrow + 4));
    bool updates = false;
    for (std::string name; results >> name;) updates = updates || name.starts_with("w");
    kernels += updates;
  }
  return kernels;
}

TEST(Optim, UpdatesOfAllParametersAreOneKernel) {
  for (const auto& [name, make] : optimizers()) {
    const bool in_epilogue = name == "sgd";  // of each gradient's kernel
    if (in_epilogue || name == "groups") continue;
    const Optimizer optimizer = make(Problem());
    EXPECT_EQ(update_kernels(optimizer, 9), 1u) << name;
  }
}

TEST(Optim, StatesAreBoundVariables) {
  Problem problem;
  const TrainingStep step = compile(problem.loss, Adam{}, {});
  std::vector<std::string> names;
  for (const auto& [name, variable] : step.variables()) names.push_back(name);
  EXPECT_EQ(names, (std::vector<std::string>{"a", "adam.correction1", "adam.correction2",
                                             "adam.m.a", "adam.m.b", "adam.v.a", "adam.v.b", "b"}));
  EXPECT_EQ(step.variables().at("a"), problem.a);
}

TEST(Optim, AnotherRateCompilesNothingAndZeroKeepsTheParameters) {
  Problem problem;
  TrainingStep step = compile(problem.loss, SGD{.learning_rate = 0.5f, .momentum = 0.9}, {});
  const std::vector<float> before = problem.values();
  step.learning_rate = 0;
  step(gradient_of(0, 0, 15), gradient_of(0, 15, 7));
  EXPECT_EQ(problem.values(), before);
  step.learning_rate = 0.5f;
  step(gradient_of(1, 0, 15), gradient_of(1, 15, 7));
  EXPECT_NE(problem.values(), before);
}

TEST(Optim, AGroupOfAModulesParametersCanStandStill) {
  Tape tape;
  const nn::Linear fixed(3, 3), trained(3, 1);
  const Tensor x = tape.input("x", {N, 3});
  const Tensor loss = mean(trained(fixed(x)));
  TrainingStep step =
      compile(loss, Optimizer(SGD{.learning_rate = 0.5f}).group(fixed.parameters(), SGD{}, 0));
  const auto first = fixed.parameters()[0].second->read();
  const auto second = trained.parameters()[0].second->read();
  step(std::vector<float>(6, 1.f));
  EXPECT_EQ(fixed.parameters()[0].second->read(), first);
  EXPECT_NE(trained.parameters()[0].second->read(), second);
}

// A rule of the user's own: the sign of the gradient.
struct SignDescent {
  float learning_rate = 0.25f;
  void record(optim::Group& group) const {
    for (const auto& item : group.items()) {
      const Tensor sign = where(item.gradient > 0, 1, -1);
      group.set(item, item.parameter, item.parameter - group.learning_rate() * sign);
    }
  }
};

TEST(Optim, TakesAnyRule) {
  Problem problem;
  TrainingStep step = compile(problem.loss, SignDescent{});
  step(std::vector<float>(15, 3.f), std::vector<float>(7, -2.f));
  EXPECT_EQ(problem.a->read()[0], 0.75f);
  EXPECT_EQ(problem.b->read()[0], -1.75f);
}

TEST(Optim, BadArgumentsAreOneSentence) {
  Problem problem;
  const auto message = [&](const Optimizer& optimizer) {
    return error_of([&] { compile(problem.loss, optimizer); });
  };
  expect_sentence(message(SGD{.momentum = -1}), {"SGD: momentum -1 is negative"});
  expect_sentence(message(SGD{.weight_decay = std::nan("")}), {"SGD: weight_decay nan"});
  expect_sentence(message(SGD{.nesterov = true}), {"nesterov needs a momentum"});
  expect_sentence(message(SGD{.momentum = 0.9, .dampening = 0.1, .nesterov = true}),
                  {"nesterov needs a momentum and no dampening"});
  expect_sentence(message(Adam{.beta1 = 1}), {"Adam: beta1 1 is not in [0, 1)"});
  expect_sentence(message(AdamW{.epsilon = -1}), {"AdamW: epsilon -1"});
  expect_sentence(message(RMSprop{.alpha = 2}), {"RMSprop: alpha 2"});
  const Optimizer adam = Adam{};
  expect_sentence(error_of([&] { Optimizer(adam).clip_norm(0); }), {"clip_norm: 0 is not"});
  expect_sentence(error_of([&] { Optimizer(adam).clip_value(-1); }), {"clip_value: -1 is not"});
  const std::vector<Shared> both{problem.a, problem.b}, one{problem.a};
  expect_sentence(error_of([&] { Optimizer(adam).group(one, SGD{}).group(both, SGD{}); }),
                  {"parameter \"a\" is in another group"});
  expect_sentence(error_of([&] { Optimizer(adam).group(one, SGD{}, -1); }), {"multiplier -1"});
  const std::vector<Shared> other{std::make_shared<Variable>("c", ir::TensorType{DType::f32, {2}})};
  expect_sentence(message(Optimizer(adam).group(other, SGD{})), {"depends on none of its"});
  expect_sentence(error_of([&] { compile(problem.loss, adam, {}, {}, {.accumulate = 0}); }),
                  {"0 calls cannot make an update"});
}

}  // namespace
}  // namespace taper
