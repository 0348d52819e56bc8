// Weight gradients of dense and depthwise convolutions, as one kernel over tiles.
#pragma once

#include <memory>
#include <string>

#include "codegen/kernel.h"
#include "ir/isa.h"
#include "ir/kernel.h"

namespace taper::codegen {

// Order of the sums, a function of the shape alone: within an image each weight is one FMA chain
// from zero over the output pixels (oh, then ow) whose tap is not padding; the images' values are
// then added in image order to the first image's. A unit is one tile of weights.
std::shared_ptr<const Kernel> make_weights_kernel(const ir::ConvSpec& spec, const ir::Isa& isa,
                                                  const std::string& name);

}  // namespace taper::codegen
