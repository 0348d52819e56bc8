#include "bench/contestant.h"

#include <algorithm>
#include <chrono>

namespace taper::bench {

double shortest_run(const std::function<void()>& run, double enough) {
  using Clock = std::chrono::steady_clock;
  const auto timed = [&] {
    const auto begin = Clock::now();
    run();
    return std::chrono::duration<double>(Clock::now() - begin).count();
  };
  run();
  const auto start = Clock::now();
  double shortest = timed();
  if (shortest > 3 * enough) return shortest;
  for (int runs = 1; runs < 4 || Clock::now() - start < std::chrono::milliseconds(15); ++runs)
    shortest = std::min(shortest, timed());
  return shortest;
}

std::vector<Peer> peers_of(const Problem& problem) {
  std::vector<Peer> peers{{"oneDNN", make_onednn}};
  if (!problem.dense() || problem.epilogue) return peers;
#ifdef TAPER_BENCH_OPENBLAS
  peers.push_back({"OpenBLAS", make_openblas});
#endif
#ifdef TAPER_BENCH_LIBXSMM
  peers.push_back({"libxsmm", make_libxsmm});
#endif
  return peers;
}

}  // namespace taper::bench
