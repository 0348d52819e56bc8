// One-op graphs for the interpreter's tests.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "ir/builder.h"
#include "ir/eval.h"

namespace taper::ir {

inline constexpr Dim N = kBatch;
using Data = std::vector<double>;

inline TensorType f32(Shape shape, Layout layout = Layout::plain) {
  return {DType::f32, std::move(shape), layout};
}
inline TensorType i32(Shape shape) {
  return {DType::i32, std::move(shape)};
}

// Inputs by value: a graph is recorded through `b`, then outputs are evaluated at N = batch.
class Interpreted {
 public:
  Graph graph;
  Builder b{graph};

  // `type` may lead with N; `data` is for N = batch.
  ValueId input(TensorType type, Data data) {
    std::string name = "x" + std::to_string(bindings_.size());
    TensorType bound = type;
    bound.layout = Layout::plain;
    if (bound.has_batch()) bound.shape[0] = batch_;
    bindings_[name] = {bound, std::move(data)};
    return b.input(name, std::move(type));
  }
  // 0, 1, 2, ...
  ValueId counting(TensorType type) {
    Data data(static_cast<std::size_t>(element_count(type.shape, batch_)));
    for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<double>(i);
    return input(std::move(type), std::move(data));
  }

  Value value(ValueId v) {
    graph.outputs = {{"y", v}};
    return evaluate(graph, bindings_, batch_).outputs.at(0);
  }
  Data operator()(ValueId v) { return value(v).data; }

  explicit Interpreted(Dim batch = 2) : batch_(batch) {}

 private:
  Dim batch_;
  std::map<std::string, Value> bindings_;
};

// The sentence of the error that `run` throws.
template <class Run>
std::string error_of(Run run) {
  try {
    run();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace taper::ir
