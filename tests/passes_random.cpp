// Randomly wired graphs through the lowering passes.
#include <gtest/gtest.h>

#include <random>

#include "ir/builder.h"
#include "tests/lowering.h"

namespace taper {
namespace {

using ir::kBatch;
using ir::ValueId;
using testing::expect_same_meaning;

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

TEST(PassesRandom, KeepTheMeaning) {
  for (std::uint32_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    expect_same_meaning(random_graph(seed));
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace taper
