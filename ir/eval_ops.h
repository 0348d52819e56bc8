// One function per structural op: the values of its results. Private to the interpreter.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "ir/eval.h"

namespace taper::ir {

using Results = std::vector<Value>;

// One node to evaluate. Operands are evaluated, and the graph holds the verifier's rules.
struct EvalRequest {
  const Graph& graph;
  const Node& node;
  const std::vector<Results>& values;  // by value index
  const std::map<std::string, Value>& bindings;
  Dim batch;

  const Value& operand(std::size_t i) const { return values[node.operands[i].index].front(); }
  template <class T>
  const T& attrs() const {
    return std::get<T>(node.attrs);
  }
  // Zeros of the type of the op's own result, that is, before an epilogue.
  Value result() const;
};

Value zeros(TensorType type);
// Every element rounded to the dtype of the value.
Value rounded(Value value);

inline double element(const Value& value, std::int64_t i) {
  return value.data[static_cast<std::size_t>(i)];
}
inline double& element(Value& value, std::int64_t i) {
  return value.data[static_cast<std::size_t>(i)];
}

using Strides = Indices;
Strides row_major(const Shape& shape);
// Strides that walk a tensor of shape `from` along `to`, to which it broadcasts.
Strides broadcast_strides(const Shape& from, const Shape& to);

// Visits the coordinates of a static shape in row-major order and follows them in several tensors.
class Walk {
 public:
  Walk(Shape shape, std::vector<Strides> strides, Indices start = {});

  bool done() const { return index_ == count_; }
  void next();
  std::int64_t index() const { return index_; }  // row-major, in the shape walked
  std::int64_t offset(std::size_t tensor) const { return offsets_[tensor]; }
  const Indices& coordinates() const { return coordinates_; }

 private:
  Shape shape_;
  std::vector<Strides> strides_;
  Indices coordinates_, offsets_;
  std::int64_t index_ = 0, count_ = 0;
};

// Element `index` of a random tensor, uniform in [0, 1).
double uniform(std::int64_t index, double counter, std::uint64_t stream, std::uint64_t seed);

// The value of an elementwise op in double; operands beyond its arity are ignored.
double apply(Op op, double a, double b, double c);
Results eval_elementwise(const EvalRequest&);
// What a reduction with a prologue reduces.
Results apply_prologue(const EvalRequest&, const Expr& prologue);
// The node's epilogue on `root`, the op's own result.
Value apply_epilogue(const EvalRequest&, const Value& root);

#define TAPER_STRUCTURAL(name, arity, attrs) Results eval_##name(const EvalRequest&);
#include "ir/ops.def"

}  // namespace taper::ir
