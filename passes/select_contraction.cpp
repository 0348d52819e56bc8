// Matrix products, convolutions, pooling and row-wise ops.
#include "passes/select.h"

namespace taper::passes {
namespace {

using namespace ir;

// Steps of a stored matrix along its first and second axis.
struct Steps {
  std::int64_t row, column;
};
Steps steps(const TensorType& plain) {
  return {plain.shape[1], 1};
}

// How the columns of b are found: in blocks of a blocked matrix, or side by side in a plain one
// whose rows are the reduction.
void place_b(ir::GemmSpec& spec, const TensorType& b) {
  if (b.layout == Layout::plain) {
    spec.b_k = b.shape[1];
    spec.b_block = ir::kBlock;
  } else {
    const ir::Dim inner = b.layout == Layout::o16 ? b.shape[1] : b.shape[0];
    spec.b_k = ir::kBlock;
    spec.b_block = inner * ir::kBlock;
  }
}

ir::GemmSpec plain_result(const ir::MatmulAttrs& attrs, const TensorType& a, const TensorType& b,
                          const TensorType& result) {
  const Steps step = steps(a);
  ir::GemmSpec spec{.m = result.shape[0],
                    .n = result.shape[1],
                    .k = attrs.transpose_a ? a.shape[0] : a.shape[1],
                    .a_m = attrs.transpose_a ? step.column : step.row,
                    .a_k = attrs.transpose_a ? step.row : step.column,
                    .epilogue = {}};
  place_b(spec, b);
  spec.c_m = result.shape[1];
  spec.c_block = ir::kBlock;
  return spec;
}

// result {o16} is the product of the transposed operands in the other order: its rows are the
// columns of the result, so that 16 rows of the result lie side by side.
ir::GemmSpec o16_result(const ir::MatmulAttrs& attrs, const TensorType& a, const TensorType& b,
                        const TensorType& result) {
  const Steps step = steps(b);
  ir::GemmSpec spec{.m = result.shape[1],
                    .n = result.shape[0],
                    .k = attrs.transpose_b ? b.shape[1] : b.shape[0],
                    .a_m = attrs.transpose_b ? step.row : step.column,
                    .a_k = attrs.transpose_b ? step.column : step.row,
                    .epilogue = {}};
  place_b(spec, a);
  spec.c_m = ir::kBlock;
  spec.c_block = result.shape[1] * ir::kBlock;
  spec.c_padded = true;
  return spec;
}

// Four integers at a time: see GemmSpec.
void group_integers(ir::GemmSpec& spec, const Lowering& lowering) {
  if (spec.k % ir::kGroup != 0) {
    throw Error("select: a product of integers needs a depth that is a multiple of 4, not " +
                    std::to_string(spec.k),
                lowering.node.location);
  }
  spec.integers = true;
  spec.k /= ir::kGroup;
  spec.a_m /= ir::kGroup;
  spec.b_k = ir::kBlock;
  spec.b_block = spec.k * ir::kBlock;
}

}  // namespace

ir::KernelSpec select_matmul(const Lowering& lowering) {
  const auto& attrs = std::get<ir::MatmulAttrs>(lowering.node.attrs);
  const TensorType& a = lowering.operands[0];
  const TensorType& b = lowering.operands[1];
  const TensorType& result = lowering.node.type;
  ir::GemmSpec spec = result.layout == Layout::o16 ? o16_result(attrs, a, b, result)
                                                   : plain_result(attrs, a, b, result);
  if (b.dtype == ir::DType::i8) group_integers(spec, lowering);
  spec.epilogue = lower_epilogue(lowering, 2);
  return spec;
}

ir::ConvSpec select_conv(const Lowering& lowering) {
  const ir::Node& node = lowering.node;
  const auto& attrs = std::get<ir::ConvAttrs>(node.attrs);
  const bool data = node.op == Op::conv2d_backward_data;
  const bool weights = node.op == Op::conv2d_backward_weights;
  const TensorType& input = data ? node.type : lowering.operands[0];
  const TensorType& weight = weights ? node.type : lowering.operands[1];
  const TensorType& result = data      ? lowering.operands[0]
                             : weights ? lowering.operands[1]
                                       : node.type;
  return ir::ConvSpec{.pass = data      ? ir::ConvPass::backward_data
                              : weights ? ir::ConvPass::backward_weights
                                        : ir::ConvPass::forward,
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
                      .integers = weight.dtype == ir::DType::i8,
                      .epilogue = lower_epilogue(lowering, 2)};
}

ir::KernelSpec select_pool(const Lowering& lowering) {
  const ir::Node& node = lowering.node;
  const auto& attrs = std::get<ir::PoolAttrs>(node.attrs);
  const bool unpool = node.op == Op::max_unpool2d;
  const bool backward = unpool || node.op == Op::pool2d_backward;
  const ir::Shape& input = unpool ? node.type.shape : lowering.operands[0].shape;
  const ir::Shape& result = backward ? lowering.operands[1].shape : node.type.shape;
  return ir::PoolSpec{.kind = attrs.kind,
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

ir::RowKind row_kind(const ir::Node& node) {
  if (node.op == Op::softmax) return ir::RowKind::softmax;
  if (node.op == Op::log_softmax) return ir::RowKind::log_softmax;
  if (node.op == Op::cross_entropy) return ir::RowKind::cross_entropy;
  if (node.op == Op::cross_entropy_backward) return ir::RowKind::cross_entropy_backward;
  return ir::RowKind::cross_entropy_fused;
}

}  // namespace

ir::KernelSpec select_row(const Lowering& lowering) {
  const ir::Shape& shape = lowering.operands[0].shape;
  ir::RowSpec spec{.kind = row_kind(lowering.node), .rows = 1, .rows_per_image = 1, .columns = 1};
  if (shape.empty()) return spec;
  spec.columns = shape.back();
  std::int64_t rows = 1;
  for (std::size_t i = 0; i + 1 < shape.size(); ++i) {
    if (shape[i] != ir::kBatch) rows *= shape[i];
  }
  const bool batched = shape.size() > 1 && shape.front() == ir::kBatch;
  spec.rows = batched ? ir::kBatch : rows;
  spec.rows_per_image = batched ? rows : 1;
  return spec;
}

}  // namespace taper::passes
