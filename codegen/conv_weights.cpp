#include "codegen/kernel.h"
#include "codegen/weights_kernel.h"

namespace taper::codegen {
namespace {

// A 1x1 kernel that reads every pixel sees an image as one long row.
ir::ConvSpec flattened(ir::ConvSpec spec) {
  const bool pointwise = spec.kh == 1 && spec.kw == 1 && spec.stride[0] == 1 &&
                         spec.stride[1] == 1 && spec.pad_top == 0 && spec.pad_left == 0 &&
                         spec.ih == spec.oh && spec.iw == spec.ow;
  if (!pointwise) return spec;
  spec.iw = spec.ow = spec.oh * spec.ow;
  spec.ih = spec.oh = 1;
  return spec;
}

}  // namespace

std::shared_ptr<const Kernel> compile_conv_weights(const ir::ConvSpec& spec, const ir::Isa& isa) {
  return make_weights_kernel(flattened(spec), isa, "conv_weights");
}

}  // namespace taper::codegen
