// A fused elementwise expression: a small DAG in SSA form, plain data. It is the body of `map` and
// the epilogue of gemm, conv, pool and reduce nodes.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "ir/op.h"
#include "ir/type.h"

namespace taper::ir {

// One instruction. An argument below Expr::inputs names that input; argument Expr::inputs + i names
// the value of instruction i. `op` is an elementwise op, constant, cast or random.
struct ExprInstr {
  Op op = Op::constant;
  std::array<std::int16_t, 3> args{-1, -1, -1};
  double value = 0;                    // constant
  DType dtype = DType::f32;            // type of this instruction's value
  std::uint64_t seed = 0, stream = 0;  // random; args[0] is the step counter
  bool operator==(const ExprInstr&) const = default;
};

// As an epilogue, input 0 is the root op's result and inputs 1.. are the node's extra operands.
struct Expr {
  std::int64_t inputs = 0;
  std::vector<ExprInstr> instrs;
  std::vector<std::int16_t> outputs = {};

  bool empty() const { return instrs.empty(); }
  bool operator==(const Expr&) const = default;
};

// "(a, b) { t0 = add(a, b); t1 = relu(t0); t1 }"
std::string to_string(const Expr& expr);

}  // namespace taper::ir
