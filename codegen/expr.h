// Emits a fused elementwise expression for one vector.
#pragma once

#include <functional>
#include <vector>

#include "codegen/masm.h"
#include "ir/expr.h"

namespace taper::codegen {

// Loads input `i` of the expression into `d`, converted to f32 (bool inputs: a lane mask).
// It is called when the input is first needed and may be called again.
using LoadInput = std::function<void(Vec d, int i)>;

// Emits `expr`; registers come from the pool and go back, at most max_registers(expr) at once.
// `bound[i]`, when valid, is a register that already holds input i and is not clobbered.
// Returns one register per output, owned by the caller (release them). `index` holds the lanes'
// element indices for random ops, or is invalid when the expression has none.
std::vector<Vec> emit_expr(Masm& m, const ir::Expr& expr, const std::vector<Vec>& bound,
                           const LoadInput& load, Vec index = {});

int max_registers(const ir::Expr& expr);

}  // namespace taper::codegen
