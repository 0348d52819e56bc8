// The filters of Winograd's convolution to their points, and the gradient of the points back to
// that of the filters. Points lie as [block][point][channel][16], block of the vector's channels.
#include "codegen/sizes.h"
#include "codegen/winograd_transform.h"

namespace taper::codegen {
namespace {

class WinogradFilterKernel final : public Kernel {
 public:
  WinogradFilterKernel(const ir::ConvSpec& spec, const ir::Isa& isa)
      : gradient_(spec.pass == ir::ConvPass::filter_gradient) {
    const bool data = spec.pass == ir::ConvPass::filter_backward_data;
    blocks_ = blocks_of(data ? spec.ic : spec.oc);
    channels_ = data ? spec.oc : spec.ic;
    points_ = ir::winograd_points(spec.winograd);
    const std::int64_t point = channels_ * kPixel;
    const WinogradSums sums{spec.segments, blocks_ * points_ * point};
    routine_ = gradient_ ? emit_winograd_filter_gradient(point, sums, isa)
                         : emit_winograd_filter(spec.winograd, point, data, isa);
    taps_ = spec.kh * spec.kw;
  }

  std::int64_t units(std::int64_t) const override { return blocks_; }
  std::size_t scratch_bytes(std::int64_t) const override { return kWinogradScratch; }
  std::vector<const Routine*> routines() const override { return {&routine_}; }

  void run(const Call& call) const override {
    for (std::int64_t block = call.begin; block < call.end; ++block) {
      const std::int64_t filter = block * channels_ * kPixel;
      TransformArgs args;
      args.image = address(call.buffers[gradient_ ? 1 : 0], filter * taps_);
      args.points = address(call.buffers[gradient_ ? 0 : 1], filter * points_);
      args.count = channels_;
      args.scratch = call.scratch;
      routine_(&args);
    }
  }

 private:
  bool gradient_;
  std::int64_t blocks_ = 0, channels_ = 0, taps_ = 0, points_ = 0;
  Routine routine_;
};

}  // namespace

std::shared_ptr<const Kernel> compile_winograd_filter(const ir::ConvSpec& spec,
                                                      const ir::Isa& isa) {
  return std::make_shared<WinogradFilterKernel>(spec, isa);
}

}  // namespace taper::codegen
