// Single contractions as graphs, from the notations of other benchmarks.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ir/graph.h"
#include "tools/peer.h"

namespace taper::tools {

struct Problem {
  std::string name;  // "fwd", "bwd_d" or "bwd_w"
  ir::Graph graph;
  ir::Dim batch = 1;
  std::optional<Contraction> comparable;  // when it is one that other libraries are compared on
};

// A convolution in benchdnn's notation: g mb ic ih iw oc oh ow kh kw sh sw ph pw dh dw, each
// followed by its number, perhaps n"name" at the end, perhaps _ between. What is missing: mb 2, g
// 1, the width as the height, stride 1, no dilation, padding 0, or half of what oh and ow ask for.
// `direction` is fwd, bwd_d, bwd_w or all. Throws taper::Error.
std::vector<Problem> convolutions(const std::string& text, const std::string& direction);

// "MxNxK": the rows of M inputs of K times a weight [N,K].
std::vector<Problem> products(const std::string& text, const std::string& direction);

}  // namespace taper::tools
