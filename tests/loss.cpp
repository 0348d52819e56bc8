// Losses against what PyTorch computed, the interpreter, and finite differences.
#include <functional>

#include "tests/optim_vectors.h"

namespace taper {
namespace {

using recorded::backends;
using recorded::error_of;
using recorded::expect_sentence;

using Floats = std::vector<float>;
using Labels = std::vector<std::int32_t>;
using Record = std::function<Tensor(const Tensor& x, const Tensor& target, Reduction)>;

// The inputs of tests/record_optim.py.
Floats numbers(int count, int multiplier, int offset) {
  Floats values;
  for (int i = 0; i < count; ++i)
    values.push_back(static_cast<float>((i * multiplier + offset) % 41 - 20) / 8);
  return values;
}
Floats scores() {
  return numbers(30, 53, 7);
}
Floats targets() {
  Floats values = numbers(30, 17, 3);
  for (float& value : values) value += 0.0625f;
  return values;
}
Floats chances() {
  Floats values;
  for (int i = 0; i < 30; ++i) values.push_back(static_cast<float>((i * 53 + 7) % 41 + 12) / 64);
  return values;
}
Floats truths() {
  Floats values;
  for (int i = 0; i < 30; ++i) values.push_back(static_cast<float>(i * 7 % 5) / 4);
  return values;
}
Labels cycle(int count) {
  Labels labels;
  for (int i = 0; i < count; ++i) labels.push_back(i * 3 % 5);
  return labels;
}
const Labels kSome{0, 3, -100, 4, -100, 2};
const std::vector<double> kWeight{1, 0.5, 2, 0, 1.5};

struct Case {
  Record loss;
  Floats x;
  Floats target = {};
  Labels labels = {};
  Shape shape = {N, 5};
};

const std::map<std::string, Case>& all_cases() {
  using R = Reduction;
  const auto entropy = [](CrossEntropyOptions options) {
    return [options](const Tensor& x, const Tensor& y, R r) mutable {
      options.reduction = r;
      return cross_entropy(x, y, options);
    };
  };
  const auto nll = [](NllOptions options) {
    return [options](const Tensor& x, const Tensor& y, R r) mutable {
      options.reduction = r;
      return nll_loss(log_softmax(x, 1), y, options);
    };
  };
  const auto logits = [](const std::vector<double>& weight) {
    return [weight](const Tensor& x, const Tensor& y, R r) {
      return bce_with_logits(x, y, {.pos_weight = weight, .reduction = r});
    };
  };
  static const std::map<std::string, Case> cases{
      {"mse",
       {[](const Tensor& x, const Tensor& y, R r) { return mse_loss(x, y, r); }, scores(),
        targets()}},
      {"l1",
       {[](const Tensor& x, const Tensor& y, R r) { return l1_loss(x, y, r); }, scores(),
        targets()}},
      {"smooth_l1",
       {[](const Tensor& x, const Tensor& y, R r) { return smooth_l1_loss(x, y, 1, r); }, scores(),
        targets()}},
      {"smooth_l1_beta",
       {[](const Tensor& x, const Tensor& y, R r) { return smooth_l1_loss(x, y, 0.25, r); },
        scores(), targets()}},
      {"bce",
       {[](const Tensor& x, const Tensor& y, R r) { return bce_loss(x, y, r); }, chances(),
        truths()}},
      {"bce_logits", {logits({}), scores(), truths()}},
      {"bce_logits_weight", {logits({1, 2, 0.5, 3, 1.25}), scores(), truths()}},
      {"cross_entropy", {entropy({}), scores(), {}, cycle(6)}},
      {"cross_entropy_weight", {entropy({.weight = kWeight}), scores(), {}, cycle(6)}},
      {"cross_entropy_smooth", {entropy({.label_smoothing = 0.1}), scores(), {}, cycle(6)}},
      {"cross_entropy_ignore", {entropy({.ignore_index = -100}), scores(), {}, kSome}},
      {"cross_entropy_ignore_class", {entropy({.ignore_index = 3}), scores(), {}, cycle(6)}},
      {"cross_entropy_all",
       {entropy({.weight = kWeight, .label_smoothing = 0.2, .ignore_index = -100}),
        scores(),
        {},
        kSome}},
      {"cross_entropy_wide",
       {entropy({.weight = kWeight, .label_smoothing = 0.1}),
        numbers(60, 53, 7),
        {},
        cycle(12),
        {N, 5, 3, 2}}},
      {"nll", {nll({}), scores(), {}, cycle(6)}},
      {"nll_all", {nll({.weight = kWeight, .ignore_index = -100}), scores(), {}, kSome}},
  };
  return cases;
}

struct Result {
  Floats loss, gradient;
};

// A compiled loss and the gradient of its sum.
class Program {
 public:
  Program(const Case& test, Reduction reduction, const CompileOptions& options) : test_(test) {
    const Tensor x = tape_.input("x", test.shape);
    Shape labels = test.shape;
    if (!test.labels.empty()) labels.erase(labels.begin() + 1);
    const Tensor target = test.labels.empty() ? tape_.input("target", test.shape)
                                              : tape_.input("labels", labels, DType::i32);
    const Tensor loss = test.loss(x, target, reduction);
    const Tensor total = loss.shape().empty() ? loss : sum(loss);
    function_.emplace(compile({loss, gradient(total, x)}, options));
  }
  Result operator()(const Floats& x) {
    const auto loss =
        test_.labels.empty() ? (*function_)(x, test_.target) : (*function_)(x, test_.labels);
    const auto gradient = function_->output(1);
    return {{loss.begin(), loss.end()}, {gradient.begin(), gradient.end()}};
  }

