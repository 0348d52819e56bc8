// The ops that layers are made of.
#include <algorithm>
#include <cmath>

#include "ir/error.h"
#include "ir/eval_ops.h"

namespace taper::ir {
namespace {

// Sums of f(element) along the axes that are 1 in `kept`, divided by their number.
template <class F>
std::vector<double> means(const Shape& shape, const Shape& kept, F&& f) {
  std::vector<double> total(static_cast<std::size_t>(element_count(kept, 1)), 0);
  for (Walk walk(shape, {broadcast_strides(kept, shape)}); !walk.done(); walk.next())
    total[static_cast<std::size_t>(walk.offset(0))] += f(walk.index(), walk.offset(0));
  const double count = static_cast<double>(element_count(shape, 1)) /
                       std::max(1.0, static_cast<double>(total.size()));
  for (double& x : total) x /= count;
  return total;
}

std::int64_t checked(const EvalRequest& r, std::int64_t i, std::int64_t entries) {
  const double index = element(r.operand(1), i);
  if (!(index >= 0 && index < static_cast<double>(entries)))
    throw Error(r.node.location, "{}: index {} is not in 0..{}", traits(r.node.op).name, index,
                entries - 1);
  return static_cast<std::int64_t>(index);
}

// Rows of the table, or what the gradient adds to them.
Value rows_by_index(const EvalRequest& r, bool backward) {
  Value y = r.result();
  const Value& x = r.operand(0);
  const Shape& table = (backward ? y : x).type.shape;
  const std::int64_t rows = element_count(r.operand(1).type.shape, 1);
  for (std::int64_t i = 0; i < rows; ++i) {
    const std::int64_t row = checked(r, i, table[0]);
    const std::int64_t from = backward ? i : row, to = backward ? row : i;
    for (std::int64_t j = 0; j < table[1]; ++j) {
      double& sum = element(y, to * table[1] + j);
      const double value = element(x, from * table[1] + j);
      sum = backward ? sum + value : value;
    }
  }
  return y;
}

}  // namespace

Results eval_normalize(const EvalRequest& r) {
  const auto& [axes, eps] = r.attrs<NormalizeAttrs>();
  const Value& x = r.operand(0);
  const Shape& shape = x.type.shape;
  const Shape kept = with_ones(shape, axes);
  const auto at = [](const std::vector<double>& v, std::int64_t i) {
    return v[static_cast<std::size_t>(i)];
  };
  const std::vector<double> mean =
      means(shape, kept, [&](std::int64_t i, std::int64_t) { return element(x, i); });
  const std::vector<double> variance = means(shape, kept, [&](std::int64_t i, std::int64_t group) {
    const double off = element(x, i) - at(mean, group);
    return off * off;
  });
  Value y = r.result();
  const Strides scale = broadcast_strides(r.operand(1).type.shape, shape);
  for (Walk walk(shape, {broadcast_strides(kept, shape), scale}); !walk.done(); walk.next()) {
    const double off = element(x, walk.index()) - at(mean, walk.offset(0));
    element(y, walk.index()) =
        off / std::sqrt(at(variance, walk.offset(0)) + eps) * element(r.operand(1), walk.offset(1));
  }
  return {rounded(std::move(y))};
}

Results eval_gather(const EvalRequest& r) {
  return {rows_by_index(r, false)};
}
Results eval_gather_backward(const EvalRequest& r) {
  return {rounded(rows_by_index(r, true))};
}

}  // namespace taper::ir
