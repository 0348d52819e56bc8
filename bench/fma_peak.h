// The roofline: how many FLOP/s of fused multiply-adds one core reaches with the vectors of an ISA.
#pragma once

#include <vector>

#include "codegen/kernel.h"
#include "ir/isa.h"

namespace taper::bench {

// Seconds of processor time of the calling thread: what a busy neighbour on the same core does not
// add to.
double thread_seconds();

// A generated loop of independent accumulators.
class FmaPeak {
 public:
  explicit FmaPeak(const ir::Isa& isa);
  double measure();  // FLOP/s, over about a millisecond
  const std::vector<double>& samples() const { return samples_; }  // all that were measured

 private:
  double flops_;  // of one turn of the loop
  codegen::CodeMemory code_;
  std::vector<double> samples_;
};

}  // namespace taper::bench
