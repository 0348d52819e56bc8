// When weight gradients are made image by image, and the sum over the images.
#include <algorithm>

#include "passes/select.h"

namespace taper::passes {
namespace {

// Elements of images and gradients that the caches do not hold from one kernel to the next.
constexpr std::int64_t kStreamed = std::int64_t{4} << 20;
// How often larger an image and its gradient must be than the weights, which are written for each
// image and read once more.
constexpr std::int64_t kImagesPerWeight = 8;

std::int64_t blocks_of(std::int64_t channels) {
  return (channels + ir::kBlock - 1) / ir::kBlock;
}

std::int64_t weights_of(const ir::ConvSpec& s) {
  return blocks_of(s.oc) * ir::kBlock * s.ic / s.groups * s.kh * s.kw;
}

}  // namespace

bool sums_each_image(const ir::ConvSpec& s, ir::Dim max_batch) {
  if (s.pass != ir::ConvPass::backward_weights || s.images != ir::kBatch || s.winograd > 0 ||
      s.input != ir::Layout::c16)
    return false;
  // Strides may skip pixels.
  const std::int64_t read = std::min(s.ih * s.iw, s.oh * s.ow * s.kh * s.kw);
  const std::int64_t image = (blocks_of(s.ic) * read + blocks_of(s.oc) * s.oh * s.ow) * ir::kBlock;
  return image * max_batch >= kStreamed && image >= kImagesPerWeight * weights_of(s);
}

ImageSum sum_of_images(const ir::ConvSpec& s) {
  const ir::Dim weights = weights_of(s);
  const ir::ReduceSpec sum{.kind = ir::ReduceKind::sum,
                           .dims = {ir::kBatch, weights},
                           .reduced = {true, false},
                           .inputs = {{ir::DType::f32, {weights, 1}}},
                           .result = {ir::DType::f32, {0, 1}},
                           .prologue = {},
                           .epilogue = {}};
  return {sum, {ir::DType::f32, {ir::kBatch, weights}}};
}

}  // namespace taper::passes
