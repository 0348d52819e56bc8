// Random graphs for the tests of rewrite rules: inputs of random shapes, among them a batch axis,
// with special values among others.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <random>

#include "ir/builder.h"
#include "ir/eval.h"

namespace taper {

using Axes = std::vector<std::int64_t>;

class Instance {
 public:
  explicit Instance(unsigned seed) : random_(seed), builder_(graph_) {}

  ir::Graph& graph() { return graph_; }
  ir::Builder& builder() { return builder_; }

  std::int64_t below(std::int64_t n) { return static_cast<std::int64_t>(random_() % n); }
  bool coin() { return below(2) == 0; }

  ir::Shape shape(std::int64_t min_rank, std::int64_t max_rank, bool may_batch = true) {
    ir::Shape shape;
    const std::int64_t rank = min_rank + below(max_rank - min_rank + 1);
    for (std::int64_t i = 0; i < rank; ++i) shape.push_back(1 + below(4));
    if (rank > 0 && may_batch && coin()) shape[0] = ir::kBatch;
    return shape;
  }

  // A shape that broadcasts to `full`.
  ir::Shape part_of(const ir::Shape& full) {
    ir::Shape part(full.begin() + below(std::ssize(full) + 1), full.end());
    for (ir::Dim& extent : part) extent = below(3) == 0 ? 1 : extent;
    return part;
  }

  double number() {
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    constexpr double kSpecial[] = {
        0.0,   -0.0, 1, -1, kInfinity, -kInfinity, std::numeric_limits<double>::quiet_NaN(),
        1e-40, 3e38};
    if (below(4) == 0) return ir::round_to(ir::DType::f32, kSpecial[below(std::ssize(kSpecial))]);
    return ir::round_to(ir::DType::f32, std::normal_distribution<double>(0, 2)(random_));
  }

  ir::ValueId input(const ir::Shape& shape, ir::DType dtype = ir::DType::f32) {
    const std::string name = "x" + std::to_string(bindings_.size());
    ir::Value value{{dtype, shape}, {}};
    if (value.type.has_batch()) value.type.shape[0] = kImages;
    for (std::int64_t i = ir::element_count(shape, kImages); i-- > 0;) {
      value.data.push_back(dtype == ir::DType::f32 ? number() : static_cast<double>(below(2)));
    }
    bindings_[name] = value;
    return builder_.input(name, {dtype, shape});
  }

  ir::ValueId constant(const ir::Shape& shape, double value, ir::DType dtype = ir::DType::f32) {
    const bool batch = !shape.empty() && shape[0] == ir::kBatch;
    if (!batch && coin()) return builder_.constant({dtype, shape}, {value});
    const ir::ValueId scalar = builder_.constant({dtype, {}}, {value});
    return coin() ? scalar : builder_.broadcast_to(scalar, shape);
  }

  Axes permutation(const ir::Shape& shape) {
    Axes axes;
    for (std::size_t i = 0; i < shape.size(); ++i) axes.push_back(static_cast<std::int64_t>(i));
    const std::int64_t fixed = !shape.empty() && shape[0] == ir::kBatch ? 1 : 0;
    std::shuffle(axes.begin() + fixed, axes.end(), random_);
    return axes;
  }

  ir::SliceAttrs slice(const ir::Shape& shape) {
    ir::SliceAttrs attrs;
    for (const ir::Dim extent : shape) {
      const bool batch = extent == ir::kBatch;
      const std::int64_t begin = batch ? 0 : below(extent);
      attrs.begin.push_back(begin);
      attrs.end.push_back(batch ? ir::kBatch : begin + 1 + below(extent - begin));
      attrs.step.push_back(batch ? 1 : 1 + below(3));
    }
    return attrs;
  }

  // A graph whose outputs are `values`, evaluated.
  std::vector<ir::Value> evaluate(const std::vector<ir::ValueId>& values) {
    graph_.outputs.clear();
    for (const ir::ValueId value : values) {
      graph_.outputs.push_back({"y" + std::to_string(graph_.outputs.size()), value});
    }
    ir::verify(graph_, ir::Stage::recorded);
    return ir::evaluate(graph_, bindings_, kImages).outputs;
  }

  std::vector<ir::Value> evaluate(const ir::Graph& graph) {
    return ir::evaluate(graph, bindings_, kImages).outputs;
  }

 private:
  static constexpr ir::Dim kImages = 2;

  std::mt19937 random_;
  ir::Graph graph_;
  ir::Builder builder_;
  std::map<std::string, ir::Value> bindings_;
};

// Bit for bit, but any zero equals any zero and any NaN any NaN.
inline void expect_same(const ir::Value& before, const ir::Value& after) {
  ASSERT_EQ(before.type, after.type);
  for (std::size_t i = 0; i < before.data.size(); ++i) {
    const double a = before.data[i], b = after.data[i];
    ASSERT_TRUE(a == b || (std::isnan(a) && std::isnan(b))) << a << " became " << b;
  }
}

}  // namespace taper
