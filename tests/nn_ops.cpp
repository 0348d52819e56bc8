// The interpreter and the shape rules of the ops that layers are made of, on cases worked out by
// hand; erf and its composites.
#include <cmath>

#include "tests/ir_interpret.h"

namespace taper::ir {
namespace {

TEST(Normalize, IsOfUnitVarianceTimesScale) {
  Interpreted t(2);
  const ValueId x = t.input(f32({N, 2}), {1, 10, 3, 30});
  const ValueId scale = t.input(f32({2}), {1, -2});
  const Data columns = t(t.b.normalize(x, scale, {{0}, 0}));
  EXPECT_EQ(columns, (Data{-1, 2, 1, -2}));
  const Data rows = t(t.b.normalize(x, t.b.scalar(1), {{1}, 0.25}));  // mean 5.5, variance 20.25
  EXPECT_NEAR(rows[0], -4.5 / std::sqrt(20.5), 1e-6);
  EXPECT_NEAR(rows[3], 13.5 / std::sqrt(182.5), 1e-6);
}

TEST(Normalize, RefusesWhatDoesNotFit) {
  Graph graph;
  Builder b(graph);
  const ValueId x = b.input("x", {DType::f32, {N, 3, 4}});
  const auto scale = [&](Shape shape) { return b.constant({DType::f32, shape}, {1}); };
  EXPECT_NO_THROW(b.normalize(x, scale({3, 1}), {{0, 2}, 0}));
  EXPECT_THROW(b.normalize(x, scale({3, 4}), {{0, 2}, 0}), Error);
  EXPECT_THROW(b.normalize(x, scale({}), {{2, 0}, 0}), Error);
  EXPECT_THROW(b.normalize(x, scale({}), {{3}, 0}), Error);
  EXPECT_THROW(b.normalize(x, scale({}), {{0}, -1}), Error);
}

TEST(Gather, TakesRowsAndSumsTheirGradients) {
  Interpreted t(3);
  const ValueId table = t.input(f32({3, 2}), {1, 2, 3, 4, 5, 6});
  const ValueId indices = t.input({DType::i32, {N}}, {2, 0, 2});
  const ValueId rows = t.b.gather(table, indices);
  EXPECT_EQ(t(rows), (Data{5, 6, 1, 2, 5, 6}));
  EXPECT_EQ(t(t.b.gather_backward(rows, indices, {3, 2})), (Data{1, 2, 0, 0, 10, 12}));
  const ValueId bad = t.input({DType::i32, {N}}, {2, 3, 2});
  EXPECT_THROW(t(t.b.gather(table, bad)), Error);
  EXPECT_THROW(t(t.b.gather_backward(rows, bad, {3, 2})), Error);
}

TEST(Gather, RefusesWhatDoesNotFit) {
  Graph graph;
  Builder b(graph);
  const ValueId table = b.input("table", {DType::f32, {5, 2}});
  const ValueId indices = b.input("indices", {DType::i32, {N, 3}});
  EXPECT_EQ(b.type(b.gather(table, indices)).shape, (Shape{N, 3, 2}));
  EXPECT_THROW(b.gather(indices, indices), Error);
  EXPECT_THROW(b.gather(table, table), Error);
  EXPECT_THROW(b.gather(b.input("batched", {DType::f32, {N, 2}}), indices), Error);
  EXPECT_THROW(b.gather(table, b.input("one", {DType::i32, {}})), Error);
  const ValueId dy = b.input("dy", {DType::f32, {N, 3, 2}});
  EXPECT_EQ(b.type(b.gather_backward(dy, indices, {5, 2})).shape, (Shape{5, 2}));
  EXPECT_THROW(b.gather_backward(dy, indices, {5, 3}), Error);
  EXPECT_THROW(b.gather_backward(dy, indices, {5}), Error);
}

TEST(Erf, IsTheErrorFunction) {
  Interpreted t;
  const ValueId x = t.input(f32({3}), {-0.5, 0, 2});
  const Data y = t(t.b.erf(x));
  EXPECT_NEAR(y[0], -0.5204998778130465, 1e-7);
  EXPECT_EQ(y[1], 0);
  EXPECT_NEAR(y[2], 0.9953222650189527, 1e-7);
}

}  // namespace
}  // namespace taper::ir
