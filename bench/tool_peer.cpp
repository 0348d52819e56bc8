// taper bench --versus onednn: the contestants of the kernel benchmarks, for one problem.
#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <random>
#include <thread>
#include <vector>

#include "bench/contestant.h"
#include "ir/error.h"
#include "tools/peer.h"

namespace taper::bench {
namespace {

constexpr int kRounds = 5;
constexpr double kEnough = 1e-3;

Problem problem_of(const tools::Contraction& c) {
  if (c.dense) return dense(c.batch, c.in, c.out, c.pass, false);
  const ConvLayer layer{c.in, c.out, c.size, c.kernel, c.stride, c.depthwise, 1};
  return convolution("command", layer, c.batch, c.pass, false);
}

Operands random_operands(const Problem& problem) {
  std::minstd_rand generator(7);
  std::uniform_real_distribution<float> uniform(-1, 1);
  Operands operands;
  for (std::size_t i = 0; i < operands.tensors.size(); ++i) {
    operands.tensors[i].resize(
        static_cast<std::size_t>(ir::element_count(problem.tensors()[i].shape, 1)));
    for (float& x : operands.tensors[i]) x = uniform(generator);
  }
  return operands;
}

void check_same(const std::vector<float>& ours, const std::vector<float>& theirs) {
  double difference = 0, largest = 0;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    difference = std::max(difference, std::fabs(static_cast<double>(ours[i] - theirs[i])));
    largest = std::max(largest, std::fabs(static_cast<double>(theirs[i])));
  }
  if (ours.size() != theirs.size() || !(difference <= 5e-4 * largest))
    throw Error(fmt::format("--versus: the results differ by {} where the largest is {}",
                            difference, largest));
}

double seconds_of(Contestant& contestant, int threads) {
  // The threads of the library before may still spin.
  if (threads > 1) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  return shortest_run([&] { contestant.run(); }, kEnough);
}

tools::Comparison compare(const tools::Contraction& contraction, const ir::Isa& isa, int threads) {
  omp_set_num_threads(threads);
  const Problem problem = problem_of(contraction);
  const Operands operands = random_operands(problem);
  const auto ours = make_taper(problem, isa, threads, operands);
  const auto theirs = make_onednn(problem, operands);
  ours->run();
  theirs->run();
  check_same(ours->result(), theirs->result());
  std::vector<std::pair<double, double>> rounds;
  for (int round = 0; round < kRounds; ++round) {
    const double a = seconds_of(*ours, threads);
    const double b = seconds_of(*theirs, threads);
    rounds.emplace_back(a, b);
  }
  std::ranges::sort(rounds, {}, [](const auto& r) { return r.second / r.first; });
  const auto [a, b] = rounds[kRounds / 2];
  return {a, b, problem.flops(), ours->implementation(), theirs->implementation()};
}

[[maybe_unused]] const bool known = (tools::compare_with_onednn = compare) != nullptr;

}  // namespace
}  // namespace taper::bench
