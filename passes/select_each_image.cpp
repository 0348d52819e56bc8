// When weight gradients are made image by image, and the sum over the images.
#include <algorithm>
#include <utility>

#include "passes/select.h"

namespace taper::passes {
namespace {

// Elements of images and gradients that the caches do not hold from one kernel to the next.
constexpr std::int64_t kStreamed = std::int64_t{4} << 20;
// How often larger an image and its gradient must be than the weights, which are written for each
// image and read once more.
constexpr std::int64_t kImagesPerWeight = 8;

// With the lanes that fill the last block.
std::int64_t elements(ir::Shape shape, ir::Layout layout) {
  const ir::TensorType type{ir::DType::f32, std::move(shape), layout};
  return ir::byte_size(type, 1) / static_cast<std::int64_t>(ir::byte_size(type.dtype));
}

std::int64_t weights_of(const ir::ConvSpec& s) {
  return elements({s.oc, s.ic / s.groups, s.kh, s.kw}, ir::Layout::o16);
}

}  // namespace

bool sums_each_image(const ir::ConvSpec& s, ir::Dim max_batch) {
  if (s.pass != ir::ConvPass::backward_weights || s.images != ir::kBatch || s.winograd > 0 ||
      s.input != ir::Layout::c16)
    return false;
  // Strides may skip pixels.
  const std::int64_t read = std::min(s.ih * s.iw, s.oh * s.ow * s.kh * s.kw);
  const std::int64_t image = elements({1, s.ic, read, 1}, ir::Layout::c16) +
                             elements({1, s.oc, s.oh, s.ow}, ir::Layout::c16);
  return image * max_batch >= kStreamed && image >= kImagesPerWeight * weights_of(s);
}

ImageSum sum_of_images(const ir::ConvSpec& s) {
  const ir::Dim weights = weights_of(s);
  const ir::ReduceSpec sum{.kind = ir::ReduceKind::sum,
                           .dims = {ir::kBatch, weights},
                           .reduced = {true, false},
                           .inputs = {{ir::DType::f32, {weights, 1}}},
                           .result = {ir::DType::f32, {0, 1}}};
  return {sum, {ir::DType::f32, {ir::kBatch, weights}}};
}

}  // namespace taper::passes
