// The lowering passes keep the meaning of a program: recorded, fused, laid out and selected graphs
// compute the same numbers, and the kernels are the expected ones.
#include <gtest/gtest.h>

#include "ir/builder.h"
#include "tests/lowering.h"
#include "tests/training_graph.h"

namespace taper {
namespace {

using ir::Dim;
using ir::kBatch;
using ir::Op;
using ir::ValueId;
using testing::expect_same_meaning;
using testing::Lowered;
using testing::TrainingGraph;

template <class Spec>
std::vector<Spec> specs_of(const ir::Graph& graph) {
  std::vector<Spec> specs;
  for (const ir::Node& node : graph.nodes()) {
    if (node.op != Op::kernel) continue;
    const auto& spec = std::get<ir::KernelAttrs>(node.attrs).spec;
    if (const auto* s = std::get_if<Spec>(&*spec)) specs.push_back(*s);
  }
  return specs;
}

TEST(Passes, MlpStep) {
  TrainingGraph g;
  ValueId x = g.input({kBatch, 20});
  x = g.relu(g.dense(x, 33));
  x = g.relu(g.dense(x, 16));
  const Lowered l = expect_same_meaning(g.train_with_adam(g.dense(x, 10)));
  // Three forward, two for the inputs and three for the weights of the layers.
  EXPECT_EQ(specs_of<ir::GemmSpec>(l.selected).size(), 8u) << ir::print(l.selected);
  EXPECT_EQ(specs_of<ir::RowSpec>(l.selected).size(), 1u);
  // The optimizer and the scalars it needs.
  std::size_t segments = 0;
  for (const ir::MapSpec& map : specs_of<ir::MapSpec>(l.selected)) {
    segments = std::max(segments, map.segments.size());
  }
  EXPECT_EQ(segments, 6u) << ir::print(l.selected);
  EXPECT_EQ(specs_of<ir::MapSpec>(l.selected).size(), 3u) << ir::print(l.selected);
}

TEST(Passes, CnnStep) {
  TrainingGraph g;
  ValueId x = g.input({kBatch, 1, 12, 12});
  x = g.relu(g.conv(x, 32, 3, {.padding = 1}));
  x = g.relu(g.conv(x, 16, 3, {.padding = 1}));
  x = g.max_pool(x);
  x = g.relu(g.dense(g.flatten(x), 24));
  const Lowered l = expect_same_meaning(g.train_with_adam(g.dense(x, 10)));
  int with_mask = 0;
  for (const ir::ConvSpec& conv : specs_of<ir::ConvSpec>(l.selected)) {
    const bool weights = conv.pass == ir::ConvPass::backward_weights;
    EXPECT_EQ(conv.epilogue.expr.empty(), weights) << ir::to_string(conv);
    with_mask += conv.pass == ir::ConvPass::backward_data ? 1 : 0;
    EXPECT_EQ(conv.input == ir::Layout::plain, conv.ic == 1);
  }
  EXPECT_EQ(with_mask, 1);
  for (const ir::PoolSpec& pool : specs_of<ir::PoolSpec>(l.selected)) {
    EXPECT_TRUE(pool.indices && pool.positive != pool.backward) << ir::to_string(pool);
    EXPECT_TRUE(pool.epilogue.expr.empty()) << ir::to_string(pool);
  }
  EXPECT_EQ(specs_of<ir::MapSpec>(l.selected).size(), 3u) << ir::print(l.selected);
}

TEST(Passes, SgdBecomesTheEpilogueOfTheGradient) {
  TrainingGraph g;
  ValueId x = g.input({kBatch, 20});
  x = g.relu(g.dense(x, 17));
  const Lowered l = expect_same_meaning(g.train_with_sgd(g.dense(x, 10)));
  int fused = 0;
  for (const ir::GemmSpec& gemm : specs_of<ir::GemmSpec>(l.selected)) {
    fused += gemm.k == kBatch && !gemm.epilogue.expr.empty() ? 1 : 0;
  }
  EXPECT_EQ(fused, 2) << ir::print(l.selected);
}

TEST(Passes, OddChannels) {
  TrainingGraph g;
  ValueId x = g.input({kBatch, 3, 9, 7});
  x = g.tanh(g.conv(x, 5, 3, {.stride = 2, .padding = 1}));
  x = g.relu(g.conv(x, 18, 3, {.padding = 1}));
  x = g.average(x);
  expect_same_meaning(g.train_with_adam(g.dense(x, 10)));
}

TEST(Passes, Groups) {
  TrainingGraph g;
  ValueId x = g.input({kBatch, 8, 6, 6});
  x = g.relu(g.conv(x, 12, 3, {.padding = 1, .groups = 4}));
  x = g.relu(g.conv(x, 12, 3, {.padding = 1, .groups = 12}));
  x = g.average(x);
  expect_same_meaning(g.train_with_adam(g.dense(x, 10)));
}

TEST(Passes, Residual) {
  TrainingGraph g;
  ValueId x = g.input({kBatch, 16, 6, 6});
  const ValueId skip = x;
  x = g.relu(g.conv(x, 16, 3, {.padding = 1}));
  x = g.conv(x, 16, 3, {.padding = 1});
  x = g.relu(g.builder().add(x, skip));
  x = g.average(x);
  const Lowered l = expect_same_meaning(g.train_with_adam(g.dense(x, 10)));
  int with_skip = 0;
  for (const ir::ConvSpec& conv : specs_of<ir::ConvSpec>(l.selected)) {
    if (conv.pass == ir::ConvPass::forward) with_skip += conv.epilogue.operands.size() == 2 ? 1 : 0;
  }
  EXPECT_EQ(with_skip, 1) << ir::print(l.selected);
}

TEST(Passes, BatchNormalization) {
  for (const Dim channels : {16, 10}) {
    TrainingGraph g;
    ValueId x = g.input({kBatch, 3, 5, 5});
    x = g.relu(g.batch_norm(g.conv(x, channels, 3, {})));
    x = g.average(x);
    expect_same_meaning(g.train_with_adam(g.dense(x, 10)));
  }
}

TEST(Passes, Dropout) {
  for (const bool images : {false, true}) {
    TrainingGraph g;
    ValueId x = g.input({kBatch, 4, 5, 5});
    x = g.relu(g.conv(x, 16, 3, {}));
    if (images) x = g.dropout(x);
    x = g.flatten(x);
    if (!images) x = g.dropout(x);
    expect_same_meaning(g.train_with_adam(g.dense(x, 10)));
  }
}

TEST(Passes, BytesAsImages) {
  TrainingGraph g;
  ir::Builder& b = g.builder();
  ValueId x = b.input("bytes", {ir::DType::u8, {kBatch, 1, 8, 8}});
  x = b.mul(b.cast(x, ir::DType::f32), b.scalar(1.0 / 255));
  x = g.relu(g.conv(x, 16, 3, {}));
  expect_same_meaning(g.train_with_adam(g.dense(g.flatten(x), 10)));
}

TEST(Passes, SoftmaxOverAnyAxis) {
  for (const std::int64_t axis : {1, 2}) {
    for (const bool logarithm : {false, true}) {
      ir::Graph graph;
      ir::Builder b(graph);
      const ValueId x = b.input("x", {ir::DType::f32, {kBatch, 6, 5}});
      const ValueId y = logarithm ? b.log_softmax(x, axis) : b.softmax(x, axis);
      graph.outputs.push_back({"y", y});
      expect_same_meaning(graph);
    }
  }
}

TEST(Passes, MatmulTransposes) {
  for (const bool ta : {false, true}) {
    for (const bool tb : {false, true}) {
      ir::Graph graph;
      ir::Builder b(graph);
      const ValueId x = b.input("x", {ir::DType::f32, ta ? ir::Shape{7, 19} : ir::Shape{19, 7}});
      const ValueId w = b.input("w", {ir::DType::f32, tb ? ir::Shape{21, 7} : ir::Shape{7, 21}});
      const ValueId p = b.parameter("p", {ir::DType::f32, {19, 21}});
      const ValueId z = b.input("z", {ir::DType::f32, {kBatch, 21}});
      const ValueId y = b.matmul(x, w, {.transpose_a = ta, .transpose_b = tb});
      // p is a weight, so that what updates it is stored in blocks.
      graph.outputs.push_back({"y", b.matmul(z, p, {.transpose_b = true})});
      graph.updates.push_back({p, y});
      const Lowered l = expect_same_meaning(graph);
      EXPECT_TRUE(specs_of<ir::GemmSpec>(l.selected).size() == 2);
    }
  }
}

TEST(Passes, Movement) {
  for (const Dim channels : {16, 32, 12}) {
    ir::Graph graph;
    ir::Builder b(graph);
    const ValueId image = b.input("x", {ir::DType::f32, {kBatch, channels, 6, 5}});
    const ValueId x = b.pool2d(image, {.kernel = {2, 2}, .stride = {1, 1}});
    const ValueId padded =
        b.pad(x, {.low = {0, 0, 1, 2}, .high = {0, 0, 0, 1}, .interior = {0, 0, 1, 0}, .value = 2});
    const ValueId joined = b.concat({x, x}, 1);
    const ir::SliceAttrs half{
        .begin = {0, channels / 2, 1, 0}, .end = {kBatch, channels, 5, 4}, .step = {1, 1, 2, 1}};
    const ValueId part = b.slice(x, half);
    const ValueId turned = b.transpose(x, {0, 3, 1, 2});
    graph.outputs.push_back({"part", part});
    graph.outputs.push_back({"turned", turned});
    graph.outputs.push_back({"padded", padded});
    graph.outputs.push_back({"joined", joined});
    expect_same_meaning(graph);
  }
}

TEST(Passes, ExtentOfTheBatch) {
  ir::Graph graph;
  ir::Builder b(graph);
  const ValueId x = b.input("x", {ir::DType::f32, {kBatch, 6}});
  graph.outputs.push_back({"rows", b.extent(x, {0})});
  graph.outputs.push_back({"all", b.extent(x, {0, 1})});
  graph.outputs.push_back({"columns", b.extent(x, {1})});
  expect_same_meaning(graph);
}

// One map reads what an equal one made: they must not become segments of one map.
TEST(Passes, EqualMapsThatDependOnEachOtherStayApart) {
  ir::Graph graph;
  ir::Builder b(graph);
  ValueId x = b.input("x", {ir::DType::f32, {kBatch, 5}});
  for (const std::string name : {"first", "second"}) {
    const ValueId square = b.mul(x, x);
    const ValueId root = b.sqrt(square);
    const ValueId both = b.concat({square, root}, 1);
    x = b.softmax(b.slice(both, {.begin = {0, 3}, .end = {kBatch, 8}, .step = {1, 1}}), 1);
    graph.outputs.push_back({name, x});
  }
  const Lowered l = expect_same_meaning(graph);
  EXPECT_EQ(specs_of<ir::MapSpec>(l.selected).size(), 2u);
}

TEST(Passes, StoredLayoutsAreKept) {
  ir::Graph graph;
  ir::Builder b(graph);
  const ValueId x = b.input("x", {ir::DType::f32, {kBatch, 18}});
  const ValueId p = b.parameter("p", {ir::DType::f32, {18, 20}, ir::Layout::o16});
  const ValueId y = b.matmul(x, p);
  const ValueId g = b.matmul(x, y, {.transpose_a = true});
  graph.outputs.push_back({"y", y});
  graph.updates.push_back({p, b.sub(p, g)});
  const Lowered l = expect_same_meaning(graph);
  for (const ir::Update& update : l.selected.updates) {
    EXPECT_EQ(l.selected[update.variable].type.layout, ir::Layout::o16);
    EXPECT_EQ(l.selected[update.value].type.layout, ir::Layout::o16);
  }
}

}  // namespace
}  // namespace taper
