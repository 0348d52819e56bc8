// Kernels whose images may be cut into planes: the bits of whole images, whatever the cut.
#include "ir/kernel.h"
#include "tests/convolution.h"

namespace taper::testing {
namespace {

using ir::kBatch;

constexpr std::int64_t kImages = 3, kPlanes = 3, kPixels = 35;
constexpr ir::Dim kPlane = kPixels * 16, kImage = kPlanes * kPlane;

const ir::Indices kDims{kBatch, kPlanes, kPixels, 16};
const ir::Stream kTensor{ir::DType::f32, {kImage, kPlane, 16, 1}};
const ir::Stream kPerChannel{ir::DType::f32, {0, 16, 0, 1}};
const ir::Stream kPerImage{ir::DType::f32, {kPlanes * 16, 16, 0, 1}};

ir::Expr product_of_difference() {
  return {3, {{ir::Op::sub, {0, 1}}, {ir::Op::mul, {3, 2}}}, {4}};
}

ir::ConvSpec depthwise(ir::ConvPass pass) {
  ir::ConvSpec s;
  s.pass = pass;
  s.ic = s.oc = s.groups = kPlanes * 16;
  s.ih = s.oh = 5;
  s.iw = s.ow = 7;
  s.kh = s.kw = 3;
  s.pad_top = s.pad_left = 1;
  s.each_image = pass == ir::ConvPass::backward_weights;
  return s;
}

// `operands` random tensors, each as large as any may be, and one result.
void expect_bits_of_images(const ir::KernelSpec& spec, std::size_t operands) {
  std::mt19937 generator(7);
  for (const ir::Isa* isa : host_isas()) {
    const auto kernel = codegen::compile(spec, *isa);
    ASSERT_EQ(kernel->partition(), codegen::Partition::images) << ir::to_string(spec);
    ASSERT_EQ(kernel->planes(), kPlanes) << ir::to_string(spec);
    std::vector<Buffer> memory;
    std::vector<void*> buffers;
    for (std::size_t i = 0; i <= operands; ++i) {
      memory.emplace_back(kImages * kImage);
      for (std::int64_t e = 0; e < kImages * kImage; ++e)
        memory[i][e] = i < operands ? random_value(generator) : 0;
    }
    for (Buffer& m : memory) buffers.push_back(m.data());
    run_cut(*kernel, buffers, kImages, kImages);
    Buffer& result = memory.back();
    std::vector<float> whole(result.data(), result.data() + kImages * kImage);
    ASSERT_NE(whole, std::vector<float>(whole.size()));
    for (const std::int64_t cut : {1, 2, 4}) {
      std::fill_n(result.data(), whole.size(), 0.0f);
      run_cut(*kernel, buffers, kImages, cut, kPlanes);
      EXPECT_EQ(std::memcmp(result.data(), whole.data(), whole.size() * 4), 0)
          << ir::to_string(spec) << " on " << isa->name << ", " << cut << " planes at a time";
    }
  }
}

TEST(Planes, HaveTheBitsOfWholeImages) {
  expect_bits_of_images(
      ir::MapSpec{product_of_difference(), {{kDims, {kTensor, kPerChannel, kPerImage}, {kTensor}}}},
      3);
  ir::ReduceSpec sum{};
  sum.kind = ir::ReduceKind::sum;
  sum.dims = kDims;
  sum.reduced = {false, false, true, false};
  sum.prologue = product_of_difference();
  sum.inputs = {kTensor, kPerChannel, kPerImage};
  sum.result = kPerImage;
  expect_bits_of_images(sum, 3);
  expect_bits_of_images(ir::CopySpec{.parts = {{.dims = {kBatch, kPlanes, 16},
                                                .source = {kImage, kPlane, 1},
                                                .result = {kPlanes * 16, 16, 1},
                                                .source_offset = 7 * 16}},
                                     .result_size = kPlanes * 16,
                                     .result_batched = true},
                        1);
  for (const auto pass :
       {ir::ConvPass::forward, ir::ConvPass::backward_data, ir::ConvPass::backward_weights})
    expect_bits_of_images(depthwise(pass), 2);
}

// A slice of the channels, values per pixel, one plane: nothing to cut.
TEST(Planes, AreEqualPartsOfEveryTensor) {
  const ir::Stream slice{ir::DType::f32, {2 * kImage, kPlane, 16, 1}};
  const ir::Stream per_pixel{ir::DType::f32, {kPlane, 0, 16, 1}};
  for (const ir::Stream& other : {slice, per_pixel}) {
    const ir::MapSpec map{product_of_difference(), {{kDims, {kTensor, other, kTensor}, {kTensor}}}};
    EXPECT_EQ(codegen::compile(map, *host_isas().front())->planes(), 1);
  }
  const ir::Stream single{ir::DType::f32, {kPlane, kPlane, 16, 1}};
  const ir::MapSpec map{product_of_difference(),
                        {{{kBatch, 1, kPixels, 16}, {single, single, single}, {single}}}};
  EXPECT_EQ(codegen::compile(map, *host_isas().front())->planes(), 1);
}

}  // namespace
}  // namespace taper::testing
