// Weight gradients of each image: those of one image, one after another.
#include <array>
#include <utility>

#include "codegen/batch_kernel.h"
#include "codegen/sizes.h"
#include "ir/error.h"

namespace taper::codegen {
namespace {

class EachImageKernel final : public BatchKernel {
 public:
  EachImageKernel(const ir::ConvSpec& spec, std::shared_ptr<const Kernel> one)
      : BatchKernel(spec.images, 1),
        planes_(spec.groups > 1 ? blocks_of(spec.oc) : 1),
        one_(std::move(one)) {
    const std::int64_t taps = spec.kh * spec.kw;
    bytes_ = {blocks_of(spec.ic) * spec.ih * spec.iw * kPixel,
              blocks_of(spec.oc) * spec.oh * spec.ow * kPixel,
              blocks_of(spec.oc) * (spec.ic / spec.groups) * taps * kPixel};
  }

  std::int64_t planes() const override { return planes_; }
  std::size_t scratch_bytes(std::int64_t) const override { return one_->scratch_bytes(1); }
  std::vector<const Routine*> routines() const override { return one_->routines(); }

  void run(const Call& call) const override {
    const std::int64_t each = one_->units(1) / call.planes;
    for (std::int64_t unit = call.begin; unit < call.end; ++unit) {
      const auto [image, plane] = divide(unit, call.planes);
      std::array<void*, 3> buffers{};
      for (std::size_t i = 0; i < buffers.size(); ++i)
        buffers[i] = static_cast<std::byte*>(call.buffers[i]) + image * bytes_[i];
      one_->run({.buffers = buffers.data(),
                 .batch = 1,
                 .begin = plane * each,
                 .end = (plane + 1) * each,
                 .scratch = call.scratch});
    }
  }

 private:
  std::int64_t planes_;
  std::shared_ptr<const Kernel> one_;
  std::array<std::int64_t, 3> bytes_{};  // of an image: input, gradient, result
};

}  // namespace

std::shared_ptr<const Kernel> repeat_each_image(const ir::ConvSpec& spec,
                                                std::shared_ptr<const Kernel> one) {
  if (spec.pass != ir::ConvPass::backward_weights || spec.input != ir::Layout::c16)
    throw Error("conv: only weight gradients of c16 tensors are made of each image, in " +
                ir::to_string(spec));
  return std::make_shared<EachImageKernel>(spec, std::move(one));
}

}  // namespace taper::codegen
