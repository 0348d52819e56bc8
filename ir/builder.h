// Appends inferred nodes to a graph: one function per op. Throws taper::Error on bad operands.
#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "ir/graph.h"

namespace taper::ir {

class Builder {
 public:
  explicit Builder(Graph& graph, Location where = {}) : graph_(graph), where_(where) {}

  Graph& graph() { return graph_; }
  const TensorType& type(ValueId v) const { return graph_[v].type; }
  void set_location(const Location& where) { where_ = where; }

  // The general form: infers the type and appends.
  ValueId add_node(Op op, Operands operands, Attrs attrs = {});

#define TAPER_ELEMENTWISE(name, arity, result, eval, vjp, emit)           \
  template <class... Values>                                              \
  requires(sizeof...(Values) == arity) ValueId name(Values... operands) { \
    return add_node(Op::name, {operands...});                             \
  }
#include "ir/ops.def"

  ValueId input(std::string name, TensorType type);
  ValueId parameter(std::string name, TensorType type);
  ValueId state(std::string name, TensorType type);
  ValueId constant(TensorType type, std::vector<double> values);
  ValueId scalar(double value);  // f32[]
  ValueId cast(ValueId x, DType dtype);
  ValueId random(ValueId counter, RandomAttrs attrs);
  ValueId extent(ValueId x, Indices axes);
  ValueId in_range(ValueId x, RangeAttrs attrs);
  ValueId broadcast_to(ValueId x, const Shape& shape);  // x itself when the shape is already equal
  ValueId reshape(ValueId x, const Shape& shape);       // likewise; one dim may be kInferDim
  ValueId transpose(ValueId x, Indices axes);
  ValueId slice(ValueId x, SliceAttrs attrs);
  ValueId pad(ValueId x, PadAttrs attrs);
  ValueId concat(Operands operands, std::int64_t axis);
  ValueId reduce(ValueId x, ReduceKind kind, Indices axes, bool keep_dims);
  ValueId matmul(ValueId a, ValueId b, MatmulAttrs attrs = {});
  ValueId conv2d(ValueId x, ValueId weight, ConvAttrs attrs);
  ValueId conv2d_backward_data(ValueId dy, ValueId weight, ConvAttrs attrs);
  ValueId conv2d_backward_weights(ValueId x, ValueId dy, ConvAttrs attrs);
  ValueId pool2d(ValueId x, PoolAttrs attrs);
  ValueId pool2d_backward(ValueId x, ValueId dy, PoolAttrs attrs);
  ValueId softmax(ValueId x, std::int64_t axis);
  ValueId log_softmax(ValueId x, std::int64_t axis);
  ValueId normalize(ValueId x, ValueId scale, NormalizeAttrs attrs);
  ValueId gather(ValueId table, ValueId indices);
  ValueId gather_backward(ValueId dy, ValueId indices, const Shape& table);
  ValueId cross_entropy(ValueId logits, ValueId labels);
  ValueId cross_entropy_backward(ValueId logits, ValueId labels, ValueId dloss);
  ValueId gradient(ValueId scalar, ValueId value);
  ValueId result(ValueId node, std::int64_t index);

  // Sums `x` over the axes that broadcasting added or stretched, so that its shape is `shape`.
  ValueId sum_to(ValueId x, const Shape& shape);

 private:
  Graph& graph_;
  Location where_;
};

// In reshape: the extent that keeps the element count.
inline constexpr Dim kInferDim = -2;

}  // namespace taper::ir
