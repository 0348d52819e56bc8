// parse(print(g)) == g over graphs of random ops with random attributes.
#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "ir/builder.h"

namespace taper {
namespace {

using ir::kBatch;
using ir::ValueId;

class RandomGraph {
 public:
  explicit RandomGraph(std::uint32_t seed) : random_(seed), b_(graph_) {}

  ir::Graph make() {
    images_ = {b_.input(name("x"), {ir::DType::f32, image()})};
    vectors_ = {b_.parameter(name("p"), {ir::DType::f32, {image()[1]}}),
                b_.state(name("s"), {ir::DType::f32, {}})};
    const std::size_t count = 1 + below(24);
    for (std::size_t i = 0; i < count; ++i) grow();
    for (std::size_t i = 0; i <= below(3); ++i)
      graph_.outputs.push_back({name("o"), pick(images_)});
    if (below(2) == 0) graph_.updates.push_back({vectors_[1], b_.scalar(number())});
    return ir::canonical(graph_);
  }

 private:
  std::size_t below(std::size_t limit) { return random_() % limit; }
  ValueId pick(const std::vector<ValueId>& from) { return from[below(from.size())]; }
  static ir::Shape image() { return {kBatch, 6, 5, 4}; }

  // Names need quoting; no two are alike.
  std::string name(const std::string& stem) {
    static constexpr const char* kEnds[] = {"",     ".weight",  " \"q\"", "\\",
                                            "\n\t", "\x01\x7f", "ü",      "%0 // {"};
    return stem + std::to_string(named_++) + kEnds[below(std::size(kEnds))];
  }
  double number() {
    static constexpr double kOdd[] = {
        0.0,    -0.0, 0.1, 1e-45, 3.4028234663852886e38, std::numeric_limits<double>::infinity(),
        1.0 / 3};
    if (below(2) == 0) return kOdd[below(std::size(kOdd))];
    return std::uniform_real_distribution<double>(-1e6, 1e6)(random_);
  }

  void grow() {
    const ValueId x = pick(images_);
    switch (below(14)) {
      case 0:
        return images_.push_back(b_.relu(x));
      case 1:
        return images_.push_back(b_.add(x, pick(images_)));
      case 2:
        return images_.push_back(b_.mul(x, b_.scalar(number())));
      case 3: {
        const ValueId mask = b_.le(x, pick(images_));
        return images_.push_back(b_.select(mask, x, pick(images_)));
      }
      case 4: {
        const std::int64_t pad = static_cast<std::int64_t>(below(2));
        return images_.push_back(
            b_.pool2d(x, {.kind = below(2) == 0 ? ir::PoolKind::max : ir::PoolKind::average,
                          .kernel = {1 + 2 * pad, 1 + 2 * pad},
                          .stride = {1, 1},
                          .padding = {pad, pad, pad, pad},
                          .count_include_pad = below(2) == 0}));
      }
      case 5: {
        std::vector<double> values(6);
        for (double& value : values) value = number();
        const ValueId c = b_.constant({ir::DType::f32, {6, 1, 1}}, values);
        return images_.push_back(b_.sub(x, c));
      }
      case 6: {
        const ir::RandomAttrs attrs{.seed = random_(), .stream = random_(), .shape = {6, 5, 4}};
        const ValueId noise = b_.random(vectors_[1], attrs);
        return images_.push_back(b_.maximum(x, noise));
      }
      case 7: {
        const ValueId t = b_.transpose(x, {0, 1, 3, 2});
        return images_.push_back(b_.transpose(t, {0, 1, 3, 2}));
      }
      case 8: {
        const ValueId flat = b_.reshape(x, {kBatch, 120});
        const ValueId soft = below(2) == 0 ? b_.softmax(flat, 1) : b_.log_softmax(flat, 1);
        return images_.push_back(b_.reshape(soft, image()));
      }
      case 9: {
        const ValueId half =
            b_.slice(x, {.begin = {0, 0, 1, 0}, .end = {kBatch, 6, 5, 4}, .step = {1, 1, 2, 1}});
        return images_.push_back(b_.pad(half, {.low = {0, 0, 1, 0},
                                               .high = {0, 0, 1, 0},
                                               .interior = {0, 0, 1, 0},
                                               .value = number()}));
      }
      case 10: {
        const auto kind = static_cast<ir::ReduceKind>(below(3));
        return images_.push_back(
            b_.sub(x, b_.reduce(x, kind, {1 + static_cast<std::int64_t>(below(3))}, true)));
      }
      case 11: {
        const ValueId w = b_.parameter(name("w"), {ir::DType::f32, {6, 6, 3, 3}});
        return images_.push_back(b_.conv2d(x, w, {.dilation = {1, 1}, .padding = {1, 1, 1, 1}}));
      }
      case 12: {
        const ValueId c = b_.cast(x, below(2) == 0 ? ir::DType::f16 : ir::DType::i32);
        return images_.push_back(b_.cast(c, ir::DType::f32));
      }
      default: {
        const ValueId parts = b_.concat({x, pick(images_)}, 1);
        return images_.push_back(b_.slice(
            parts, {.begin = {0, 3, 0, 0}, .end = {kBatch, 9, 5, 4}, .step = {1, 1, 1, 1}}));
      }
    }
  }

  std::mt19937 random_;
  ir::Graph graph_;
  ir::Builder b_;
  std::vector<ValueId> images_, vectors_;
  int named_ = 0;
};

TEST(IrRoundtrip, TenThousandRandomGraphs) {
  for (std::uint32_t seed = 0; seed < 10'000; ++seed) {
    const ir::Graph graph = RandomGraph(seed).make();
    const std::string text = ir::print(graph);
    ASSERT_EQ(ir::parse(text), graph) << "seed " << seed << "\n" << text;
    ASSERT_EQ(ir::print(ir::parse(text)), text) << "seed " << seed;
    const std::string located = ir::print(ir::parse(text, "graph.tir"), {.locations = true});
    ASSERT_EQ(ir::print(ir::parse(located), {.locations = true}), located) << "seed " << seed;
    ASSERT_EQ(ir::print(ir::parse(located)), text) << "seed " << seed;
  }
}

// The generator makes graphs that differ, and of the ops that it is there for.
TEST(IrRoundtrip, TheGraphsAreOfManyKinds) {
  std::string all;
  for (std::uint32_t seed = 0; seed < 300; ++seed) all += ir::print(RandomGraph(seed).make());
  for (const char* part :
       {"slice(", "pad(", "random(", "conv2d(", "concat(", "cast(", "transpose(", "update ",
        "value=inf", "\\x01", "\\\"q\\\"", "kind=average", "log_softmax("})
    EXPECT_NE(all.find(part), std::string::npos) << part;
}

}  // namespace
}  // namespace taper
