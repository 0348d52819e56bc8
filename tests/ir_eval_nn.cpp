// The interpreter on small cases worked out by hand: contractions, pooling, losses, programs.
#include <cmath>
#include <limits>

#include "ir_interpret.h"

namespace taper::ir {
namespace {

const double kNan = std::numeric_limits<double>::quiet_NaN();

void expect_near(const Data& actual, const Data& expected, double tolerance = 1e-6) {
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i) {
    EXPECT_NEAR(actual[i], expected[i], tolerance) << i;
  }
}

TEST(Reduce, AllKinds) {
  Interpreted t(2);
  const ValueId x = t.input(f32({N, 3}), {1, 5, 3, -2, 0, -7});
  EXPECT_EQ(t(t.b.reduce(x, ReduceKind::sum, {0}, false)), (Data{-1, 5, -4}));
  EXPECT_EQ(t(t.b.reduce(x, ReduceKind::mean, {1}, false)), (Data{3, -3}));
  EXPECT_EQ(t(t.b.reduce(x, ReduceKind::max, {1}, true)), (Data{5, 0}));
  EXPECT_EQ(t(t.b.reduce(x, ReduceKind::sum, {0, 1}, false)), (Data{0}));
  EXPECT_EQ(to_string(t.value(t.b.reduce(x, ReduceKind::max, {1}, true)).type), "f32[2,1]");
}

TEST(Reduce, MiddleAxis) {
  Interpreted t(1);
  const ValueId x = t.counting(f32({N, 3, 2}));
  EXPECT_EQ(t(t.b.reduce(x, ReduceKind::sum, {1}, false)), (Data{6, 9}));
}

TEST(Reduce, AccumulatesInDoubleAndMaxKeepsNan) {
  Interpreted t;
  const ValueId x = t.input(f32({3}), {0x1p30, 1, -0x1p30});
  EXPECT_EQ(t(t.b.reduce(x, ReduceKind::sum, {0}, false)), (Data{1}));
  const ValueId y = t.input(f32({3}), {1, kNan, 2});
  EXPECT_TRUE(std::isnan(t(t.b.reduce(y, ReduceKind::max, {0}, false))[0]));
}

TEST(Matmul, Transposes) {
  Interpreted t(2);
  const ValueId a = t.input(f32({N, 3}), {1, 2, 3, 4, 5, 6});
  const ValueId b = t.input(f32({3, 2}), {1, 2, 3, 4, 5, 6});
  const ValueId bt = t.input(f32({2, 3}), {1, 3, 5, 2, 4, 6});
  EXPECT_EQ(t(t.b.matmul(a, b)), (Data{22, 28, 49, 64}));
  EXPECT_EQ(t(t.b.matmul(a, bt, {false, true})), (Data{22, 28, 49, 64}));
  const ValueId c = t.input(f32({N, 1}), {1, 10});
  EXPECT_EQ(t(t.b.matmul(a, c, {true, false})), (Data{41, 52, 63}));
}

ConvAttrs conv(Pair stride, Pair dilation, Padding padding, std::int64_t groups) {
  return {stride, dilation, padding, groups, {}};
}

TEST(Conv2d, PaddingStrideDilation) {
  Interpreted t(1);
  const ValueId x = t.input(f32({N, 1, 3, 3}), {1, 2, 3, 4, 5, 6, 7, 8, 9});
  const ValueId w = t.input(f32({1, 1, 2, 2}), {1, 10, 100, 1000});
  EXPECT_EQ(t(t.b.conv2d(x, w, {})), (Data{5421, 6532, 8754, 9865}));
  EXPECT_EQ(t(t.b.conv2d(x, w, conv({1, 1}, {2, 2}, {}, 1))), (Data{9731}));
  // One column of zeros on the left, one row below; every other column.
  EXPECT_EQ(t(t.b.conv2d(x, w, conv({1, 2}, {1, 1}, {0, 1, 1, 0}, 1))),
            (Data{4010, 6532, 7040, 9865, 70, 98}));
}

TEST(Conv2d, Groups) {
  Interpreted t(2);
  const ValueId x = t.counting(f32({N, 2, 1, 1}));
  const ValueId w = t.input(f32({4, 1, 1, 1}), {1, 2, 3, 4});
  EXPECT_EQ(t(t.b.conv2d(x, w, conv({1, 1}, {1, 1}, {}, 2))), (Data{0, 0, 3, 4, 2, 4, 9, 12}));
}

// The gradients are the adjoints of the forward pass: <dy, conv(x, w)> = <dx, x> = <dw, w>, which
// pins every coefficient down when it holds for unit vectors.
void check_adjoints(Shape x_shape, Shape w_shape, ConvAttrs attrs) {
  Interpreted t(2);
  const ValueId x = t.counting(f32(x_shape));
  const ValueId w = t.counting(f32(w_shape));
  const ValueId y = t.b.conv2d(x, w, attrs);
  const ValueId dy = t.counting(t.b.type(y));
  ConvAttrs for_data = attrs, for_weights = attrs;
  for_data.shape = x_shape;
  for_weights.shape = w_shape;
  const Data dx = t(t.b.conv2d_backward_data(dy, w, for_data));
  const Data dw = t(t.b.conv2d_backward_weights(x, dy, for_weights));
  const Data gradient = t(dy);
  const auto dot = [](const Data& a, const Data& b) {
    double total = 0;
    for (std::size_t i = 0; i < a.size(); ++i) total += a[i] * b[i];
    return total;
  };
  for (std::size_t i = 0; i < dx.size(); ++i) {
    Data unit(dx.size(), 0.0);
    unit[i] = 1;
    const ValueId e = t.input(f32(x_shape), unit);
    EXPECT_EQ(dx[i], dot(gradient, t(t.b.conv2d(e, w, attrs)))) << "dx " << i;
  }
  for (std::size_t i = 0; i < dw.size(); ++i) {
    Data unit(dw.size(), 0.0);
    unit[i] = 1;
    const ValueId e = t.input(f32(w_shape), unit);
    EXPECT_EQ(dw[i], dot(gradient, t(t.b.conv2d(x, e, attrs)))) << "dw " << i;
  }
}

TEST(Conv2d, GradientsAreAdjoint) {
  check_adjoints({N, 2, 4, 3}, {3, 2, 2, 3}, conv({1, 1}, {1, 1}, {1, 0, 0, 2}, 1));
  check_adjoints({N, 4, 5, 4}, {2, 2, 3, 2}, conv({2, 3}, {1, 2}, {0, 2, 1, 1}, 2));
}

PoolAttrs pool(PoolKind kind, Pair kernel, Pair stride, Padding padding = {0, 0, 0, 0}) {
  return {.kind = kind, .kernel = kernel, .stride = stride, .padding = padding};
}

TEST(Pool2d, MaxAndItsGradient) {
  Interpreted t(1);
  const ValueId x = t.input(f32({N, 1, 3, 3}), {1, 7, 7, 4, 7, 0, -5, -1, -3});
  const PoolAttrs attrs = pool(PoolKind::max, {2, 2}, {1, 1});
  EXPECT_EQ(t(t.b.pool2d(x, attrs)), (Data{7, 7, 7, 7}));
  // The first largest element in scan order takes the gradient.
  const ValueId dy = t.input(f32({N, 1, 2, 2}), {1, 10, 100, 1000});
  EXPECT_EQ(t(t.b.pool2d_backward(x, dy, attrs)), (Data{0, 11, 0, 0, 1100, 0, 0, 0, 0}));
}

TEST(Pool2d, NanIsLargest) {
  Interpreted t(1);
  const ValueId x = t.input(f32({N, 1, 1, 4}), {1, kNan, 5, kNan});
  const PoolAttrs attrs = pool(PoolKind::max, {1, 4}, {1, 1});
  EXPECT_TRUE(std::isnan(t(t.b.pool2d(x, attrs))[0]));
  const ValueId dy = t.input(f32({N, 1, 1, 1}), {2});
  EXPECT_EQ(t(t.b.pool2d_backward(x, dy, attrs)), (Data{0, 2, 0, 0}));
}

TEST(Pool2d, PaddingIsNeverTheMaximum) {
  Interpreted t(1);
  const ValueId x = t.input(f32({N, 1, 1, 2}), {-3, -4});
  EXPECT_EQ(t(t.b.pool2d(x, pool(PoolKind::max, {1, 2}, {1, 1}, {0, 1, 0, 1}))),
            (Data{-3, -3, -4}));
}

// The divisors are PyTorch's: with ceil_mode a window is cut off at the padded size.
TEST(Pool2d, AverageDivisors) {
  Interpreted t(1);
  const ValueId x = t.input(f32({N, 1, 1, 5}), {6, 12, 18, 24, 30});
  PoolAttrs attrs = pool(PoolKind::average, {1, 3}, {1, 2}, {0, 1, 0, 0});
  EXPECT_EQ(t(t.b.pool2d(x, attrs)), (Data{6, 18}));
  attrs.ceil_mode = true;
  EXPECT_EQ(t(t.b.pool2d(x, attrs)), (Data{6, 18, 27}) /* 54 over 2 */);
  attrs.padding = {0, 1, 0, 1};
  EXPECT_EQ(t(t.b.pool2d(x, attrs)), (Data{6, 18, 18}));
  attrs.count_include_pad = false;
  EXPECT_EQ(t(t.b.pool2d(x, attrs)), (Data{9, 18, 27}));
  const ValueId dy = t.input(f32({N, 1, 1, 3}), {2, 3, 4});
  EXPECT_EQ(t(t.b.pool2d_backward(x, dy, attrs)), (Data{1, 2, 1, 3, 2}));
}

TEST(Pool, IndicesSayWhereTheGradientGoes) {
  Interpreted t(1);
  // Windows of 2 x 2, stride 2, padding 1: the first tap of the window at the corner is padding.
  const ValueId x = t.input(f32({N, 1, 3, 3}), {1, 5, 5, 2, 0, NAN, 7, 7, NAN});
  PoolAttrs attrs = pool(PoolKind::max, {2, 2}, {2, 2}, {1, 1, 1, 1});
  const ValueId both = t.b.add_node(Op::max_pool2d_with_indices, {x}, attrs);
  EXPECT_EQ(t(t.b.result(both, 1)), (Data{3, 2, 3, 1}));
  const Data maxima = t(t.b.result(both, 0));
  EXPECT_EQ((Data{maxima[0], maxima[1], maxima[2]}), (Data{1, 5, 7}));
  EXPECT_TRUE(std::isnan(maxima[3]));
  const ValueId dy = t.input(f32({N, 1, 2, 2}), {1, 2, 3, 4});
  attrs.shape = {N, 1, 3, 3};
  const ValueId dx = t.b.add_node(Op::max_unpool2d, {t.b.result(both, 1), dy}, attrs);
  attrs.shape = {};
  EXPECT_EQ(t(dx), t(t.b.pool2d_backward(x, dy, attrs)));
  EXPECT_EQ(t(dx), (Data{1, 2, 0, 0, 0, 4, 3, 0, 0}));
}

TEST(Softmax, RowsAndOtherAxes) {
  Interpreted t(1);
  const double ln2 = std::log(2.0), ln3 = std::log(3.0);
  const ValueId x = t.input(f32({N, 2}), {1000, 1000 + ln3});
  expect_near(t(t.b.softmax(x, 1)), {0.25, 0.75}, 1e-4);
  const ValueId y = t.input(f32({N, 2, 2}), {0, ln3, ln2, 0});
  expect_near(t(t.b.softmax(y, 1)), {1.0 / 3, 0.75, 2.0 / 3, 0.25});
  expect_near(t(t.b.log_softmax(y, 2)), {-std::log(4.0), ln3 - std::log(4.0), ln2 - ln3, -ln3});
}

TEST(CrossEntropy, LossGradientAndBoth) {
  Interpreted t(2);
  const double ln3 = std::log(3.0);
  const ValueId logits = t.input(f32({N, 2}), {0, ln3, 1, 1});
  const ValueId labels = t.input(i32({N}), {0, 1});
  const ValueId dloss = t.input(f32({N}), {8, 2});
  const Data loss{std::log(4.0), std::log(2.0)};
  const Data gradient{-6, 6, 1, -1};
  expect_near(t(t.b.cross_entropy(logits, labels)), loss);
  expect_near(t(t.b.cross_entropy_backward(logits, labels, dloss)), gradient);
  const ValueId fused = t.b.add_node(Op::cross_entropy_fused, {logits, labels, dloss});
  expect_near(t(t.b.result(fused, 0)), loss);
  expect_near(t(t.b.result(fused, 1)), gradient);
}

TEST(CrossEntropy, LabelsMustBeClasses) {
  for (const double label : {-1.0, 3.0}) {
    Interpreted t(2);
    const ValueId logits = t.counting(f32({N, 3}));
    const ValueId labels = t.input(i32({N}), {0, label});
    const ValueId loss = t.b.cross_entropy(logits, labels);
    EXPECT_EQ(error_of([&] { t(loss); }),
              "cross_entropy: label " + std::to_string(int(label)) + " of row 1 is not in [0, 3)");
  }
}

TEST(Programs, UpdatesReadTheOldContents) {
  Graph graph;
  Builder b(graph);
  const ValueId w = b.parameter("w", f32({2}));
  const ValueId m = b.state("m", f32({2}));
  const ValueId sum = b.add(w, m);
  graph.outputs = {{"sum", sum}, {"w", w}};
  graph.updates = {{w, m}, {m, sum}};
  const std::map<std::string, Value> bindings{{"w", {f32({2}), {1, 2}}}, {"m", {f32({2}), {5, 6}}}};
  const Evaluation result = evaluate(graph, bindings, 1);
  EXPECT_EQ(result.outputs[0].data, (Data{6, 8}));
  EXPECT_EQ(result.outputs[1].data, (Data{1, 2}));
  EXPECT_EQ(result.updated.at("w").data, (Data{5, 6}));
  EXPECT_EQ(result.updated.at("m").data, (Data{6, 8}));
}

TEST(Programs, ConstantsAreRounded) {
  Interpreted t;
  EXPECT_EQ(t(t.b.scalar(0.1)), (Data{static_cast<float>(0.1)}));
  EXPECT_EQ(t(t.b.constant(f32({2, 2}), {3})), (Data{3, 3, 3, 3}));
  EXPECT_EQ(t(t.b.constant(i32({2}), {3, 4})), (Data{3, 4}));
}

TEST(Programs, BindingsMustFit) {
  Graph graph;
  Builder b(graph);
  const ValueId x = b.input("x", f32({N, 2}));
  graph.outputs = {{"x", x}};
  const auto sentence = [&](std::map<std::string, Value> bindings, Dim batch) {
    return error_of([&] { evaluate(graph, bindings, batch); });
  };
  EXPECT_EQ(sentence({}, 1), "evaluate: input \"x\" has no value");
  EXPECT_EQ(sentence({{"x", {f32({3, 2}), Data(6)}}}, 2),
            "evaluate: input \"x\" is f32[2,2], but its value is f32[3,2]");
  EXPECT_EQ(sentence({{"x", {i32({2, 2}), Data(4)}}}, 2),
            "evaluate: input \"x\" is f32[2,2], but its value is i32[2,2]");
  EXPECT_EQ(sentence({{"x", {f32({2, 2}), Data(3)}}}, 2),
            "evaluate: input \"x\" is f32[2,2], but its value has 3 elements");
  EXPECT_EQ(sentence({}, 0), "evaluate: the batch size 0 is not positive");
  EXPECT_EQ(sentence({{"x", {f32({2, 2}), Data(4)}}}, 2), "no error");
}

TEST(Programs, GradientsAreNotEvaluated) {
  Interpreted t;
  const ValueId x = t.input(f32({}), {1});
  const ValueId dx = t.b.gradient(x, x);
  EXPECT_EQ(error_of([&] { t(dx); }), "evaluate: a gradient node must be differentiated first");
}

}  // namespace
}  // namespace taper::ir
