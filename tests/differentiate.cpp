// What `differentiate` does at the points where a derivative is a choice, and what it refuses.
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "ir/builder.h"
#include "ir/eval.h"
#include "passes/passes.h"

namespace taper {
namespace {

using namespace ir;

constexpr Dim N = kBatch;

// The gradient of sum(build(x)) at x.
std::vector<double> gradient_at(const std::vector<double>& x,
                                const std::function<ValueId(Builder&, ValueId)>& build) {
  Graph graph;
  Builder builder(graph);
  const Dim count = std::ssize(x);
  const ValueId input = builder.input("x", {DType::f32, {count}});
  const ValueId y = build(builder, input);
  std::vector<std::int64_t> axes;
  for (int i = 0; i < builder.type(y).rank(); ++i) axes.push_back(i);
  const ValueId sum = builder.reduce(y, ReduceKind::sum, axes, false);
  graph.outputs.push_back({"dx", builder.gradient(sum, input)});
  const Graph differentiated = passes::differentiate(graph, {});
  return evaluate(differentiated, {{"x", {{DType::f32, {count}}, x}}}, 1).outputs[0].data;
}

using Doubles = std::vector<double>;

TEST(Differentiate, PredicatesAndCountsHaveNone) {
  for (const Op op : {Op::eq, Op::ne, Op::lt, Op::le, Op::gt, Op::ge}) {
    const auto build = [op](Builder& b, ValueId x) {
      const ValueId condition = b.add_node(op, {x, b.scalar(1)});
      const ValueId two = b.scalar(2);
      return b.select(condition, two, b.scalar(3));
    };
    EXPECT_EQ(gradient_at({0, 1, 2}, build), Doubles({0, 0, 0})) << traits(op).name;
  }
  EXPECT_EQ(gradient_at({1, 2}, [](Builder& b, ValueId x) { return b.extent(x, {0}); }),
            Doubles({0, 0}));
  EXPECT_EQ(gradient_at({1, 2},
                        [](Builder& b, ValueId x) {
                          const ValueId whole = b.cast(x, DType::i32);
                          return b.cast(whole, DType::f32);
                        }),
            Doubles({0, 0}));
}

TEST(Differentiate, TiesAreShared) {
  const auto against_one = [](Op op) {
    return [op](Builder& b, ValueId x) { return b.add_node(op, {x, b.scalar(1)}); };
  };
  EXPECT_EQ(gradient_at({0, 1, 2}, against_one(Op::maximum)), Doubles({0, 0.5, 1}));
  EXPECT_EQ(gradient_at({0, 1, 2}, against_one(Op::minimum)), Doubles({1, 0.5, 0}));
  const auto largest = [](Builder& b, ValueId x) {
    return b.reduce(x, ReduceKind::max, {0}, false);
  };
  EXPECT_EQ(gradient_at({3, 1, 3, 2}, largest), Doubles({0.5, 0, 0.5, 0}));
}

TEST(Differentiate, ReluIsFlatAtZero) {
  EXPECT_EQ(gradient_at({-1, 0, 1}, [](Builder& b, ValueId x) { return b.relu(x); }),
            Doubles({0, 0, 1}));
}

TEST(Differentiate, Relu6IsFlatAtItsBounds) {
  EXPECT_EQ(gradient_at({-1, 0, 1, 6, 7}, [](Builder& b, ValueId x) { return b.relu6(x); }),
            Doubles({0, 0, 1, 0, 0}));
}

TEST(Differentiate, AbsIsFlatAtZero) {
  EXPECT_EQ(gradient_at({-1, 0, 1}, [](Builder& b, ValueId x) { return b.abs(x); }),
            Doubles({-1, 0, 1}));
}

TEST(Differentiate, UsesAddUp) {
  EXPECT_EQ(gradient_at({2, 3},
                        [](Builder& b, ValueId x) {
                          const ValueId square = b.mul(x, x);
                          return b.add(square, x);
                        }),
            Doubles({5, 7}));
}

TEST(Differentiate, IndependentValuesGetZeros) {
  Graph graph;
  Builder builder(graph);
  const ValueId x = builder.input("x", {DType::f32, {N, 2}});
  const ValueId y = builder.input("y", {DType::f32, {N, 3}});
  const ValueId sum = builder.reduce(x, ReduceKind::sum, {0, 1}, false);
  const ValueId later = builder.mul(y, sum);
  graph.outputs.push_back({"dy", builder.gradient(sum, y)});
  graph.outputs.push_back({"dlater", builder.gradient(sum, later)});
  graph.outputs.push_back({"dx", builder.gradient(sum, x)});
  const Graph differentiated = passes::differentiate(graph, {});
  verify(differentiated, Stage::differentiated);
  const Evaluation evaluation = evaluate(
      differentiated,
      {{"x", {{DType::f32, {1, 2}}, {1, 2}}}, {"y", {{DType::f32, {1, 3}}, {1, 2, 3}}}}, 1);
  EXPECT_EQ(evaluation.outputs[0].data, Doubles({0, 0, 0}));
  EXPECT_EQ(evaluation.outputs[1].data, Doubles({0, 0, 0}));
  EXPECT_EQ(evaluation.outputs[2].data, Doubles({1, 1}));
}

TEST(Differentiate, OneSweepServesAllGradientsOfAScalar) {
  const auto size = [](bool both) {
    Graph graph;
    Builder builder(graph);
    const ValueId a = builder.input("a", {DType::f32, {4}});
    const ValueId b = builder.input("b", {DType::f32, {4}});
    const ValueId product = builder.mul(a, b);
    const ValueId y = builder.tanh(product);
    const ValueId sum = builder.reduce(y, ReduceKind::sum, {0}, false);
    graph.outputs.push_back({"da", builder.gradient(sum, a)});
    if (both) graph.outputs.push_back({"db", builder.gradient(sum, b)});
    return passes::differentiate(graph, {}).size();
  };
  EXPECT_EQ(size(true), size(false) + 1);
}

TEST(Differentiate, MaxPoolingHasNoSecondDerivative) {
  Graph graph;
  Builder builder(graph);
  const ValueId x = builder.input("x", {DType::f32, {N, 1, 4, 4}});
  const ValueId squares = builder.mul(x, x);
  const ValueId pooled = builder.pool2d(squares, {});
  const ValueId loss = builder.reduce(pooled, ReduceKind::sum, {0, 1, 2, 3}, false);
  const ValueId dx = builder.gradient(loss, x);
  const ValueId total = builder.reduce(dx, ReduceKind::sum, {0, 1, 2, 3}, false);
  graph.outputs.push_back({"first", builder.gradient(total, squares)});
  EXPECT_NO_THROW(passes::differentiate(graph, {}));
  const ValueId scaled = builder.mul(pooled, loss);
  const ValueId loss2 = builder.reduce(scaled, ReduceKind::sum, {0, 1, 2, 3}, false);
  const ValueId dx2 = builder.gradient(loss2, squares);
  const ValueId total2 = builder.reduce(dx2, ReduceKind::sum, {0, 1, 2, 3}, false);
  graph.outputs.push_back({"second", builder.gradient(total2, x)});
  try {
    passes::differentiate(graph, {});
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("max pooling has no second derivative"),
              std::string::npos)
        << error.what();
  }
}

TEST(Differentiate, OpsOfLaterPassesAreRefused) {
  for (const Op op : {Op::cross_entropy_fused, Op::max_pool2d_with_indices, Op::max_unpool2d,
                      Op::relayout, Op::map, Op::result, Op::view, Op::kernel}) {
    Graph graph;
    Builder builder(graph);
    const ValueId x = builder.input("x", {DType::f32, {3}});
    Node node;
    node.op = op;
    node.type = {DType::f32, {3}};
    node.operands = {x};
    const ValueId y = graph.append(node);
    const ValueId sum = builder.reduce(y, ReduceKind::sum, {0}, false);
    graph.outputs.push_back({"dx", builder.gradient(sum, x)});
    EXPECT_THROW(passes::differentiate(graph, {}), Error) << traits(op).name;
  }
}

}  // namespace
}  // namespace taper
