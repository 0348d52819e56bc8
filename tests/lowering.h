// Lowers graphs for tests, and checks that what each pass makes computes the same numbers.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <string>

#include "ir/graph.h"
#include "passes/passes.h"
#include "tests/spec_eval.h"

namespace taper::testing {

using ir::Dim;

struct Lowered {
  ir::Graph differentiated, fused, laid_out, selected;
};

inline Lowered lower(const ir::Graph& recorded) {
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
inline Bindings random_bindings(const ir::Graph& graph, Dim batch, int classes) {
  std::mt19937 random(7);
  std::uniform_real_distribution<float> uniform(-1, 1);
  Bindings bindings;
  for (const ir::Node& node : graph.nodes()) {
    const auto* named = std::get_if<ir::NameAttrs>(&node.attrs);
    if (named == nullptr) continue;
    ir::Value value{{node.type.dtype, concrete(node.type.shape, batch)}, {}};
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

inline void expect_close(const ir::Value& actual, const ir::Value& expected,
                         const std::string& what) {
  ASSERT_EQ(actual.data.size(), expected.data.size()) << what;
  for (std::size_t i = 0; i < actual.data.size(); ++i) {
    const double tolerance = 1e-4 + 1e-4 * std::fabs(expected.data[i]);
    ASSERT_NEAR(actual.data[i], expected.data[i], tolerance) << what << " element " << i;
  }
}

inline void expect_close(const ir::Evaluation& actual, const ir::Evaluation& expected,
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

inline Lowered expect_same_meaning(const ir::Graph& recorded, int classes = 10) {
  const Lowered l = lower(recorded);
  for (const Dim batch : {1, 3}) {
    const Bindings bindings = random_bindings(l.differentiated, batch, classes);
    const ir::Evaluation expected = ir::evaluate(l.differentiated, bindings, batch);
    expect_close(ir::evaluate(l.fused, bindings, batch), expected, "fused");
    expect_close(ir::evaluate(l.laid_out, bindings, batch), expected, "laid out");
    expect_close(evaluate_selected(l.selected, bindings, batch), expected, "selected");
  }
  return l;
}

}  // namespace taper::testing
