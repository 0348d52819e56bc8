// Made-up contents of tensors: the same everywhere for the same seed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "ir/graph.h"

namespace taper::tools {

// Element `index` of stream `stream`, uniform in [0, 1).
double random_unit(std::uint64_t seed, std::uint64_t stream, std::uint64_t index);

// Row-major bytes of input `name` of `graph` at `batch`: f32 uniform in [-1, 1), u8 and i8 any, i32
// any that the ops which check it allow (labels, indices), else 0 to 9. Throws taper::Error for
// other dtypes.
std::vector<std::byte> random_input(const ir::Graph& graph, const std::string& name, ir::Dim batch,
                                    std::uint64_t seed);

}  // namespace taper::tools
