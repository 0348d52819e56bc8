// What the cores can do at best: fused multiply-adds per second, and bytes copied per second.
#pragma once

#include "ir/isa.h"

namespace taper::tools {

struct Roofline {
  double flops = 0;  // per second, of all threads together
  double bytes = 0;  // read and written per second by a copy that no cache holds

  // The least seconds for so much work, and which of the two says so.
  double seconds(double work, double moved) const;
  bool computes(double work, double moved) const { return work / flops >= moved / bytes; }
};

// The best of a few runs of a generated loop and of a copy: about a tenth of a second. Throws
// taper::Error where no code can run.
Roofline measure_roofline(const ir::Isa& isa, int threads);

}  // namespace taper::tools
