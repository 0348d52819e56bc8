// The gradient of every op against central differences of the reference interpreter. An op that is
// new in ir/ops.def fails AllOpsAreCovered until it has a case in tests/vjp_cases.h.
#include "tests/vjp_cases.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <set>

#include "ir/eval.h"
#include "passes/passes.h"

namespace taper {
namespace {

using namespace vjp_cases;

constexpr Dim kImages = 3;

Value make_value(const Operand& operand, std::mt19937& random) {
  const bool integer = operand.classes > 0;
  Shape shape = operand.shape;
  if (!shape.empty() && shape[0] == N) shape[0] = kImages;
  Value value{{integer ? DType::i32 : DType::f32, shape}, {}};
  const std::int64_t count = element_count(shape, 1);
  for (std::int64_t i = 0; i < count; ++i) {
    const double t = (static_cast<double>(i) + 0.5) / static_cast<double>(count);
    const double x = operand.low + t * (operand.high - operand.low);
    const double spread = round_to(DType::f32, x + std::copysign(0.05, x));
    value.data.push_back(integer ? static_cast<double>(random() % operand.classes) : spread);
  }
  std::shuffle(value.data.begin(), value.data.end(), random);
  return value;
}

// sum(weights * op(operands)) and its gradients with respect to the f32 operands.
class Harness {
 public:
  explicit Harness(const Case& test) : test_(test) {
    Graph forward;
    result_ = record(forward, false);
    forward_ = passes::differentiate(forward, {});
    Graph backward;
    record(backward, true);
    backward_ = passes::differentiate(backward, {});
    verify(backward_, Stage::differentiated);
    for (std::size_t i = 0; i < test.operands.size(); ++i) {
      bindings_[name(i)] = make_value(test.operands[i], random_);
    }
    bindings_["weights"] = make_value({result_}, random_);
  }

  void check() {
    const Evaluation evaluation = evaluate(backward_, bindings_, kImages);
    for (std::size_t i = 0, output = 0; i < test_.operands.size(); ++i) {
      if (test_.operands[i].classes > 0) continue;
      check_operand(i, evaluation.outputs[output++]);
    }
  }

 private:
  static std::string name(std::size_t i) { return "x" + std::to_string(i); }

  Shape record(Graph& graph, bool with_gradients) {
    Builder builder(graph);
    Values operands;
    for (std::size_t i = 0; i < test_.operands.size(); ++i) {
      const DType dtype = test_.operands[i].classes > 0 ? DType::i32 : DType::f32;
      operands.push_back(builder.input(name(i), {dtype, test_.operands[i].shape}));
    }
    const ValueId y = test_.build(builder, operands);
    const Shape shape = builder.type(y).shape;
    if (!with_gradients) {
      graph.outputs.push_back({"y", y});
      return shape;
    }
    const ValueId weights = builder.input("weights", {DType::f32, shape});
    const ValueId weighted = builder.mul(y, weights);
    std::vector<std::int64_t> axes;
    for (std::size_t axis = 0; axis < shape.size(); ++axis) axes.push_back(std::ssize(axes));
    const ValueId scalar = builder.reduce(weighted, ReduceKind::sum, axes, false);
    for (std::size_t i = 0; i < operands.size(); ++i) {
      if (test_.operands[i].classes > 0) continue;
      graph.outputs.push_back({"d" + name(i), builder.gradient(scalar, operands[i])});
    }
    return shape;
  }

  // In double, so that only the op's own results are rounded to f32.
  double weighted_sum() {
    const Value y = evaluate(forward_, bindings_, kImages).outputs[0];
    const Value& weights = bindings_.at("weights");
    double sum = 0;
    for (std::size_t i = 0; i < y.data.size(); ++i) sum += y.data[i] * weights.data[i];
    return sum;
  }

  double central_difference(double& x) {
    const double center = x;
    x = round_to(DType::f32, center + kStep);
    const double above = x;
    const double after = weighted_sum();
    x = round_to(DType::f32, center - kStep);
    const double below = x;
    const double before = weighted_sum();
    x = center;
    return (after - before) / (above - below);
  }

  void check_operand(std::size_t i, const Value& gradient) {
    Value& x = bindings_.at(name(i));
    ASSERT_EQ(gradient.type, x.type) << test_.name << ", operand " << i;
    double largest = 1;
    for (const double g : gradient.data) largest = std::max(largest, std::fabs(g));
    const std::size_t stride = 1 + x.data.size() / kMaxChecked;
    for (std::size_t e = random_() % stride; e < x.data.size(); e += stride) {
      ASSERT_NEAR(gradient.data[e], central_difference(x.data[e]), kTolerance * largest)
          << test_.name << ", operand " << i << ", element " << e;
    }
  }

  static constexpr double kStep = 4e-3, kTolerance = 2e-3;
  static constexpr std::size_t kMaxChecked = 120;

  const Case& test_;
  Graph forward_, backward_;
  Shape result_;
  std::map<std::string, Value> bindings_;
  std::mt19937 random_{1};
};

const std::set<Op> kWithoutDerivative = {
    Op::input, Op::parameter, Op::state, Op::constant, Op::random, Op::extent, Op::in_range,
    Op::eq,    Op::ne,        Op::lt,    Op::le,       Op::gt,     Op::ge};
const std::set<Op> kMadeLater = {Op::cross_entropy_fused,
                                 Op::max_pool2d_with_indices,
                                 Op::max_unpool2d,
                                 Op::relayout,
                                 Op::map,
                                 Op::result,
                                 Op::view,
                                 Op::kernel};

TEST(Vjp, AllOpsAreCovered) {
  std::set<Op> tested;
  for (const Case& test : all_cases()) tested.insert(test.op);
  std::vector<Op> all;
#define TAPER_ELEMENTWISE(name, arity, result, eval, vjp, emit) all.push_back(Op::name);
#define TAPER_STRUCTURAL(name, arity, attrs) all.push_back(Op::name);
#include "ir/ops.def"
  for (const Op op : all) {
    const std::size_t lists =
        tested.count(op) + kWithoutDerivative.count(op) + kMadeLater.count(op);
    EXPECT_EQ(lists, 1u) << traits(op).name;
  }
}

TEST(Vjp, MatchesCentralDifferences) {
  for (const Case& test : all_cases()) {
    SCOPED_TRACE(test.name);
    Harness(test).check();
    if (HasFatalFailure()) break;
  }
}

}  // namespace
}  // namespace taper
