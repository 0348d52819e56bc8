// The text, the lowering's name and the cost of kernel specs.
#include "ir/kernel.h"

#include <gtest/gtest.h>

#include "ir/attrs.h"

namespace taper::ir {
namespace {

TEST(KernelText, NamesEveryField) {
  Epilogue bias;
  bias.expr = Expr{2, {{Op::add, {0, 1, -1}}}, {2}};
  bias.operands = {{DType::f32, EpilogueAccess::channel}};
  GemmSpec gemm{kBatch, 128, 784, 800, 1, 128, 16, 128, 16, true, false, false, bias};
  EXPECT_EQ(to_string(KernelSpec(gemm)),
            "gemm m=N n=128 k=784 a_m=800 a_k=1 b_k=128 b_block=16 c_m=128 c_block=16 "
            "c_padded=true epilogue (acc, c0) { t0 = add(acc, c0); t0 } operands=[f32 channel]");
  EXPECT_EQ(lowering(gemm), "gemm");
  EXPECT_EQ(flops(gemm, 10), 2.0 * 10 * 128 * 784);
  gemm.integers = true;
  gemm.epilogue = {};
  gemm.epilogue.result = DType::i32;
  EXPECT_TRUE(to_string(KernelSpec(gemm)).ends_with(" c_padded=true integers stored=i32"));
  EXPECT_EQ(lowering(gemm), "gemm int8");
  EXPECT_EQ(flops(gemm, 10), 4 * 2.0 * 10 * 128 * 784);
  const Stream row{DType::f32, {4, 1}};
  ReduceSpec reduce{.kind = ReduceKind::mean,
                    .dims = {kBatch, 4},
                    .reduced = {false, true},
                    .inputs = {row},
                    .result = {DType::f32, {1, 0}},
                    .prologue = {},
                    .epilogue = {}};
  EXPECT_EQ(to_string(KernelSpec(reduce)),
            "reduce kind=mean dims=[N,4] reduced=[0,1] inputs=[f32[4,1]] result=f32[1,0]");
  reduce.inputs.push_back({DType::f32, {1, 0}});
  reduce.prologue = {2, {{.op = Op::sub, .args = {0, 1, -1}}}, {2}};
  EXPECT_EQ(to_string(KernelSpec(reduce)),
            "reduce kind=mean dims=[N,4] reduced=[0,1] prologue=(a, b) { t0 = sub(a, b); t0 } "
            "inputs=[f32[4,1],f32[1,0]] result=f32[1,0]");
  EXPECT_EQ(flops(reduce, 10), 2 * 40);
  const CopySpec copy{DType::u8, 1, {{0, {kBatch, 4}, {4, 1}, {8, 1}, 0, 2}}, true, 0.5, 8, true};
  EXPECT_EQ(to_string(KernelSpec(copy)),
            "copy dtype=u8 operands=1 parts=[{operand=0 dims=[N,4] source=[4,1]+0 result=[8,1]+2}] "
            "has_fill=true fill=0.5 result_size=8 result_batched=true");
}

TEST(KernelText, ConvolutionCountsNominalFlops) {
  ConvSpec conv;
  conv.ic = 32, conv.ih = conv.iw = 28, conv.oc = 64, conv.oh = conv.ow = 28;
  conv.kh = conv.kw = 3;
  for (const ConvPass pass :
       {ConvPass::forward, ConvPass::backward_data, ConvPass::backward_weights}) {
    conv.pass = pass;
    EXPECT_EQ(flops(conv, 2), 2.0 * 2 * 64 * 28 * 28 * 32 * 9);
  }
  EXPECT_EQ(lowering(conv), "conv direct 3x3 backward_weights");
  conv.oc = conv.groups = 32;
  EXPECT_EQ(flops(conv, 1), 2.0 * 32 * 28 * 28 * 9);
  EXPECT_EQ(lowering(conv), "conv depthwise 3x3 backward_weights");
}

}  // namespace
}  // namespace taper::ir
