// Compiles one case of tests/op_sweep.cpp for every instruction set and thread count, runs it at
// several batches and holds it to the interpreter.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "codegen/masm.h"
#include "passes/passes.h"
#include "runtime/executable.h"
#include "tests/op_case.h"

namespace taper::op_cases {

// A null one, the interpreter's, where no code can be generated.
inline std::vector<const Isa*> host_isas() {
  std::vector<const Isa*> isas;
  for (const Isa* isa : {&kAvx2, &kAvx512, &kNeon}) {
    const Isa* best = select_isa(host_features(), std::string(isa->name));
    const bool runs = best != nullptr && best->name == isa->name;
    if (runs && codegen::has_emitter(*isa)) isas.push_back(isa);
  }
  if (isas.empty()) isas.push_back(nullptr);
  return isas;
}

inline std::string_view name_of(const Isa* isa) {
  return isa == nullptr ? "the interpreter" : isa->name;
}

class Check {
 public:
  explicit Check(const Case& test) : test_(test), graph_(record(false)) {
    reference_graph_ = passes::differentiate(graph_, {});
    max_batch_ = uses_batch() ? test.max_batch : 1;
  }

  void run() {
    const std::set<Dim> batches{1, std::min<Dim>(3, max_batch_), max_batch_};
    for (const Dim batch : batches) bind(batch);
    for (const Isa* isa : host_isas())
      for (const int threads : isa == nullptr ? std::vector{1} : std::vector{1, 2})
        for (const Dim batch : batches) {
          SCOPED_TRACE(fmt::format("{}, threads {}, batch {}\n{}", name_of(isa), threads, batch,
                                   print(graph_)));
          check(isa, threads, batch);
          if (testing::Test::HasFailure()) return;
        }
  }

 private:
  using Bindings = std::map<std::string, Value>;
  using Results = std::vector<std::vector<float>>;

  static std::string name(const char* prefix, std::size_t i) {
    return fmt::format("{}{}", prefix, i);
  }

  // The outputs: the result, and the gradients of its weighted sum. With `ballast`, also enough
  // work that the program does not choose to run on one thread.
  Graph record(bool ballast) {
    Graph graph;
    Builder b(graph);
    Values operands;
    for (std::size_t i = 0; i < test_.operands.size(); ++i) {
      const Operand& operand = test_.operands[i];
      operands.push_back(b.input(name("x", i), {operand.dtype, operand.shape}));
    }
    const ValueId result = test_.build(b, operands);
    const bool f32 = b.type(result).dtype == DType::f32;
    const ValueId y = f32 ? result : b.cast(result, DType::f32);
    graph.outputs.push_back({"y", y});
    shape_ = b.type(y).shape;
    if (test_.gradients && f32) record_gradients(b, operands, y);
    if (ballast) {
      const ValueId square = b.input("ballast", {DType::f32, {kBallast, kBallast}});
      graph.outputs.push_back({"ballast", b.matmul(square, square)});
    }
    return graph;
  }

  void record_gradients(Builder& b, const Values& operands, ValueId y) {
    const ValueId weights = b.input("weights", {DType::f32, shape_});
    const ValueId weighted = b.mul(y, weights);
    std::vector<std::int64_t> axes;
    for (std::size_t i = 0; i < shape_.size(); ++i) axes.push_back(std::ssize(axes));
    const ValueId scalar = b.reduce(weighted, ReduceKind::sum, axes, false);
    for (std::size_t i = 0; i < operands.size(); ++i) {
      if (test_.operands[i].dtype != DType::f32) continue;
      const ValueId gradient = b.gradient(scalar, operands[i]);
      b.graph().outputs.push_back({name("d", i), gradient});
    }
  }

  bool uses_batch() const {
    for (const Node& node : graph_.nodes())
      if (node.type.has_batch()) return true;
    return false;
  }

  static bool is_variable(const Node& node) {
    return node.op == Op::parameter || node.op == Op::state;
  }

  void bind(Dim batch) {
    Bindings& bindings = bindings_[batch];
    for (std::size_t i = 0; i < test_.operands.size(); ++i)
      bindings[name("x", i)] = make_value(test_.operands[i], batch, i);
    bindings["weights"] = make_value({shape_}, batch, 100);
    bindings["ballast"] = make_value({{kBallast, kBallast}}, batch, 101);
    std::uint64_t stream = 200;
    for (const Node& node : graph_.nodes())
      if (is_variable(node))
        bindings[std::get<NameAttrs>(node.attrs).name] =
            make_value({node.type.shape}, batch, stream++);
    reference_[batch] = evaluate(reference_graph_, bindings, batch);
  }

