// Losses, with PyTorch's semantics.
#pragma once

#include "frontend/ops.h"

namespace taper {

// torch.nn.functional.cross_entropy, reduction = "mean": logits f32[M,C], labels i32[M] with values
// in [0, C), which must be an input of the tape; a label outside is a taper::Error when running.
Tensor cross_entropy(Operand logits, Operand labels);

}  // namespace taper
