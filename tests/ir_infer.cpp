// Result types of every op, and the whole sentence of each error.
#include <gtest/gtest.h>

#include "ir/builder.h"

namespace taper::ir {
namespace {

constexpr Dim N = kBatch;

TensorType f32(Shape shape, Layout layout = Layout::plain) {
  return {DType::f32, std::move(shape), layout};
}
TensorType i32(Shape shape) {
  return {DType::i32, std::move(shape)};
}
TensorType boolean(Shape shape) {
  return {DType::boolean, std::move(shape)};
}

std::string inferred(Op op, const std::vector<TensorType>& operands, const Attrs& attrs = {}) {
  try {
    return to_string(infer(op, operands, attrs));
  } catch (const Error& error) {
    return error.what();
  }
}

// One row: what infer() says of `op`, a type or the whole error.
struct Row {
  Op op;
  std::vector<TensorType> operands;
  Attrs attrs;
  std::string expected;
};

void check(const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    EXPECT_EQ(inferred(row.op, row.operands, row.attrs), row.expected) << traits(row.op).name;
  }
}

TEST(Infer, ElementwiseBroadcasts) {
  check({
      {Op::add, {f32({N, 3, 1}), f32({4})}, {}, "f32[N,3,4]"},
      {Op::add, {f32({1, 3}), f32({N, 1})}, {}, "f32[N,3]"},
      {Op::lt, {f32({2}), f32({})}, {}, "bool[2]"},
      {Op::select, {boolean({N, 1}), f32({}), f32({3})}, {}, "f32[N,3]"},
      {Op::mul, {f32({N, 32, 2, 2}, Layout::c16), f32({32, 1, 1})}, {}, "f32[N,32,2,2]{c16}"},
      {Op::add, {f32({2, 3}), f32({4})}, {}, "add: shapes [2,3] and [4] do not broadcast"},
      {Op::add, {f32({N, 3}), f32({5, 3})}, {}, "add: shapes [N,3] and [5,3] do not broadcast"},
      {Op::add,
       {f32({5, 1, 3}), f32({N, 3})},
       {},
       "add: shapes [5,1,3] and [N,3] do not broadcast"},
      {Op::add, {f32({N}), f32({4, 1})}, {}, "add: shapes [N] and [4,1] do not broadcast"},
      {Op::add, {f32({2})}, {}, "add: takes 2 operands, got 1"},
      {Op::relu, {i32({2})}, {}, "relu: operand 0 must be f32, got i32[2]"},
      {Op::select,
       {f32({2}), f32({2}), f32({2})},
       {},
       "select: operand 0 must be bool, got f32[2], f32[2], f32[2]"},
  });
}

TEST(Infer, Movement) {
  check({
      {Op::reshape, {f32({N, 2, 3})}, ShapeAttrs{{N, 6}}, "f32[N,6]"},
      {Op::reshape, {i32({4, 3})}, ShapeAttrs{{2, 6}}, "i32[2,6]"},
      {Op::reshape,
       {f32({N, 2, 3})},
       ShapeAttrs{{N, 5}},
       "reshape: f32[N,2,3] cannot become [N,5]: the element counts differ"},
      {Op::reshape,
       {f32({N, 6})},
       ShapeAttrs{{6}},
       "reshape: f32[N,6] cannot become [6]: the batch axis must stay first"},
      {Op::reshape,
       {f32({6})},
       ShapeAttrs{{2, N}},
       "reshape: has an extent in [2,N] that is neither a size nor a leading N"},
      {Op::transpose, {f32({N, 2, 3})}, AxesAttrs{{0, 2, 1}}, "f32[N,3,2]"},
      {Op::transpose,
       {f32({N, 2})},
       AxesAttrs{{1, 0}},
       "transpose: the batch axis of f32[N,2] must stay first"},
      {Op::transpose,
       {f32({4, 2})},
       AxesAttrs{{1, 1}},
       "transpose: [1,1] is no permutation of the axes of f32[4,2]"},
      {Op::broadcast_to, {f32({3, 1})}, ShapeAttrs{{N, 3, 5}}, "f32[N,3,5]"},
      {Op::broadcast_to,
       {f32({3, 2})},
       ShapeAttrs{{3, 1}},
       "broadcast_to: f32[3,2] does not broadcast to [3,1]"},
      {Op::slice, {f32({N, 7})}, SliceAttrs{{0, 1}, {N, 7}, {1, 2}}, "f32[N,3]"},
      {Op::slice,
       {f32({N, 7})},
       SliceAttrs{{0, 1}, {2, 7}, {1, 2}},
       "slice: the batch axis of f32[N,7] cannot be sliced"},
      {Op::slice,
       {f32({7})},
       SliceAttrs{{2}, {8}, {1}},
       "slice: [2, 8) by 1 is no range of axis 0 of f32[7]"},
      {Op::slice,
       {f32({7})},
       SliceAttrs{{0}, {7}, {0}},
       "slice: [0, 7) by 0 is no range of axis 0 of f32[7]"},
      {Op::pad, {f32({N, 3})}, PadAttrs{{0, -1}, {0, 4}, {0, 2}, 0}, "f32[N,10]"},
      {Op::pad,
       {f32({N, 3})},
       PadAttrs{{1, 0}, {0, 0}, {0, 0}, 0},
       "pad: the batch axis of f32[N,3] cannot be padded"},
      {Op::pad,
       {f32({3})},
       PadAttrs{{-2}, {-1}, {0}, 0},
       "pad: axis 0 of f32[3] would have extent 0"},
      {Op::concat, {f32({N, 2}), f32({N, 3})}, AxisAttrs{1}, "f32[N,5]"},
      {Op::concat,
       {f32({N, 2}), f32({N, 2})},
       AxisAttrs{0},
       "concat: the batch axis of f32[N,2] cannot be concatenated"},
      {Op::concat,
       {f32({2, 2}), f32({3, 3})},
       AxisAttrs{1},
       "concat: f32[2,2], f32[3,3] differ outside axis 1"},
      {Op::concat, {f32({2}), f32({2})}, AxisAttrs{1}, "concat: axis 1 is not an axis of f32[2]"},
  });
}

TEST(Infer, ReductionsAndMatmul) {
  check({
      {Op::reduce, {f32({N, 3, 4})}, ReduceAttrs{ReduceKind::sum, {0, 2}, false}, "f32[3]"},
      {Op::reduce, {f32({N, 3})}, ReduceAttrs{ReduceKind::max, {0, 1}, true}, "f32[1,1]"},
      {Op::reduce,
       {f32({N, 3})},
       ReduceAttrs{ReduceKind::sum, {1, 0}, false},
       "reduce: axes [1,0] are not sorted and unique"},
      {Op::reduce,
       {f32({N, 3})},
       ReduceAttrs{ReduceKind::sum, {2}, false},
       "reduce: axis 2 is not an axis of f32[N,3]"},
      {Op::reduce,
       {i32({3})},
       ReduceAttrs{ReduceKind::sum, {0}, false},
       "reduce: needs f32 operands, got i32[3]"},
      {Op::reduce,
       {f32({0, 2})},
       ReduceAttrs{ReduceKind::max, {0}, false},
       "reduce: f32[0,2] has nothing to reduce"},
      {Op::matmul, {f32({N, 3}), f32({3, 4})}, MatmulAttrs{}, "f32[N,4]"},
      {Op::matmul, {f32({N, 3}), f32({4, 3})}, MatmulAttrs{false, true}, "f32[N,4]"},
      {Op::matmul, {f32({N, 3}), f32({N, 4})}, MatmulAttrs{true, false}, "f32[3,4]"},
      {Op::matmul,
       {f32({N, 3}), f32({4, 5})},
       MatmulAttrs{},
       "matmul: f32[N,3] and f32[4,5] do not multiply: [3] against [4]"},
      {Op::matmul,
       {f32({N, 3}), f32({5, 4})},
       MatmulAttrs{true, false},
       "matmul: f32[N,3] transposed and f32[5,4] do not multiply: [N] against [5]"},
      {Op::matmul,
       {f32({2, 3}), f32({N, 3})},
       MatmulAttrs{false, true},
       "matmul: of f32[2,3], f32[N,3] would have the batch symbol as its columns"},
      {Op::matmul,
       {f32({2, 3, 4}), f32({3, 4})},
       MatmulAttrs{},
       "matmul: needs two matrices, got f32[2,3,4], f32[3,4]"},
  });
}

ConvAttrs conv(Pair stride, Pair dilation, Padding padding, std::int64_t groups, Shape shape = {}) {
  return {stride, dilation, padding, groups, std::move(shape)};
}

TEST(Infer, Convolutions) {
  const ConvAttrs unit;
  check({
      {Op::conv2d, {f32({N, 3, 8, 8}), f32({16, 3, 3, 3})}, unit, "f32[N,16,6,6]"},
      {Op::conv2d,
       {f32({N, 4, 9, 8}), f32({6, 2, 3, 2})},
       conv({2, 3}, {2, 1}, {1, 0, 2, 1}, 2),
       "f32[N,6,4,3]"},
      {Op::conv2d,
       {f32({N, 3, 8, 8}), f32({16, 4, 3, 3})},
       unit,
       "conv2d: input f32[N,3,8,8] has 3 channels but weight f32[16,4,3,3] with groups 1 expects "
       "4"},
      {Op::conv2d,
       {f32({N, 3, 2, 8}), f32({16, 3, 3, 3})},
       unit,
       "conv2d: the kernel of weight f32[16,3,3,3] spans 3 of axis 2 but input f32[N,3,2,8] has 2 "
       "with padding"},
      {Op::conv2d,
       {f32({N, 3, 8, 4}), f32({16, 3, 3, 3})},
       conv({1, 1}, {1, 2}, {0, 0, 0, 0}, 1),
       "conv2d: the kernel of weight f32[16,3,3,3] spans 5 of axis 3 but input f32[N,3,8,4] has 4 "
       "with padding"},
      {Op::conv2d,
       {f32({N, 3, 8, 8}), f32({16, 3, 3, 3})},
       conv({0, 1}, {1, 1}, {0, 0, 0, 0}, 1),
       "conv2d: stride 0 and dilation 1 must be positive"},
      {Op::conv2d,
       {f32({N, 3, 8, 8}), f32({16, 3, 3, 3})},
       conv({1, 1}, {1, 1}, {0, -1, 0, 0}, 1),
       "conv2d: padding -1 is negative or too large"},
      {Op::conv2d_backward_data,
       {f32({N, 16, 6, 6}), f32({16, 3, 3, 3})},
       conv({1, 1}, {1, 1}, {0, 0, 0, 0}, 1, {N, 3, 8, 8}),
       "f32[N,3,8,8]"},
      {Op::conv2d_backward_data,
       {f32({N, 16, 5, 6}), f32({16, 3, 3, 3})},
       conv({1, 1}, {1, 1}, {0, 0, 0, 0}, 1, {N, 3, 8, 8}),
       "conv2d_backward_data: gradient f32[N,16,5,6] does not fit input f32[N,3,8,8] and weight "
       "f32[16,3,3,3]"},
      {Op::conv2d_backward_weights,
       {f32({N, 3, 8, 8}), f32({N, 16, 6, 6})},
       conv({1, 1}, {1, 1}, {0, 0, 0, 0}, 1, {16, 3, 3, 3}),
       "f32[16,3,3,3]"},
      {Op::conv2d_backward_weights,
       {f32({N, 3, 8, 8}), f32({N, 16, 6, 6})},
       conv({1, 1}, {1, 1}, {0, 0, 0, 0}, 1, {16, 3, 2, 3}),
       "conv2d_backward_weights: gradient f32[N,16,6,6] does not fit input f32[N,3,8,8] and weight "
       "f32[16,3,2,3]"},
  });
}

PoolAttrs pool(Pair kernel, Pair stride, Padding padding, bool ceil_mode) {
  return {PoolKind::max, kernel, stride, padding, ceil_mode, true};
}

TEST(Infer, Pooling) {
  const TensorType x = f32({N, 3, 7, 8});
  check({
      {Op::pool2d, {x}, pool({2, 2}, {2, 2}, {0, 0, 0, 0}, false), "f32[N,3,3,4]"},
      {Op::pool2d, {x}, pool({2, 2}, {2, 2}, {0, 0, 0, 0}, true), "f32[N,3,4,4]"},
      // With ceil_mode the last window must not start in the padding after the input.
      {Op::pool2d, {x}, pool({2, 2}, {4, 3}, {1, 1, 1, 1}, true), "f32[N,3,2,3]"},
      {Op::max_pool2d_with_indices, {x}, pool({2, 2}, {2, 2}, {0, 0, 0, 0}, true), "f32[N,3,4,4]"},
      {Op::max_pool2d_with_indices,
       {x},
       PoolAttrs{.kind = PoolKind::average},
       "max_pool2d_with_indices: takes windows of kind max"},
      {Op::max_unpool2d,
       {{DType::u8, {N, 3, 3, 4}}, f32({N, 3, 3, 4})},
       PoolAttrs{.shape = {N, 3, 7, 8}},
       "f32[N,3,7,8]"},
      {Op::max_unpool2d,
       {{DType::u8, {N, 3, 3, 4}}, f32({N, 3, 3, 4})},
       PoolAttrs{},
       "max_unpool2d: the shape [] of the result is not of rank 4"},
      {Op::max_unpool2d,
       {{DType::u8, {N, 3, 3, 3}}, f32({N, 3, 3, 4})},
       PoolAttrs{.shape = {N, 3, 7, 8}},
       "max_unpool2d: indices u8[N,3,3,3] and gradient f32[N,3,3,4] do not fit the result "
       "f32[N,3,7,8]"},
      {Op::max_unpool2d,
       {{DType::u8, {N, 3, 1, 1}}, f32({N, 3, 1, 1})},
       PoolAttrs{.kernel = {16, 16}, .shape = {N, 3, 16, 16}},
       "max_unpool2d: windows have at most 255 taps"},
      {Op::pool2d_backward,
       {x, f32({N, 3, 3, 4})},
       pool({2, 2}, {2, 2}, {0, 0, 0, 0}, false),
       "f32[N,3,7,8]"},
      {Op::pool2d,
       {x},
       pool({9, 2}, {1, 1}, {0, 0, 0, 0}, false),
       "pool2d: the window spans 9 of axis 2 but input f32[N,3,7,8] has 7 with padding"},
      {Op::pool2d,
       {x},
       pool({3, 3}, {1, 1}, {0, 2, 0, 0}, false),
       "pool2d: padding 2 of axis 3 must be 0..1, half of the window"},
      {Op::pool2d,
       {f32({3, 7, 8})},
       pool({2, 2}, {2, 2}, {0, 0, 0, 0}, false),
       "pool2d: needs an input f32[N,C,H,W], got f32[3,7,8]"},
      {Op::pool2d_backward,
       {x, f32({N, 3, 4, 4})},
       pool({2, 2}, {2, 2}, {0, 0, 0, 0}, false),
       "pool2d_backward: gradient f32[N,3,4,4] does not fit input f32[N,3,7,8]"},
  });
}

TEST(Infer, Losses) {
  const TensorType logits = f32({N, 10});
  check({
      {Op::softmax, {logits}, AxisAttrs{1}, "f32[N,10]"},
      {Op::softmax, {logits}, AxisAttrs{0}, "softmax: cannot run over the batch axis of f32[N,10]"},
      {Op::log_softmax, {logits}, AxisAttrs{2}, "log_softmax: axis 2 is not an axis of f32[N,10]"},
      {Op::cross_entropy, {logits, i32({N})}, {}, "f32[N]"},
      {Op::cross_entropy,
       {logits, f32({N})},
       {},
       "cross_entropy: needs labels i32[N] for logits f32[N,10], got f32[N]"},
      {Op::cross_entropy,
       {logits, i32({4})},
       {},
       "cross_entropy: needs labels i32[N] for logits f32[N,10], got i32[4]"},
      {Op::cross_entropy_backward, {logits, i32({N}), f32({N})}, {}, "f32[N,10]"},
      {Op::cross_entropy_backward,
       {logits, i32({N}), f32({})},
       {},
       "cross_entropy_backward: needs the gradient of f32[N], got f32[]"},
      {Op::cross_entropy_fused, {logits, i32({N}), f32({N})}, {}, "f32[N]"},
      {Op::gradient, {f32({}), f32({3, 4})}, {}, "f32[3,4]"},
      {Op::gradient, {f32({N}), f32({3})}, {}, "gradient: is taken of one f32 number, got f32[N]"},
  });
}

TEST(Infer, Others) {
  check({
      {Op::cast, {boolean({N, 3})}, CastAttrs{DType::f32}, "f32[N,3]"},
      {Op::random, {f32({})}, RandomAttrs{1, 2, {N, 3}}, "f32[N,3]"},
      {Op::random,
       {f32({2})},
       RandomAttrs{1, 2, {3}},
       "random: the counter must be one number, is "
       "f32[2]"},
      {Op::extent, {f32({N, 3})}, AxesAttrs{{0, 1}}, "f32[]"},
      {Op::extent, {f32({N, 3})}, AxesAttrs{{2}}, "extent: axis 2 is not an axis of f32[N,3]"},
      {Op::relayout, {f32({N, 32})}, LayoutAttrs{Layout::c16}, "f32[N,32]{c16}"},
      {Op::reduce, {f32({2})}, MatmulAttrs{}, "reduce: has the attributes of another op"},
  });
}

TEST(Infer, ErrorsNameTheSourceLine) {
  Graph graph;
  const auto here = std::source_location::current();
  Builder b(graph, here);
  const ValueId x = b.input("x", f32({2}));
  const ValueId y = b.input("y", f32({3}));
  try {
    b.add(x, y);
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(std::to_string(here.line())), std::string::npos);
  }
}

}  // namespace
}  // namespace taper::ir
