// The interpreter on small cases worked out by hand: rounding, random numbers, elementwise ops,
// fused expressions and movement.
#include <cmath>
#include <limits>

#include "ir_interpret.h"

namespace taper::ir {
namespace {

const double kNan = std::numeric_limits<double>::quiet_NaN();
const double kInfinity = std::numeric_limits<double>::infinity();

TEST(RoundTo, Floats) {
  EXPECT_EQ(round_to(DType::f32, 1 + 0x1p-24), 1);  // ties to even
  EXPECT_EQ(round_to(DType::f32, 1 + 0x3p-24), 1 + 0x1p-22);
  EXPECT_EQ(round_to(DType::f16, 1 + 0x1p-11), 1);
  EXPECT_EQ(round_to(DType::f16, 1 + 0x1.8p-11), 1 + 0x1p-10);
  EXPECT_EQ(round_to(DType::f16, 65519), 65504);
  EXPECT_EQ(round_to(DType::f16, 65520), kInfinity);
  EXPECT_EQ(round_to(DType::f16, 0x1.8p-24), 0x1p-23);
  EXPECT_EQ(round_to(DType::f16, 0x1p-25), 0);
  EXPECT_EQ(round_to(DType::bf16, -(1 + 0x1.8p-8)), -(1 + 0x1p-7));
  EXPECT_EQ(round_to(DType::bf16, 3.4e38), kInfinity);
  EXPECT_TRUE(std::isnan(round_to(DType::f16, kNan)));
}

TEST(RoundTo, IntegersTruncateAndSaturate) {
  EXPECT_EQ(round_to(DType::i32, -2.9), -2);
  EXPECT_EQ(round_to(DType::i32, 1e12), 2147483647);
  EXPECT_EQ(round_to(DType::i8, -200), -128);
  EXPECT_EQ(round_to(DType::u8, -1), 0);
  EXPECT_EQ(round_to(DType::u8, 255.9), 255);
  EXPECT_EQ(round_to(DType::i32, kNan), 0);
  EXPECT_EQ(round_to(DType::boolean, -0.5), 1);
  EXPECT_EQ(round_to(DType::boolean, 0), 0);
}

// The known answers of the Random123 distribution.
TEST(Random, PhiloxKnownAnswers) {
  EXPECT_EQ(philox(0, 0, 0, 0), 0x6627e8d5u);
  EXPECT_EQ(philox(~std::uint64_t{0}, ~std::uint32_t{0}, ~std::uint64_t{0}, ~std::uint64_t{0}),
            0x408f276du);
  EXPECT_EQ(philox(0x85a308d3243f6a88u, 0x13198a2e, 0x03707344, 0x299f31d0a4093822u), 0xd16cfe09u);
}

TEST(Random, TensorsCountElements) {
  Interpreted t(3);
  const ValueId step = t.input(f32({}), {7});
  const Value y = t.value(t.b.random(step, {.seed = 11, .stream = 5, .shape = {N, 2}}));
  EXPECT_EQ(to_string(y.type), "f32[3,2]");
  for (std::uint64_t i = 0; i < 6; ++i) {
    EXPECT_EQ(y.data[i], (philox(i, 7, 5, 11) >> 8) * 0x1p-24);
    EXPECT_EQ(y.data[i], round_to(DType::f32, y.data[i]));
  }
}

TEST(Elementwise, EveryOp) {
  Interpreted t;
  Builder& b = t.b;
  const ValueId x = t.input(f32({3}), {-2, 0, 3});
  const ValueId y = t.input(f32({3}), {1, 0, -4});
  EXPECT_EQ(t(b.add(x, y)), (Data{-1, 0, -1}));
  EXPECT_EQ(t(b.sub(x, y)), (Data{-3, 0, 7}));
  EXPECT_EQ(t(b.mul(x, y)), (Data{-2, 0, -12}));
  EXPECT_EQ(t(b.div(y, b.scalar(2))), (Data{0.5, 0, -2}));
  EXPECT_EQ(t(b.maximum(x, y)), (Data{1, 0, 3}));
  EXPECT_EQ(t(b.minimum(x, y)), (Data{-2, 0, -4}));
  EXPECT_EQ(t(b.neg(x)), (Data{2, 0, -3}));
  EXPECT_EQ(t(b.abs(x)), (Data{2, 0, 3}));
  EXPECT_EQ(t(b.relu(x)), (Data{0, 0, 3}));
  EXPECT_EQ(t(b.relu6(b.mul(x, b.scalar(3)))), (Data{0, 0, 6}));
  EXPECT_EQ(t(b.sqrt(b.scalar(9))), (Data{3}));
  EXPECT_EQ(t(b.exp(b.scalar(1))), (Data{round_to(DType::f32, std::exp(1.0))}));
  EXPECT_EQ(t(b.log(b.scalar(2))), (Data{round_to(DType::f32, std::log(2.0))}));
  EXPECT_EQ(t(b.sigmoid(b.scalar(0))), (Data{0.5}));
  EXPECT_EQ(t(b.tanh(b.scalar(1))), (Data{round_to(DType::f32, std::tanh(1.0))}));
  EXPECT_EQ(t(b.eq(x, y)), (Data{0, 1, 0}));
  EXPECT_EQ(t(b.ne(x, y)), (Data{1, 0, 1}));
  EXPECT_EQ(t(b.lt(x, y)), (Data{1, 0, 0}));
  EXPECT_EQ(t(b.le(x, y)), (Data{1, 1, 0}));
  EXPECT_EQ(t(b.gt(x, y)), (Data{0, 0, 1}));
  EXPECT_EQ(t(b.ge(x, y)), (Data{0, 1, 1}));
  const ValueId below = b.lt(x, y);
  EXPECT_EQ(t(b.select(below, x, y)), (Data{-2, 0, -4}));
}

TEST(Elementwise, NanPropagates) {
  Interpreted t;
  const ValueId nan = t.input(f32({}), {kNan});
  const ValueId one = t.b.scalar(1);
  for (const ValueId v : {t.b.maximum(nan, one), t.b.maximum(one, nan), t.b.minimum(nan, one),
                          t.b.minimum(one, nan), t.b.relu(nan), t.b.relu6(nan), t.b.sigmoid(nan)}) {
    EXPECT_TRUE(std::isnan(t(v)[0])) << traits(t.graph[v].op).name;
  }
  EXPECT_EQ(t(t.b.eq(nan, nan)), (Data{0}));
  EXPECT_EQ(t(t.b.ne(nan, nan)), (Data{1}));
}

TEST(Elementwise, Broadcasts) {
  Interpreted t(2);
  const ValueId x = t.input(f32({N, 1, 2}), {1, 2, 3, 4});
  const ValueId y = t.input(f32({3, 1}), {10, 20, 30});
  const Value sum = t.value(t.b.add(x, y));
  EXPECT_EQ(to_string(sum.type), "f32[2,3,2]");
  EXPECT_EQ(sum.data, (Data{11, 12, 21, 22, 31, 32, 13, 14, 23, 24, 33, 34}));
}

TEST(Elementwise, RoundsAfterEachOp) {
  Interpreted t;
  const ValueId one = t.b.scalar(1);
  const ValueId tiny = t.b.scalar(0x1p-30);
  const ValueId sum = t.b.add(one, tiny);
  EXPECT_EQ(t(t.b.sub(sum, one)), (Data{0}));
}

TEST(Elementwise, Casts) {
  Interpreted t;
  const ValueId x = t.input(f32({3}), {-1.5, 300, 0.25});
  EXPECT_EQ(t(t.b.cast(x, DType::u8)), (Data{0, 255, 0}));
  EXPECT_EQ(t(t.b.cast(x, DType::boolean)), (Data{1, 1, 1}));
}

// mul_add = input 0 * input 1 + 1, and the half of it.
Expr mul_add() {
  Expr expr{.inputs = 2, .instrs = {}, .outputs = {4, 6}};
  expr.instrs.push_back({.op = Op::constant, .args = {-1, -1, -1}, .value = 1});
  expr.instrs.push_back({.op = Op::mul, .args = {0, 1, -1}});
  expr.instrs.push_back({.op = Op::add, .args = {3, 2, -1}});
  expr.instrs.push_back({.op = Op::constant, .args = {-1, -1, -1}, .value = 0.5});
  expr.instrs.push_back({.op = Op::mul, .args = {4, 5, -1}});
  return expr;
}

TEST(Fused, Expressions) {
  const double inputs[] = {3, 4};
  double outputs[2] = {};
  evaluate(mul_add(), inputs, 0, outputs);
  EXPECT_EQ(outputs[0], 13);
  EXPECT_EQ(outputs[1], 6.5);

  Expr random{.inputs = 1, .instrs = {}, .outputs = {1}};
  random.instrs.push_back({.op = Op::random, .args = {0, -1, -1}, .seed = 3, .stream = 4});
  const double step = 9;
  evaluate(random, &step, 77, outputs);
  EXPECT_EQ(outputs[0], (philox(77, 9, 4, 3) >> 8) * 0x1p-24);
}

TEST(Fused, MapsHaveSegmentsAndResults) {
  Interpreted t(2);
  const ValueId a = t.input(f32({N, 2}), {1, 2, 3, 4});
  const ValueId b = t.input(f32({}), {10});
  const ValueId c = t.input(f32({3}), {1, 2, 3});
  const ValueId d = t.input(f32({3}), {2, 2, 2});
  const MapAttrs attrs{mul_add(), 2, {f32({N, 2}), f32({N, 2}), f32({3}), f32({3})}};
  const ValueId map = t.b.add_node(Op::map, {a, b, c, d}, attrs);
  const std::vector<Data> expected{
      {11, 21, 31, 41}, {5.5, 10.5, 15.5, 20.5}, {3, 5, 7}, {1.5, 2.5, 3.5}};
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(t(t.b.result(map, static_cast<std::int64_t>(i))), expected[i]) << i;
  }
}

TEST(Fused, EpiloguesBroadcastPerChannel) {
  Interpreted t(1);
  const ValueId x = t.input(f32({N, 1, 1, 2}), {1, 2});
  const ValueId w = t.input(f32({2, 1, 1, 1}), {1, -1});
  const ValueId bias = t.input(f32({2, 1, 1}), {0.5, 1.5});
  const ValueId conv = t.b.conv2d(x, w, {});
  Expr expr{.inputs = 2, .instrs = {}, .outputs = {3}};
  expr.instrs.push_back({.op = Op::add, .args = {0, 1, -1}});
  expr.instrs.push_back({.op = Op::relu, .args = {2, -1, -1}});
  t.graph[conv].operands.push_back(bias);
  t.graph[conv].epilogue = expr;
  EXPECT_EQ(t(conv), (Data{1.5, 2.5, 0.5, 0}));

  // An epilogue may make a predicate of the op's f32 result.
  t.graph[conv].epilogue = {.inputs = 2, .instrs = {}, .outputs = {2}};
  t.graph[conv].epilogue.instrs.push_back(
      {.op = Op::gt, .args = {0, 1, -1}, .dtype = DType::boolean});
  t.graph[conv].type.dtype = DType::boolean;
  EXPECT_EQ(t(conv), (Data{1, 1, 0, 0}));
}

TEST(Movement, ReshapeTransposeBroadcast) {
  Interpreted t(2);
  const ValueId x = t.counting(f32({N, 2, 3}));
  EXPECT_EQ(t(t.b.reshape(x, {N, 6})), t(x));
  const Value y = t.value(t.b.transpose(x, {0, 2, 1}));
  EXPECT_EQ(to_string(y.type), "f32[2,3,2]");
  EXPECT_EQ(y.data, (Data{0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11}));
  const ValueId z = t.counting(f32({2, 1}));
  EXPECT_EQ(t(t.b.broadcast_to(z, {N, 2, 2})), (Data{0, 0, 1, 1, 0, 0, 1, 1}));
  EXPECT_EQ(t(t.b.extent(x, {0, 2})), (Data{6}));
}

TEST(Movement, SliceAndConcat) {
  Interpreted t(2);
  const ValueId x = t.counting(f32({N, 5}));
  EXPECT_EQ(t(t.b.slice(x, {{0, 1}, {N, 5}, {1, 2}})), (Data{1, 3, 6, 8}));
  const ValueId y = t.input(f32({N, 1}), {-1, -2});
  EXPECT_EQ(t(t.b.concat({y, x, y}, 1)), (Data{-1, 0, 1, 2, 3, 4, -1, -2, 5, 6, 7, 8, 9, -2}));
}

TEST(Movement, PadCropsAndSpreads) {
  Interpreted t;
  const ValueId x = t.input(f32({4}), {1, 2, 3, 4});
  const auto pad = [&](std::int64_t low, std::int64_t high, std::int64_t interior) {
    return t(t.b.pad(x, {{low}, {high}, {interior}, 9}));
  };
  EXPECT_EQ(pad(1, 2, 0), (Data{9, 1, 2, 3, 4, 9, 9}));
  EXPECT_EQ(pad(-1, -2, 0), (Data{2}));
  EXPECT_EQ(pad(0, 0, 1), (Data{1, 9, 2, 9, 3, 9, 4}));
  EXPECT_EQ(pad(-1, -1, 1), (Data{9, 2, 9, 3, 9}));
  EXPECT_EQ(pad(-2, 1, 2), (Data{9, 2, 9, 9, 3, 9, 9, 4, 9}));
  EXPECT_EQ(pad(-4, 3, 0), (Data{9, 9, 9}));
  EXPECT_EQ(pad(3, -6, 0), (Data{9}));
}

TEST(Movement, PadsTwoAxes) {
  Interpreted t(1);
  const ValueId x = t.counting(f32({N, 2, 2}));
  EXPECT_EQ(t(t.b.pad(x, {{0, 1, 0}, {0, 0, 0}, {0, 0, 1}, -1})),
            (Data{-1, -1, -1, 0, -1, 1, 2, -1, 3}));
}

TEST(Movement, RelayoutKeepsValuesAndViewKeepsBytes) {
  Interpreted t(2);
  const ValueId x = t.counting(f32({N, 32, 1, 1}));
  const ValueId blocked = t.b.add_node(Op::relayout, {x}, LayoutAttrs{Layout::c16});
  EXPECT_EQ(t(blocked), t(x));
  Node view{
      .op = Op::view, .type = f32({N, 32}), .operands = {blocked}, .attrs = {}, .epilogue = {}};
  EXPECT_EQ(t(t.graph.append(view)), t(x));
  // [2][32][16 lanes] seen as [2][512] in memory order, of which 2 lanes in 16 are real.
  const ValueId y = t.counting(f32({N, 2, 4, 8}));
  const ValueId lanes = t.b.add_node(Op::relayout, {y}, LayoutAttrs{Layout::c16});
  view = {.op = Op::view, .type = f32({N, 512}), .operands = {lanes}, .attrs = {}, .epilogue = {}};
  const Data memory = t(t.graph.append(view));
  for (std::size_t i = 0; i < 2 * 32; ++i) {
    EXPECT_EQ(memory[i * 16], i / 32 * 64 + i % 32);
    EXPECT_EQ(memory[i * 16 + 1], i / 32 * 64 + 32 + i % 32);
  }
}

}  // namespace
}  // namespace taper::ir
