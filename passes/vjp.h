// Vector-Jacobian products: the gradients of a node's operands from the gradient of its result.
#pragma once

#include <vector>

#include "ir/builder.h"

namespace taper::passes {

// One node to differentiate. `node` is a copy: building moves the nodes of the graph.
struct VjpRequest {
  ir::Node node;
  ir::ValueId y;             // the node's value
  ir::ValueId g;             // the gradient of the scalar with respect to y, of y's shape, f32
  std::vector<bool> wanted;  // per operand: whether its gradient is used

  ir::ValueId operand(std::size_t i) const { return node.operands[i]; }
};

// The words of the vjp column in ir/ops.def: Builder's ops and these.
class VjpBuilder : public ir::Builder {
 public:
  using Builder::Builder;

  ir::ValueId zero() { return scalar(0); }
  ir::ValueId zeros(const ir::Shape& shape) { return broadcast_to(zero(), shape); }
  ir::ValueId ones(const ir::Shape& shape) { return broadcast_to(scalar(1), shape); }
  ir::ValueId scale(ir::ValueId x, double factor) { return mul(x, scalar(factor)); }
  ir::ValueId one_minus(ir::ValueId x) { return sub(scalar(1), x); }
  ir::ValueId sign(ir::ValueId x);
  // g where y is positive, else 0.
  ir::ValueId positive_part(ir::ValueId y, ir::ValueId g);
  // g where y is between 0 and `top`, neither included, else 0.
  ir::ValueId unclipped(ir::ValueId y, double top, ir::ValueId g);
  // g where `strict` holds, half of it where a and b are equal (as in PyTorch), else 0.
  ir::ValueId winner(ir::ValueId strict, ir::ValueId a, ir::ValueId b, ir::ValueId g);
};

using Gradients = std::vector<ir::ValueId>;  // one per operand; kNoValue: none flows

// Appends the gradients of all wanted operands, each of its operand's shape and f32; others may be
// built too, or be kNoValue. Throws taper::Error for an op without a derivative.
Gradients vjp(VjpBuilder& builder, const VjpRequest& request);

// Per structural op, called by vjp().
#define TAPER_STRUCTURAL(name, arity, attrs) Gradients vjp_##name(VjpBuilder&, const VjpRequest&);
#include "ir/ops.def"

}  // namespace taper::passes
