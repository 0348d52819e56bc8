// Types that a node must have: infer() plus what infer() cannot see (epilogues, expressions, the
// results of other nodes). The parser and the verifier hold nodes to it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ir/graph.h"

namespace taper::ir {

// How many operands the op itself takes with the attributes of the node, or kVariadic.
int arity_of(const Node& node);

// Number of operands that belong to the op itself; the rest are the epilogue's. Throws taper::Error
// when that does not fit the op or the epilogue.
std::size_t own_operand_count(const Node& node);

// "op: sentence", unless the sentence begins with the op already.
std::string with_op(Op op, std::string_view sentence);

// The type of `node`, whose operands are values of `graph`. Leaves and views have the type they
// state. Throws taper::Error when operands, attributes or epilogue do not fit the op.
TensorType node_type(const Graph& graph, const Node& node);

// Whether the prologue of a reduction over `axes` of `shape` may read such an operand though it has
// another shape: f32, of the same rank, with one value along the axes.
bool repeats_along(const TensorType& operand, const Shape& shape, const Indices& axes);

// Checks `expr` on inputs of these dtypes; returns the dtypes of its outputs. Throws taper::Error.
std::vector<DType> expr_types(const Expr& expr, const std::vector<DType>& inputs);

}  // namespace taper::ir
