// The reference interpreter: naive loops, double accumulation, independent of the JIT. It is the
// oracle of the tests and the fallback where executable memory is forbidden.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "ir/graph.h"

namespace taper::ir {

// A logical row-major tensor. Values are rounded to the type's dtype after each op, so that f32
// graphs see f32 intermediates; reductions and contractions accumulate in double.
struct Value {
  TensorType type;  // concrete shape: N replaced, layout plain
  std::vector<double> data;
};

struct Evaluation {
  std::vector<Value> outputs;            // in the order of graph.outputs
  std::map<std::string, Value> updated;  // new contents by variable name
};

// Sees the results of each node of canonical(graph) as soon as they are computed.
using Observe = std::function<void(ValueId, const std::vector<Value>&)>;

// Evaluates every node of `graph` at N = batch. `bindings` holds inputs, parameters and states by
// name, row-major. Evaluates fused ops too; throws taper::Error on gradient and kernel nodes, on a
// missing or mis-shaped binding and on a label out of range.
Evaluation evaluate(const Graph& graph, const std::map<std::string, Value>& bindings, Dim batch,
                    const Observe& observe = {});

// Rounds to the nearest value of `dtype` (f32, f16, bf16 to nearest even; integers truncate and
// saturate; bool is 0 or 1).
double round_to(DType dtype, double value);
// The bytes of `value` rounded to `dtype`, in the low byte_size(dtype) bytes.
std::uint32_t element_bits(DType dtype, double value);

// The oracle of one expression, for one element. `index` is the element's linear index (random).
void evaluate(const Expr& expr, const double* inputs, std::int64_t index, double* outputs);

// Philox4x32-10 (Salmon et al., SC 2011), word 0 for counter (index, step, stream) and key seed.
std::uint32_t philox(std::uint64_t index, std::uint32_t step, std::uint64_t stream,
                     std::uint64_t seed);

}  // namespace taper::ir
