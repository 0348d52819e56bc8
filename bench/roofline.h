// The rooflines: how many FLOP/s of fused multiply-adds the cores reach with the vectors of an ISA,
// and how many bytes they copy. And the clock that everything is measured with.
#pragma once

#include <memory>
#include <vector>

#include "codegen/kernel.h"
#include "ir/isa.h"
#include "runtime/aligned.h"
#include "runtime/thread_pool.h"

namespace taper::bench {

// On one thread the processor time of the calling thread, which a busy neighbour on the same core
// does not add to; on several the time of the wall.
double seconds(int threads);

class Roofline {
 public:
  Roofline(const ir::Isa& isa, int threads);
  // FLOP/s of all threads together, by a generated loop of independent accumulators: about a
  // millisecond.
  double fma();
  // Bytes read and written per second by copies that no cache holds.
  double copy();
  const std::vector<double>& fma_samples() const { return fma_samples_; }  // all that were measured
  const std::vector<double>& copy_samples() const { return copy_samples_; }

 private:
  int threads_;
  double flops_;  // of one turn of the loop
  codegen::CodeMemory code_;
  std::shared_ptr<runtime::ThreadPool> pool_;
  runtime::AlignedBytes from_, to_;  // once a copy was asked for
  std::vector<double> fma_samples_, copy_samples_;
};

}  // namespace taper::bench
