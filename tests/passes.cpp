// The lowering passes keep the meaning of a program: recorded, fused, laid out and selected graphs
// compute the same numbers, and the kernels are the expected ones.
#include <gtest/gtest.h>

#include <random>

#include "ir/builder.h"
#include "passes/passes.h"
#include "tests/spec_eval.h"
#include "tests/training_graph.h"

namespace taper {
namespace {

using ir::Dim;
using ir::kBatch;
using ir::Op;
using ir::ValueId;
using testing::Bindings;
using testing::TrainingGraph;

struct Lowered {
  ir::Graph differentiated, fused, laid_out, selected;
};

Lowered lower(const ir::Graph& recorded) {
  const passes::PassOptions options;
  Lowered l;
  const ir::Graph derived = passes::differentiate(recorded, options);
  l.differentiated = passes::simplify(derived, options);
  ir::verify(l.differentiated, ir::Stage::differentiated);
  l.fused = passes::fuse(l.differentiated, options);
  ir::verify(l.fused, ir::Stage::differentiated);
  l.laid_out = passes::layout(l.fused, options);
  ir::verify(l.laid_out, ir::Stage::laid_out);
  l.selected = passes::select(l.laid_out, options);
  ir::verify(l.selected, ir::Stage::selected);
  return l;
}

// Deterministic contents for all inputs and variables: labels for i32, halves above zero for names
// that end in "v" (second moments), anything around zero otherwise.
Bindings random_bindings(const ir::Graph& graph, Dim batch, int classes) {
  std::mt19937 random(7);
  std::uniform_real_distribution<float> uniform(-1, 1);
  Bindings bindings;
  for (const ir::Node& node : graph.nodes()) {
    const auto* named = std::get_if<ir::NameAttrs>(&node.attrs);
    if (named == nullptr) continue;
    ir::Value value{{node.type.dtype, testing::concrete(node.type.shape, batch)}, {}};
    const std::int64_t count = ir::element_count(node.type.shape, batch);
    for (std::int64_t i = 0; i < count; ++i) {
      const double u = static_cast<double>(uniform(random));
      if (node.type.dtype == ir::DType::i32) {
        value.data.push_back(static_cast<double>(i % classes));
      } else if (node.type.dtype == ir::DType::u8) {
        value.data.push_back(std::floor((u + 1) * 100));
      } else {
        value.data.push_back(named->name.ends_with("v") ? std::fabs(u) : u);
      }
    }
    bindings[named->name] = std::move(value);
  }
  return bindings;
}

void expect_close(const ir::Value& actual, const ir::Value& expected, const std::string& what) {
  ASSERT_EQ(actual.data.size(), expected.data.size()) << what;
  for (std::size_t i = 0; i < actual.data.size(); ++i) {
    const double tolerance = 1e-4 + 1e-4 * std::fabs(expected.data[i]);
    ASSERT_NEAR(actual.data[i], expected.data[i], tolerance) << what << " element " << i;
  }
}

void expect_close(const ir::Evaluation& actual, const ir::Evaluation& expected,
                  const std::string& stage) {
  ASSERT_EQ(actual.outputs.size(), expected.outputs.size()) << stage;
  for (std::size_t i = 0; i < actual.outputs.size(); ++i) {
    expect_close(actual.outputs[i], expected.outputs[i], stage + " output " + std::to_string(i));
  }
  ASSERT_EQ(actual.updated.size(), expected.updated.size()) << stage;
  for (const auto& [name, value] : expected.updated) {
    ASSERT_TRUE(actual.updated.contains(name)) << stage << " " << name;
    expect_close(actual.updated.at(name), value, stage + " " + name);
  }
}

Lowered expect_same_meaning(const ir::Graph& recorded, int classes = 10) {
  const Lowered l = lower(recorded);
  for (const Dim batch : {1, 3}) {
    const Bindings bindings = random_bindings(l.differentiated, batch, classes);
    const ir::Evaluation expected = ir::evaluate(l.differentiated, bindings, batch);
    expect_close(ir::evaluate(l.fused, bindings, batch), expected, "fused");
    expect_close(ir::evaluate(l.laid_out, bindings, batch), expected, "laid out");
    expect_close(testing::evaluate_selected(l.selected, bindings, batch), expected, "selected");
  }
  return l;
}

template <class Spec>
std::vector<Spec> specs_of(const ir::Graph& graph) {
  std::vector<Spec> specs;
  for (const ir::Node& node : graph.nodes()) {
    if (node.op != Op::kernel) continue;
    const auto& spec = std::get<ir::KernelAttrs>(node.attrs).spec;
    if (const auto* s = std::get_if<Spec>(&spec)) specs.push_back(*s);
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
    EXPECT_EQ(pool.epilogue.expr.empty(), !pool.backward) << ir::to_string(pool);
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
    fused += gemm.c_padded && !gemm.epilogue.expr.empty() ? 1 : 0;
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

// Elementwise ops, reductions and pooling on a few shapes, wired at random, with several outputs:
// groups must stay free of cycles and values that escape must stay values.
ir::Graph random_graph(std::uint32_t seed) {
  std::mt19937 random(seed);
  ir::Graph graph;
  ir::Builder b(graph);
  const auto any = [&](std::size_t count) { return random() % count; };
  const ir::Shape image{kBatch, 18, 3, 2};
  std::vector<ValueId> images{b.input("x0", {ir::DType::f32, image}),
                              b.input("x1", {ir::DType::f32, image})};
  std::vector<ValueId> channels{b.input("c", {ir::DType::f32, {18, 1, 1}}), b.scalar(0.5)};
  const auto pick = [&](const std::vector<ValueId>& from) { return from[any(from.size())]; };
  for (int i = 0; i < 24; ++i) {
    const ValueId x = pick(images);
    const ValueId y = any(3) == 0 ? pick(channels) : pick(images);
    switch (any(8)) {
      case 0:
        images.push_back(b.relu(x));
        break;
      case 1:
        images.push_back(b.sub(x, y));
        break;
      case 2:
        images.push_back(b.maximum(x, y));
        break;
      case 3:
        images.push_back(b.tanh(b.add(x, y)));
        break;
      case 4: {
        const ValueId mask = b.gt(x, y);
        images.push_back(b.select(mask, pick(images), y));
        if (b.type(images.back()).shape != image) images.pop_back();
        break;
      }
      case 5:
        images.push_back(
            b.pool2d(x, {.kernel = {3, 3}, .stride = {1, 1}, .padding = {1, 1, 1, 1}}));
        break;
      case 6:
        channels.push_back(b.reduce(x, ir::ReduceKind::mean, {0, 2, 3}, true));
        break;
      default:
        channels.push_back(b.reduce(x, ir::ReduceKind::max, {2, 3}, true));
    }
  }
  graph.outputs.push_back({"last", images.back()});
  graph.outputs.push_back({"some", pick(images)});
  graph.outputs.push_back({"other", pick(images)});
  graph.outputs.push_back({"channel", channels.back()});
  return ir::canonical(graph);
}

TEST(Passes, RandomGraphs) {
  for (std::uint32_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    expect_same_meaning(random_graph(seed));
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace taper
