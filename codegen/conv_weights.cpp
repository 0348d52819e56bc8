#include "codegen/conv_walk.h"
#include "codegen/weights_kernel.h"

namespace taper::codegen {

std::shared_ptr<const Kernel> compile_conv_weights(const ir::ConvSpec& spec, const ir::Isa& isa) {
  return make_weights_kernel(flattened(spec), isa, "conv_weights");
}

}  // namespace taper::codegen
