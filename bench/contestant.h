// A library on one problem: set up from the same row-major data as the others, run again and again,
// its result in row-major order for comparison.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bench/problem.h"
#include "ir/isa.h"

namespace taper::bench {

class Contestant {
 public:
  virtual ~Contestant() = default;
  virtual void run() = 0;
  virtual std::vector<float> result() = 0;
  virtual std::string implementation() const { return {}; }
};

// taper's kernel. On several threads its units are split evenly among them.
std::unique_ptr<Contestant> make_taper(const Problem& problem, const ir::Isa& isa, int threads,
                                       const Operands& operands);

// The fastest of what oneDNN offers: automatic, direct and Winograd convolution, in its own choice
// of layouts, plain and channels-last, and every implementation that it lists for them (reference
// code excepted). Its operands are reordered beforehand. It runs on OpenMP's threads.
std::unique_ptr<Contestant> make_onednn(const Problem& problem, const Operands& operands);

// Dense layers on row-major matrices, without epilogue; on OpenMP's threads.
std::unique_ptr<Contestant> make_openblas(const Problem& problem, const Operands& operands);

// Dense layers, without epilogue, by libxsmm's batch-reduce kernel on matrices that are cut into
// blocks beforehand: the fastest of several block sizes. On OpenMP's threads.
std::unique_ptr<Contestant> make_libxsmm(const Problem& problem, const Operands& operands);

// Seconds of a run: the shortest of the runs of a few milliseconds, or of the first when that
// takes more than three times `enough`.
double shortest_run(const std::function<void()>& run, double enough);

// The libraries that this program was built with and that compute this problem.
struct Peer {
  std::string library;
  std::unique_ptr<Contestant> (*make)(const Problem&, const Operands&);
};
std::vector<Peer> peers_of(const Problem& problem);

}  // namespace taper::bench
