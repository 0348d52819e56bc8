// Types and layouts, the builder, and canonical order.
#include <gtest/gtest.h>

#include "ir/builder.h"

namespace taper::ir {
namespace {

constexpr Dim N = kBatch;

TensorType f32(Shape shape, Layout layout = Layout::plain) {
  return {DType::f32, std::move(shape), layout};
}
TensorType i32(Shape shape) {
  return {DType::i32, std::move(shape)};
}

TEST(Types, Print) {
  EXPECT_EQ(to_string(f32({N, 32, 28, 28}, Layout::c16)), "f32[N,32,28,28]{c16}");
  EXPECT_EQ(to_string(TensorType{DType::boolean, {}}), "bool[]");
  EXPECT_EQ(to_string(TensorType{DType::bf16, {3}}), "bf16[3]");
}

TEST(Types, CountElementsAndBytes) {
  EXPECT_EQ(element_count({N, 3, 5}, 7), 105);
  EXPECT_EQ(element_count({}, 7), 1);
  EXPECT_EQ(byte_size(f32({N, 17, 2, 3}, Layout::c16), 5), 5 * 2 * 2 * 3 * 16 * 4);
  EXPECT_EQ(byte_size(f32({17, 3, 2, 2}, Layout::o16), 1), 2 * 3 * 4 * 16 * 4);
  EXPECT_EQ(byte_size(f32({17, 3, 2, 2}, Layout::i16), 1), 17 * 4 * 16 * 4);
  EXPECT_EQ(byte_size(TensorType{DType::f16, {3}}, 1), 6);
  EXPECT_EQ(element_count({Dim{1} << 31, Dim{1} << 31}, 1), std::int64_t{1} << 62);
  EXPECT_THROW(element_count({Dim{1} << 32, Dim{1} << 31}, 1), Error);
  EXPECT_THROW(element_count({Dim{1} << 32, Dim{1} << 32, 4}, 1), Error);
  EXPECT_THROW(byte_size(f32({Dim{1} << 62}), 1), Error);
}

TEST(Types, PhysicalShapes) {
  const PhysicalShape plain = physical(f32({N, 3, 4}));
  EXPECT_EQ(plain.dims, (Shape{N, 3, 4}));
  EXPECT_EQ(plain.strides, (Shape{12, 4, 1}));
  EXPECT_EQ(plain.blocked_axis, -1);

  const PhysicalShape c16 = physical(f32({N, 20, 5, 6}, Layout::c16));
  EXPECT_EQ(c16.dims, (Shape{N, 2, 5, 6, 16}));
  EXPECT_EQ(c16.strides, (Shape{2 * 5 * 6 * 16, 5 * 6 * 16, 6 * 16, 16}));
  EXPECT_EQ(offset_of(c16, {1, 18, 2, 3}), 960 + 480 + 2 + 2 * 96 + 3 * 16);

  const PhysicalShape o16 = physical(f32({33, 4, 3, 3}, Layout::o16));
  EXPECT_EQ(o16.dims, (Shape{3, 4, 3, 3, 16}));
  EXPECT_EQ(o16.strides, (Shape{4 * 9 * 16, 9 * 16, 3 * 16, 16}));
  EXPECT_EQ(offset_of(o16, {32, 1, 0, 2}), 2 * 576 + 144 + 32);

  const PhysicalShape i16 = physical(f32({33, 4, 3, 3}, Layout::i16));
  EXPECT_EQ(i16.dims, (Shape{1, 33, 3, 3, 16}));
  EXPECT_EQ(i16.strides, (Shape{9 * 16, 33 * 9 * 16, 3 * 16, 16}));
  EXPECT_EQ(offset_of(i16, {32, 3, 1, 2}), 32 * 144 + 3 + 48 + 32);
}

TEST(Types, LayoutsNeedTheirAxis) {
  EXPECT_THROW(physical(f32({4}, Layout::c16)), Error);
  EXPECT_THROW(physical(f32({4}, Layout::i16)), Error);
  EXPECT_THROW(physical(f32({N, 4}, Layout::o16)), Error);
  EXPECT_NO_THROW(physical(f32({4}, Layout::o16)));
}

TEST(Builder, ResolvesTheOpenDimension) {
  Graph graph;
  Builder b(graph);
  const ValueId x = b.input("x", f32({N, 4, 6}));
  EXPECT_EQ(b.type(b.reshape(x, {N, kInferDim})).shape, (Shape{N, 24}));
  EXPECT_EQ(b.type(b.reshape(x, {N, 3, kInferDim})).shape, (Shape{N, 3, 8}));
  EXPECT_EQ(b.reshape(x, {N, 4, 6}), x);
  EXPECT_THROW(b.reshape(x, {N, 5, kInferDim}), Error);
}

TEST(Builder, SumsWhatBroadcastingStretched) {
  Graph graph;
  Builder b(graph);
  const ValueId x = b.input("x", f32({N, 3, 4, 5}));
  for (const Shape& shape :
       {Shape{}, Shape{5}, Shape{3, 1, 1}, Shape{1, 3, 1, 5}, Shape{N, 1, 1, 1}}) {
    EXPECT_EQ(b.type(b.sum_to(x, shape)).shape, shape) << to_string(shape);
  }
  EXPECT_EQ(b.sum_to(x, {N, 3, 4, 5}), x);
}

TEST(Builder, RejectsBadLeaves) {
  Graph graph;
  Builder b(graph);
  EXPECT_THROW(b.input("x", f32({3, N})), Error);
  EXPECT_THROW(b.input("x", f32({-7})), Error);
  EXPECT_THROW(b.constant(f32({3}), {1, 2}), Error);
  EXPECT_NO_THROW(b.constant(f32({3}), {1}));
}

TEST(Builder, ReadsResultsOfFusedLosses) {
  Graph graph;
  Builder b(graph);
  const ValueId logits = b.input("logits", f32({N, 10}));
  const ValueId labels = b.input("labels", i32({N}));
  const ValueId scale = b.input("scale", f32({N}));
  const ValueId fused = b.add_node(Op::cross_entropy_fused, {logits, labels, scale});
  EXPECT_EQ(to_string(b.type(b.result(fused, 0))), "f32[N]");
  EXPECT_EQ(to_string(b.type(b.result(fused, 1))), "f32[N,10]");
  EXPECT_THROW(b.result(fused, 2), Error);
}

// x and y enter in the other order than the output uses them; `dead` is not used.
Graph scrambled() {
  Graph graph;
  Builder b(graph);
  const ValueId y = b.input("y", f32({2}));
  const ValueId w = b.parameter("w", f32({2}));
  const ValueId x = b.input("x", f32({2}));
  b.exp(x);
  const ValueId sum = b.add(x, y);
  const ValueId stepped = b.sub(w, sum);
  graph.outputs.push_back({"sum", sum});
  graph.updates.push_back({w, stepped});
  return graph;
}

TEST(Canonical, NumbersDepthFirst) {
  const Graph graph = canonical(scrambled());
  std::vector<std::string> order;
  for (const Node& node : graph.nodes()) {
    const auto* name = std::get_if<NameAttrs>(&node.attrs);
    order.push_back(name != nullptr ? name->name : std::string(traits(node.op).name));
  }
  EXPECT_EQ(order, (std::vector<std::string>{"x", "y", "add", "w", "sub"}));
  EXPECT_EQ(graph.outputs[0].value, graph.id(2));
  EXPECT_EQ(graph.updates[0], (Update{graph.id(3), graph.id(4)}));
  EXPECT_EQ(canonical(graph), graph);
  EXPECT_EQ(use_counts(graph), (std::vector<int>{1, 1, 2, 2, 1}));
}

TEST(Canonical, IsNotRecursive) {
  Graph graph;
  Builder b(graph);
  ValueId x = b.input("x", f32({}));
  for (int i = 0; i < 50'000; ++i) x = b.neg(x);
  graph.outputs.push_back({"x", x});
  EXPECT_EQ(canonical(graph).size(), graph.size());
}

TEST(Canonical, RejectsOperandsThatComeLater) {
  Graph graph;
  Node node{.op = Op::neg, .type = {}, .operands = {ValueId{1}}, .attrs = {}, .epilogue = {}};
  const ValueId first = graph.append(node);
  graph.append(node);
  graph.outputs.push_back({"x", first});
  EXPECT_THROW(canonical(graph), Error);
  graph.outputs[0].value = ValueId{9};
  EXPECT_THROW(canonical(graph), Error);
}

TEST(Canonical, LocationsDoNotCount) {
  Graph a, b;
  Builder(a, std::source_location::current()).scalar(1);
  Builder(b).scalar(1);
  EXPECT_EQ(a, b);
}

}  // namespace
}  // namespace taper::ir