  runtime::Variables make_variables(const Bindings& bindings) const {
    runtime::Variables variables;
    for (const Node& node : graph_.nodes()) {
      if (!is_variable(node)) continue;
      const std::string& name = std::get<NameAttrs>(node.attrs).name;
      const std::vector<double>& data = bindings.at(name).data;
      auto variable = std::make_shared<runtime::Variable>(name, node.type);
      variable->write(std::vector<float>(data.begin(), data.end()));
      variables[name] = variable;
    }
    return variables;
  }

  // One program serves all batches; one with variables is compiled anew for fresh contents.
  runtime::Executable& program(const Isa* isa, int threads, const runtime::Variables& variables) {
    if (!program_ || compiled_isa_ != isa || compiled_threads_ != threads || !variables.empty()) {
      const runtime::CompileOptions options{
          .max_batch = max_batch_, .threads = threads, .isa = isa};
      program_.emplace(runtime::compile(record(threads > 1), variables, options));
      compiled_isa_ = isa;
      compiled_threads_ = threads;
    }
    return *program_;
  }

  void check(const Isa* isa, int threads, Dim batch) {
    const Bindings& bindings = bindings_.at(batch);
    const runtime::Variables variables = make_variables(bindings);
    runtime::Executable& executable = program(isa, threads, variables);
    std::vector<std::vector<std::byte>> storage;
    for (const std::string& name : executable.input_names())
      storage.push_back(to_bytes(bindings.at(name)));
    const std::vector<runtime::InputBytes> inputs(storage.begin(), storage.end());
    executable.run(inputs, batch);

    Results results;
    const Evaluation& reference = reference_.at(batch);
    for (std::size_t i = 0; i < reference.outputs.size(); ++i) {
      const std::span<const float> output = executable.output(i);
      results.emplace_back(output.begin(), output.end());
      const Match match = i == 0 ? test_.match : Match::tensor;
      compare(results.back(), reference.outputs[i], match, graph_.outputs[i].name);
    }
    for (const auto& [name, value] : reference.updated) {
      results.push_back(variables.at(name)->read());
      compare(results.back(), value, test_.match, "updated " + name);
    }
    const Results& first = first_.try_emplace(batch, results).first->second;
    for (std::size_t i = 0; i < results.size(); ++i)
      EXPECT_TRUE(std::ranges::equal(std::as_bytes(std::span(results[i])),
                                     std::as_bytes(std::span(first[i]))))
          << "output " << i << " has other bits than on " << name_of(host_isas()[0])
          << ", threads 1";
  }

  void compare(const std::vector<float>& ours, const Value& value, Match match,
               const std::string& what) const {
    ASSERT_EQ(ours.size(), value.data.size()) << what;
    // The sum of a few elements may be small by chance, though its terms are not.
    double largest = ours.size() < 16 ? 1 : 0;
    for (const double x : value.data)
      if (std::isfinite(x)) largest = std::max(largest, std::fabs(x));
    for (std::size_t i = 0; i < ours.size(); ++i) {
      const double expected = value.data[i];
      if (std::isnan(expected) && std::isnan(ours[i])) continue;
      if (expected == static_cast<double>(ours[i])) continue;
      ASSERT_TRUE(std::isfinite(expected) && std::isfinite(ours[i]) && match != Match::exact)
          << what << "[" << i << "] is " << ours[i] << ", the interpreter has " << expected;
      const double scale = match == Match::pointwise ? std::fabs(expected) : largest;
      const double units = match == Match::pointwise ? 4 : 8 + 4 * std::sqrt(longest());
      ASSERT_NEAR(ours[i], expected, units * 0x1p-24 * scale + 0x1p-126) << what << "[" << i << "]";
    }
  }

  // No reduction is longer than the largest tensor.
  double longest() const {
    double count = 1;
    for (const Node& node : graph_.nodes())
      count = std::max(count, static_cast<double>(element_count(node.type.shape, max_batch_)));
    return count;
  }

  static constexpr Dim kBallast = 112;

  const Case& test_;
  Shape shape_;  // of the result
  Graph graph_, reference_graph_;
  Dim max_batch_ = 1;
  std::map<Dim, Bindings> bindings_;
  std::map<Dim, Evaluation> reference_;
  std::map<Dim, Results> first_;
  std::optional<runtime::Executable> program_;
  const Isa* compiled_isa_ = nullptr;
  int compiled_threads_ = 0;
};

}  // namespace taper::op_cases
