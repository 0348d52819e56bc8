// What `normalize` is made of.
#pragma once

#include "ir/builder.h"

namespace taper::passes {

// x - mean and sqrt(variance + eps), with the axes kept; every call builds the same nodes.
struct Moments {
  ir::ValueId centred, deviation;
};
Moments moments(ir::Builder&, ir::ValueId x, const ir::NormalizeAttrs&);

// Spells out normalize nodes. After gradients, because theirs need fewer sums than those of the
// parts would.
ir::Graph expand_normalize(ir::Graph);

}  // namespace taper::passes
