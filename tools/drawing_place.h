// Where the boxes of a drawing go.
#pragma once

#include "tools/drawing.h"

namespace taper::tools {

inline constexpr double kBoxHeight = 40, kBoxGap = 16, kLayerGap = 44, kMargin = 12;

// Sets layer, x and y of every box, and the size of the drawing. Edges go from operands to users,
// and operands come before their users in `boxes`.
void place(Drawing& drawing);

}  // namespace taper::tools
