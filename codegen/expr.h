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
// `bound[i]`, when valid, is a register that already holds value i (an input, or after the inputs
// the constant of an instruction) and is not clobbered.
// Returns one register per output, owned by the caller (release them). `index` holds the lanes'
// element indices for random ops, or is invalid when the expression has none. An output that is a
// bound input is that register itself. `input_types` tells casts which inputs are bool (none when
// empty). Values that are not bool live as f32: i32 is exact up to 2^24 in magnitude. An output
// that no instruction reads is not rounded to its dtype yet: store_lanes() does it.
std::vector<Vec> emit_expr(Masm& m, const ir::Expr& expr, const std::vector<Vec>& bound,
                           const LoadInput& load, Vec index = {},
                           const std::vector<ir::DType>& input_types = {});

int max_registers(const ir::Expr& expr);

// Of an instruction that is a constant.
void emit_constant(Masm& m, Vec d, const ir::ExprInstr& constant);

// Lanes of any dtype to and from f32 (bool: a lane mask); `tail` limits the access.
void load_lanes(Masm& m, Vec d, Address a, ir::DType dtype, bool tail);
void store_lanes(Masm& m, Address a, Vec s, ir::DType dtype, bool tail);

}  // namespace taper::codegen
