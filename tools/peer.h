// Comparing with another library. This command is linked with none; a build with the benchmarks
// adds bench/tool_peer.cpp, which sets compare_with_onednn.
#pragma once

#include <string>

#include "ir/isa.h"
#include "ir/kernel.h"

namespace taper::tools {

// What the benchmarks know to compare: a dense layer, or a convolution of a square image with a
// square kernel, padding (kernel - 1) / 2 on every side, one group or depthwise.
struct Contraction {
  bool dense = false;
  ir::ConvPass pass{};
  ir::Dim batch = 1;
  std::int64_t in = 0, out = 0;  // channels or features
  std::int64_t size = 0, kernel = 0, stride = 1;
  bool depthwise = false;
};

struct Comparison {
  double ours = 0, theirs = 0;  // seconds, of the round of median ratio
  double flops = 0;
  std::string our_choice, their_choice;  // what computes it there
};

using Compare = Comparison (*)(const Contraction&, const ir::Isa&, int threads);
extern Compare compare_with_onednn;  // nullptr: this build has no oneDNN

}  // namespace taper::tools
