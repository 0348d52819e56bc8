// Matrix products, convolutions, pooling and row-wise ops.
#include "passes/select.h"

namespace taper::passes {
namespace {

using namespace ir;

// How the columns of b are found: in blocks of a blocked matrix, or side by side in a plain one
// whose rows are the reduction. If the reduction lies along the lanes of a blocked matrix, or along
// the rows of a plain one, the columns are dot products.
void place_b(GemmSpec& spec, const TensorType& b, bool transposed) {
  spec.dots = transposed ? b.layout == Layout::plain : b.layout == Layout::o16;
  if (spec.dots) {
    spec.b_k = transposed ? b.shape[1] : kBlock;
    spec.b_block = transposed ? kBlock : b.shape[1] * kBlock;
  } else if (b.layout == Layout::plain) {
    spec.b_k = b.shape[1];
    spec.b_block = kBlock;
  } else {
    const Dim inner = b.layout == Layout::o16 ? b.shape[1] : b.shape[0];
    spec.b_k = kBlock;
    spec.b_block = inner * kBlock;
  }
}

// a times b, transposed or not: [m,n].
GemmSpec product(const TensorType& a, bool transposed, const TensorType& b, bool transposed_b,
                 Dim m, Dim n) {
  GemmSpec spec{.m = m,
                .n = n,
                .k = transposed ? a.shape[0] : a.shape[1],
                .a_m = transposed ? 1 : a.shape[1],
                .a_k = transposed ? a.shape[1] : 1};
  place_b(spec, b, transposed_b);
  return spec;
}

// Four integers at a time: see GemmSpec.
void group_integers(GemmSpec& spec, const Lowering& lowering) {
  if (spec.k % kGroup != 0) {
    throw Error(lowering.node.location,
                "select: a product of integers needs a depth that is a multiple of 4, not {}",
                spec.k);
  }
  spec.integers = true;
  spec.k /= kGroup;
  spec.a_m /= kGroup;
  spec.b_k = kBlock;
  spec.b_block = spec.k * kBlock;
}

}  // namespace

KernelSpec select_matmul(const Lowering& lowering) {
  const auto& attrs = std::get<MatmulAttrs>(lowering.node.attrs);
  const TensorType& a = lowering.operands[0];
  const TensorType& b = lowering.operands[1];
  const TensorType& result = lowering.node.type;
  const Dim rows = result.shape[0], columns = result.shape[1];
  // result {o16} is the product of the transposed operands in the other order: its rows are the
  // columns of the result, so that 16 rows of the result lie side by side.
  const bool swapped = result.layout == Layout::o16;
  GemmSpec spec = swapped ? product(b, !attrs.transpose_b, a, !attrs.transpose_a, columns, rows)
                          : product(a, attrs.transpose_a, b, attrs.transpose_b, rows, columns);
  spec.c_m = swapped ? kBlock : columns;
  spec.c_block = swapped ? columns * kBlock : kBlock;
  spec.c_padded = swapped;
  if (b.dtype == DType::i8) group_integers(spec, lowering);
  spec.epilogue = lower_epilogue(lowering, 2);
  return spec;
}

ConvSpec select_conv(const Lowering& lowering) {
  const Node& node = lowering.node;
  const auto& attrs = std::get<ConvAttrs>(node.attrs);
  const bool data = node.op == Op::conv2d_backward_data;
  const bool weights = node.op == Op::conv2d_backward_weights;
  const TensorType& input = data ? node.type : lowering.operands[0];
  const TensorType& weight = weights ? node.type : lowering.operands[1];
  const TensorType& result = data      ? lowering.operands[0]
                             : weights ? lowering.operands[1]
                                       : node.type;
  return ConvSpec{.pass = data      ? ConvPass::backward_data
                          : weights ? ConvPass::backward_weights
                                    : ConvPass::forward,
                  .images = input.shape[0],
                  .ic = input.shape[1],
                  .ih = input.shape[2],
                  .iw = input.shape[3],
                  .oc = result.shape[1],
                  .oh = result.shape[2],
                  .ow = result.shape[3],
                  .kh = weight.shape[2],
                  .kw = weight.shape[3],
                  .stride = attrs.stride,
                  .dilation = attrs.dilation,
                  .pad_top = attrs.padding[0],
                  .pad_left = attrs.padding[1],
                  .groups = attrs.groups,
                  .input = input.layout,
                  .integers = weight.dtype == DType::i8,
                  .epilogue = lower_epilogue(lowering, 2)};
}

ConvSpec choose_lowering(ConvSpec spec, const PassOptions& options, bool kept) {
  if (options.winograd) spec.winograd = winograd_tile(spec, options.max_batch, kept);
  spec.segments = winograd_segments(spec, options.max_batch);
  spec.each_image = sums_each_image(spec, options.max_batch);
  return spec;
}

PoolSpec select_pool(const Lowering& lowering) {
  const Node& node = lowering.node;
  const auto& attrs = std::get<PoolAttrs>(node.attrs);
  const bool unpool = node.op == Op::max_unpool2d;
  const bool backward = unpool || node.op == Op::pool2d_backward;
  const Shape& input = unpool ? node.type.shape : lowering.operands[0].shape;
  const Shape& result = backward ? lowering.operands[1].shape : node.type.shape;
  return PoolSpec{.kind = attrs.kind,
                  .backward = backward,
                  .indices = unpool || node.op == Op::max_pool2d_with_indices,
                  .positive = attrs.positive,
                  .images = input[0],
                  .channels = input[1],
                  .ih = input[2],
                  .iw = input[3],
                  .oh = result[2],
                  .ow = result[3],
                  .kernel = attrs.kernel,
                  .stride = attrs.stride,
                  .padding = attrs.padding,
                  .count_include_pad = attrs.count_include_pad,
                  .dtype = node.type.dtype,
                  .epilogue = lower_epilogue(lowering, backward ? 2 : 1)};
}

namespace {

RowKind row_kind(const Node& node) {
  if (node.op == Op::softmax) return RowKind::softmax;
  if (node.op == Op::log_softmax) return RowKind::log_softmax;
  if (node.op == Op::cross_entropy) return RowKind::cross_entropy;
  if (node.op == Op::cross_entropy_backward) return RowKind::cross_entropy_backward;
  return RowKind::cross_entropy_fused;
}

}  // namespace

KernelSpec select_row(const Lowering& lowering) {
  const Shape& shape = lowering.operands[0].shape;
  RowSpec spec{.kind = row_kind(lowering.node), .rows = 1, .rows_per_image = 1, .columns = 1};
  if (shape.empty()) return spec;
  spec.columns = shape.back();
  const Shape outer(shape.begin(), shape.end() - 1);
  const std::int64_t rows = element_count(outer, 1);
  const bool batched = !outer.empty() && outer.front() == kBatch;
  spec.rows = batched ? kBatch : rows;
  spec.rows_per_image = batched ? rows : 1;
  return spec;
}

}  // namespace taper::passes