 private:
  const Case& test_;
  Tape tape_;
  std::optional<Function> function_;
};

constexpr std::pair<Reduction, const char*> kReductions[] = {
    {Reduction::mean, "mean"}, {Reduction::sum, "sum"}, {Reduction::none, "none"}};

void expect_close(const Floats& ours, const std::vector<double>& expected,
                  const std::string& what) {
  ASSERT_EQ(ours.size(), expected.size()) << what;
  for (std::size_t i = 0; i < ours.size(); ++i)
    EXPECT_NEAR(ours[i], expected[i], 1e-6 * std::max(1.0, std::fabs(expected[i])))
        << what << ", element " << i;
}

class Losses : public testing::TestWithParam<std::string> {};

TEST_P(Losses, FollowPyTorch) {
  static const auto recorded = recorded::read_cases("loss_values.txt");
  const Case& test = all_cases().at(GetParam());
  for (const auto& [reduction, suffix] : kReductions) {
    const recorded::Rows& rows = recorded.at(GetParam() + "_" + suffix);
    for (const CompileOptions& options : backends()) {
      const std::string what = std::string(suffix) + " " + options.name;
      const Result ours = Program(test, reduction, options)(test.x);
      expect_close(ours.loss, rows.at(0), what);
      expect_close(ours.gradient, rows.at(1), what + ", gradient");
    }
  }
}

TEST_P(Losses, GradientsAreFiniteDifferences) {
  const Case& test = all_cases().at(GetParam());
  Program program(test, Reduction::sum, {});
  const Floats gradient = program(test.x).gradient;
  constexpr float kStep = 1 / 128.0f;
  for (std::size_t i = 0; i < test.x.size(); ++i) {
    Floats x = test.x;
    x[i] += kStep;
    const float above = program(x).loss[0];
    x[i] -= 2 * kStep;
    const float below = program(x).loss[0];
    EXPECT_NEAR(gradient[i], (above - below) / (2 * kStep), 2e-2) << "element " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Loss, Losses, testing::ValuesIn([] {
                           std::vector<std::string> names;
                           for (const auto& [name, test] : all_cases()) names.push_back(name);
                           return names;
                         }()),
                         [](const auto& info) { return info.param; });

TEST(Loss, EveryRecordedCaseIsTested) {
  EXPECT_EQ(recorded::read_cases("loss_values.txt").size(), 3 * all_cases().size());
}

// ---- Edges ----

Result at_points(const Record& loss, const Floats& x, const Floats& target,
                 const CompileOptions& options) {
  const Case test{loss, x, target, {}, {N}};
  return Program(test, Reduction::none, options)(x);
}

TEST(Loss, BceStaysFinite) {
  const auto bce = [](const Tensor& x, const Tensor& y, Reduction r) { return bce_loss(x, y, r); };
  for (const CompileOptions& options : backends()) {
    const Result r = at_points(bce, {0, 0, 1, 1, 1e-30f}, {0, 1, 1, 0, 1}, options);
    expect_close(r.loss, {0, 100, 0, 100, 69.0775528}, options.name);
    for (const float g : r.gradient) EXPECT_TRUE(std::isfinite(g)) << options.name;
  }
}

TEST(Loss, BceWithLogitsIsAccurateFarOutAndAtZero) {
  const auto bce = [](const Tensor& x, const Tensor& y, Reduction r) {
    return bce_with_logits(x, y, {.reduction = r});
  };
  for (const CompileOptions& options : backends()) {
    const Result r =
        at_points(bce, {0, 0, 1000, -1000, 1000, -1000, 3e38f}, {0, 1, 1, 1, 0, 0, 0.5f}, options);
    expect_close(r.loss, {0.693147181, 0.693147181, 0, 1000, 1000, 0, 1.5e38}, options.name);
    expect_close(r.gradient, {0.5, -0.5, 0, -1, 1, 0, 0.5}, options.name);
  }
}

TEST(Loss, OfANumberTarget) {
  Tape tape;
  const Tensor x = tape.input("x", {N});
  Function f = compile(mse_loss(x, 2));
  EXPECT_EQ(f(Floats{1, 5})[0], 5.0f);
}

TEST(Loss, PlainCrossEntropyIsOneKernelForwardAndBackward) {
  Tape tape;
  const Tensor x = tape.input("x", {N, 10});
  const Tensor labels = tape.input("labels", {N}, DType::i32);
  const Tensor loss = cross_entropy(x, labels);
  Function f = compile({loss, gradient(loss, x)}, {.threads = 1});
  EXPECT_NE(f.plan().find("cross_entropy_fused"), std::string::npos);
  EXPECT_EQ(f.plan().find("log_softmax"), std::string::npos);
}

TEST(Loss, LabelsAreCheckedBeforeTheRun) {
  for (const CompileOptions& options : backends()) {
    Tape tape;
    const Tensor x = tape.input("x", {N, 5});
    const Tensor labels = tape.input("labels", {N}, DType::i32);
    Function smooth = compile(cross_entropy(x, labels, {.label_smoothing = 0.1}), options);
    Function ignore = compile(cross_entropy(x, labels, {.ignore_index = -1}), options);
    const Floats zeros(15, 0.0f);
    expect_sentence(error_of([&] {
                      smooth(zeros, Labels{0, 5, 1});
                    }),
                    {"label 5 in row 1 of input \"labels\" is not in 0..4", "loss.cpp:"});
    expect_sentence(error_of([&] { smooth(zeros, Labels{0, 4, -1}); }), {"label -1 in row 2"});
    EXPECT_TRUE(std::isfinite(ignore(zeros, Labels{0, -1, 4})[0]));
    expect_sentence(error_of([&] {
                      ignore(zeros, Labels{0, -1, -2});
                    }),
                    {"label -2 in row 2", "not in 0..4 nor -1"});
  }
}

TEST(Loss, TheTextFormKeepsTheRange) {
  Tape tape;
  const Tensor x = tape.input("x", {N, 5});
  const Tensor labels = tape.input("labels", {N}, DType::i32);
  const Tensor loss = cross_entropy(x, labels, {.ignore_index = -100});
  tape.graph().outputs.push_back({"loss", loss.id()});
  const std::string text = tape.print();
  EXPECT_NE(text.find("in_range(%"), std::string::npos);
  runtime::Executable read = runtime::compile(ir::parse(text), {});
  const Floats zeros(5, 0.0f);
  const std::int32_t label = 7;
  std::vector<runtime::InputBytes> inputs;
  for (const std::string& name : read.input_names())
    inputs.push_back(name == "x" ? std::as_bytes(std::span(zeros))
                                 : std::as_bytes(std::span(&label, 1)));
  expect_sentence(error_of([&] { read.run(inputs, 1); }), {"label 7 in row 0"});
}

TEST(Loss, BadArgumentsAreOneSentence) {
  Tape tape, other;
  const Tensor x = tape.input("x", {N, 5});
  const Tensor y = tape.input("y", {N, 4});
  const Tensor z = other.input("z", {N, 5});
  const Tensor labels = tape.input("labels", {N}, DType::i32);
  const auto check = [](auto&& action, std::initializer_list<const char*> parts) {
    const std::string message = error_of(action);
    expect_sentence(message, parts);
    expect_sentence(message, {"loss.cpp:"});
  };
  check([&] { mse_loss(x, y); }, {"mse_loss: the shapes [N,5] and [N,4] differ"});
  check([&] { l1_loss(x, z); }, {"l1_loss", "different tapes"});
  check([&] { mse_loss(1, 2); }, {"mse_loss: one operand must be a Tensor"});
  check([&] { smooth_l1_loss(x, x, -1); }, {"beta -1"});
  check([&] { bce_with_logits(x, x, {.pos_weight = {1, 2}}); }, {"2 values of pos_weight"});
  check([&] { cross_entropy(x, x); }, {"cross_entropy", "f32[N,5]"});
  check([&] { cross_entropy(labels, labels); }, {"cross_entropy: needs scores"});
  check([&] { cross_entropy(x, 3); }, {"Tensors of one tape"});
  check([&] { cross_entropy(x, labels, {.weight = {1, 2}}); }, {"2 weights", "5 classes"});
  check([&] { cross_entropy(x, labels, {.weight = {1, 2, 3, 4, -1}}); }, {"weight is negative"});
  check([&] { cross_entropy(x, labels, {.label_smoothing = 1.5}); }, {"label_smoothing 1.5"});
  check([&] { nll_loss(x, y); }, {"nll_loss: needs scores"});
  const Tensor cast_labels = cast(x, DType::i32);
  const Tensor picked = reshape(slice(cast_labels, 1, 0, 1), {N});
  check([&] { compile(cross_entropy(x, picked)); }, {"must be an input"});
  check([&] { compile(cross_entropy(x, picked, {.label_smoothing = 0.5})); }, {"must be an input"});
}

}  // namespace
}  // namespace taper
