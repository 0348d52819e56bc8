// Reductions, matmul, softmax and cross-entropy.
#include <algorithm>
#include <cmath>
#include <limits>

#include "ir/eval_ops.h"

namespace taper::ir {
namespace {

// Rows along one axis of a tensor: `length` elements, `stride` apart.
struct Rows {
  std::int64_t outer = 1, length = 1, stride = 1;
  std::int64_t start(std::int64_t o, std::int64_t i) const { return o * length * stride + i; }
};

Rows rows_along(const Shape& shape, std::int64_t axis) {
  Rows rows;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const auto at = static_cast<std::int64_t>(i);
    (at < axis ? rows.outer : at == axis ? rows.length : rows.stride) *= shape[i];
  }
  return rows;
}

// The logarithm of the sum of exp over a row, shifted by the largest element so as not to overflow.
struct LogSum {
  double largest = -std::numeric_limits<double>::infinity();
  double log_total = 0;  // of exp(x - largest)
};

LogSum log_sum(const double* x, std::int64_t length, std::int64_t stride) {
  LogSum sum;
  for (std::int64_t i = 0; i < length; ++i) sum.largest = std::max(sum.largest, x[i * stride]);
  double total = 0;
  for (std::int64_t i = 0; i < length; ++i) total += std::exp(x[i * stride] - sum.largest);
  sum.log_total = std::log(total);
  return sum;
}

Results eval_softmax_rows(const EvalRequest& r, bool logarithm) {
  Value y = r.result();
  const double* x = r.operand(0).data.data();
  const Rows rows = rows_along(y.type.shape, r.attrs<AxisAttrs>().axis);
  for (std::int64_t o = 0; o < rows.outer; ++o) {
    for (std::int64_t i = 0; i < rows.stride; ++i) {
      const std::int64_t start = rows.start(o, i);
      const LogSum sum = log_sum(x + start, rows.length, rows.stride);
      for (std::int64_t k = 0; k < rows.length; ++k) {
        const std::int64_t at = start + k * rows.stride;
        const double log_value = x[at] - sum.largest - sum.log_total;
        element(y, at) = logarithm ? log_value : std::exp(log_value);
      }
    }
  }
  return {rounded(std::move(y))};
}

std::int64_t label_of(const EvalRequest& r, std::int64_t row, std::int64_t classes) {
  const double label = element(r.operand(1), row);
  if (!(label >= 0 && label < static_cast<double>(classes))) {
    throw Error(r.node.location, "{}: label {} of row {} is not in [0, {})", traits(r.node.op).name,
                label, row, classes);
  }
  return static_cast<std::int64_t>(label);
}

// The loss of every row and, where the node has its gradient as an operand, that of the logits.
struct CrossEntropy {
  Value loss, gradient;
};

CrossEntropy cross_entropy(const EvalRequest& r) {
  const Value& logits = r.operand(0);
  const std::int64_t rows = logits.type.shape[0], classes = logits.type.shape[1];
  CrossEntropy y{zeros({DType::f32, {rows}}), zeros(logits.type)};
  for (std::int64_t row = 0; row < rows; ++row) {
    const double* x = logits.data.data() + row * classes;
    const LogSum sum = log_sum(x, classes, 1);
    const std::int64_t label = label_of(r, row, classes);
    element(y.loss, row) = sum.largest + sum.log_total - x[label];
    const double dloss = r.node.operands.size() > 2 ? element(r.operand(2), row) : 0;
    for (std::int64_t k = 0; k < classes; ++k) {
      const double probability = std::exp(x[k] - sum.largest - sum.log_total);
      element(y.gradient, row * classes + k) = (probability - (k == label ? 1.0 : 0.0)) * dloss;
    }
  }
  return {rounded(std::move(y.loss)), rounded(std::move(y.gradient))};
}

double larger(double a, double b) {
  return b > a || std::isnan(b) ? b : a;  // a NaN once taken stays
}

Value reduced(const EvalRequest& r, const Value& input) {
  const auto& attrs = r.attrs<ReduceAttrs>();
  const Shape& shape = input.type.shape;
  const Shape kept = with_ones(shape, attrs.axes);
  Value y = r.result();
  const bool max = attrs.kind == ReduceKind::max;
  if (max) y.data.assign(y.data.size(), -std::numeric_limits<double>::infinity());
  for (Walk walk(shape, {broadcast_strides(kept, shape)}); !walk.done(); walk.next()) {
    double& total = element(y, walk.offset(0));
    const double x = element(input, walk.index());
    total = max ? larger(total, x) : total + x;
  }
  if (attrs.kind == ReduceKind::mean) {
    std::int64_t count = 1;
    for (const std::int64_t axis : attrs.axes) count *= shape[static_cast<std::size_t>(axis)];
    for (double& x : y.data) x /= static_cast<double>(count);
  }
  return rounded(std::move(y));
}

}  // namespace

Results eval_reduce(const EvalRequest& r) {
  const auto& attrs = r.attrs<ReduceAttrs>();
  if (attrs.prologue == Expr{}) return {reduced(r, r.operand(0))};
  Results results;
  for (const Value& term : apply_prologue(r, attrs.prologue)) results.push_back(reduced(r, term));
  return results;
}

Results eval_matmul(const EvalRequest& r) {
  const auto& attrs = r.attrs<MatmulAttrs>();
  const Shape& a = r.operand(0).type.shape;
  const Shape& b = r.operand(1).type.shape;
  const std::int64_t rows = a[attrs.transpose_a ? 1 : 0], depth = a[attrs.transpose_a ? 0 : 1];
  const std::int64_t columns = b[attrs.transpose_b ? 0 : 1];
  const std::int64_t a_row = attrs.transpose_a ? 1 : a[1], a_step = attrs.transpose_a ? a[1] : 1;
  const std::int64_t b_step = attrs.transpose_b ? 1 : b[1], b_column = attrs.transpose_b ? b[1] : 1;
  Value y = r.result();
  for (std::int64_t m = 0; m < rows; ++m) {
    double* row = y.data.data() + m * columns;
    for (std::int64_t k = 0; k < depth; ++k) {
      const double x = element(r.operand(0), m * a_row + k * a_step);
      const double* w = r.operand(1).data.data() + k * b_step;
      for (std::int64_t n = 0; n < columns; ++n) row[n] += x * w[n * b_column];
    }
  }
  return {rounded(std::move(y))};
}

Results eval_softmax(const EvalRequest& r) {
  return eval_softmax_rows(r, false);
}
Results eval_log_softmax(const EvalRequest& r) {
  return eval_softmax_rows(r, true);
}

Results eval_cross_entropy(const EvalRequest& r) {
  return {cross_entropy(r).loss};
}
Results eval_cross_entropy_backward(const EvalRequest& r) {
  return {cross_entropy(r).gradient};
}
Results eval_cross_entropy_fused(const EvalRequest& r) {
  auto [loss, gradient] = cross_entropy(r);
  return {std::move(loss), std::move(gradient)};
}

}  // namespace taper::ir
