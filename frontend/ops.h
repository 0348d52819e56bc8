// Operations on tensors, with PyTorch's names and semantics. Shapes are NumPy-broadcast. Every one
// throws taper::Error, naming the op, the shapes and the caller's line, when operands do not fit.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "frontend/tape.h"

namespace taper {

// An operand and the line that it was written on: what lets `a + b` name its line in errors.
class Operand {
 public:
  Operand(const Tensor& tensor, Location where = std::source_location::current())
      : tensor_(tensor), where_(where) {}
  template <class Number>
  requires std::is_arithmetic_v<Number> Operand(Number value,
                                                Location where = std::source_location::current())
      : value_(static_cast<double>(value)), is_number_(true), where_(where) {}

  Tape* tape() const { return is_number_ ? nullptr : &tensor_.tape(); }
  ir::ValueId on(Tape& tape) const;  // a number becomes a scalar constant
  const Location& where() const { return where_; }

 private:
  Tensor tensor_;
  double value_ = 0;
  bool is_number_ = false;
  Location where_;
};

// Elementwise. Comparisons give bool tensors, for where() only.
Tensor operator+(Operand a, Operand b);
Tensor operator-(Operand a, Operand b);
Tensor operator*(Operand a, Operand b);
Tensor operator/(Operand a, Operand b);
Tensor operator-(Operand a);
Tensor operator<(Operand a, Operand b);
Tensor operator<=(Operand a, Operand b);
Tensor operator>(Operand a, Operand b);
Tensor operator>=(Operand a, Operand b);
Tensor equal(Operand a, Operand b);
Tensor not_equal(Operand a, Operand b);
Tensor maximum(Operand a, Operand b);
Tensor minimum(Operand a, Operand b);
Tensor where(Operand condition, Operand a, Operand b);
Tensor abs(Operand x);
Tensor exp(Operand x);
Tensor log(Operand x);
Tensor sqrt(Operand x);
Tensor relu(Operand x);
Tensor relu6(Operand x);  // min(max(x, 0), 6); like PyTorch's, its gradient is 0 at both bounds
Tensor leaky_relu(Operand x, double slope = 0.01);
Tensor erf(Operand x);
enum class GeluForm : std::uint8_t { exact, tanh };  // tanh: an approximation of 3e-4
Tensor gelu(Operand x, GeluForm form = GeluForm::exact);
Tensor silu(Operand x);  // x sigmoid(x)
Tensor sigmoid(Operand x);
Tensor tanh(Operand x);
Tensor cast(Operand x, DType dtype);
// Uniform in [0, 1), Philox4x32-10; `counter` (f32[]) must differ from run to run for new numbers.
Tensor random_uniform(Operand counter, Shape shape, std::uint64_t seed, std::uint64_t stream = 0);

// Shape and movement. Negative axes count from the end.
Tensor reshape(Operand x, const Shape& shape);  // one extent may be -2 (ir::kInferDim)
Tensor flatten(Operand x, int start_axis = 1);
Tensor permute(Operand x, std::vector<std::int64_t> axes);
Tensor broadcast_to(Operand x, const Shape& shape);
Tensor slice(Operand x, int axis, std::int64_t begin, std::int64_t end, std::int64_t step = 1);
Tensor pad(Operand x, std::vector<std::int64_t> low, std::vector<std::int64_t> high,
           double value = 0);
Tensor concat(const std::vector<Tensor>& parts, int axis,
              Location where = std::source_location::current());

// Reductions; no axes: all of them.
Tensor sum(Operand x, std::vector<std::int64_t> axes = {}, bool keep_dims = false);
Tensor mean(Operand x, std::vector<std::int64_t> axes = {}, bool keep_dims = false);
// f32[]: the number of elements along `axes`, the batch included.
Tensor extent(Operand x, std::vector<std::int64_t> axes);
Tensor amax(Operand x, std::vector<std::int64_t> axes = {}, bool keep_dims = false);

// (x - mean) / sqrt(variance + eps) * scale along `axes`, which `scale` must not vary along; the
// variance is biased.
Tensor normalize(Operand x, Operand scale, std::vector<std::int64_t> axes, double eps);

// torch.nn.functional.embedding: row indices[i...] of `table` f32[V,D]. `indices` is an i32 input;
// a run with one that is not in [0, V) throws taper::Error before it starts.
Tensor embedding(Operand indices, Operand table);

Tensor matmul(Operand a, Operand b);  // rank 2
Tensor softmax(Operand x, int axis = -1);
Tensor log_softmax(Operand x, int axis = -1);

// torch.nn.functional.conv2d: x [N,C,H,W], weight [O,C/groups,KH,KW].
Tensor conv2d(Operand x, Operand weight, const ir::ConvAttrs& attrs = {});
Tensor max_pool2d(Operand x, ir::PoolAttrs attrs);
Tensor avg_pool2d(Operand x, ir::PoolAttrs attrs);
// [N,C,H,W] -> [N,C,size[0],size[1]]; the windows are PyTorch's, of nearly equal sizes.
Tensor adaptive_avg_pool2d(Operand x, std::array<std::int64_t, 2> size);

// The gradient of a one-element tensor with respect to `value`; resolved when compiling.
Tensor gradient(Operand scalar, Operand value);

}  // namespace taper
