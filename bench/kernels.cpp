// taper's generated kernels against those of other libraries, in one process: a Google Benchmark
// line per kernel, library and round, the libraries in turn, then Markdown tables of medians.
#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <omp.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <dnnl.hpp>
#include <limits>
#include <random>
#include <thread>

#include "bench/contestant.h"
#include "bench/report.h"
#include "bench/roofline.h"
#include "bench/sets.h"
#include "ir/error.h"

namespace taper::bench {
namespace {

struct Options {
  int rounds = 5, threads = 1;
  bool epilogue = false;
  std::string json;
};

std::vector<float> random_data(const ir::Shape& shape, std::minstd_rand& generator) {
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> data(static_cast<std::size_t>(ir::element_count(shape, 1)));
  for (float& x : data) x = uniform(generator);
  return data;
}

Operands make_operands(const Problem& problem) {
  std::minstd_rand generator(7);
  const std::array<ir::TensorType, 3> tensors = problem.tensors();
  Operands operands;
  for (std::size_t i = 0; i < operands.tensors.size(); ++i)
    operands.tensors[i] = random_data(tensors[i].shape, generator);
  operands.bias = random_data(problem.bias().shape, generator);
  return operands;
}

// Winograd's transforms lose a few digits; a wrong kernel is off by the size of its results.
void check_same(const Problem& problem, const std::string& library, const std::vector<float>& a,
                const std::vector<float>& b) {
  double difference = 0, largest = 0;
  bool ordered = a.size() == b.size();  // and no NaN
  for (std::size_t i = 0; ordered && i < a.size(); ++i) {
    const double d = std::fabs(static_cast<double>(a[i]) - b[i]);
    ordered = d <= std::numeric_limits<float>::max();
    difference = std::max(difference, d);
    largest = std::max(largest, std::fabs(static_cast<double>(b[i])));
  }
  if (!ordered || difference > 5e-4 * largest)
    throw Error(fmt::format("{}: the results of taper and {} differ by {} where the largest is {}",
                            problem.name, library, ordered ? difference : NAN, largest));
}

// The libraries on the problem that is being measured; those of the one before it are dropped.
class Arena {
 public:
  Arena(const ir::Isa& isa, const Options& options)
      : threads(options.threads), roofline(isa, options.threads), isa_(isa) {}

  Contestant& contestant(const Problem& problem, const std::string& library) {
    if (name_ != problem.name) set_up(problem);
    return *contestants_.at(library);
  }

  const int threads;
  Roofline roofline;
  Implementations implementations;

 private:
  void set_up(const Problem& problem) {
    contestants_.clear();
    operands_ = make_operands(problem);
    auto& ours = contestants_[kOurs];
    ours = make_taper(problem, isa_, threads, operands_);
    ours->run();
    const std::vector<float> result = ours->result();
    for (const Peer& peer : peers_of(problem)) {
      auto& theirs = contestants_[peer.library];
      theirs = peer.make(problem, operands_);
      theirs->run();
      check_same(problem, peer.library, result, theirs->result());
      implementations[problem.name + "/" + peer.library] = theirs->implementation();
    }
    name_ = problem.name;
  }

  const ir::Isa& isa_;
  std::string name_;
  Operands operands_;
  std::map<std::string, std::unique_ptr<Contestant>> contestants_;
};

// The roofline is that of just before and after: a shared core has slow and fast minutes.
void measure(benchmark::State& state, Arena& arena, const Problem& problem,
             const std::string& library) {
  Contestant& contestant = arena.contestant(problem, library);
  // The threads of the library before may still spin.
  if (arena.threads > 1) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  const auto roof = [&] {
    return problem.depthwise ? arena.roofline.copy() : arena.roofline.fma();
  };
  const double before = roof();
  contestant.run();
  const double start = seconds(arena.threads);
  for ([[maybe_unused]] auto _ : state) contestant.run();
  const double time = (seconds(arena.threads) - start) / static_cast<double>(state.iterations());
  if (arena.threads > 1) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  const double after = roof();
  const double work = problem.depthwise ? problem.bytes() : problem.flops();
  state.counters["GFLOPs"] = problem.flops() / time * 1e-9;
  state.counters["percent"] = 200 * work / time / (before + after);
}

void register_rounds(Arena& arena, const std::vector<Problem>& all, int rounds) {
  for (const Problem& problem : all) {
    std::vector<std::string> libraries{kOurs};
    for (const Peer& peer : peers_of(problem)) libraries.push_back(peer.library);
    for (int round = 0; round < rounds; ++round) {
      for (const std::string& library : libraries) {
        const auto run = [&arena, &problem, library](benchmark::State& state) {
          measure(state, arena, problem, library);
        };
        benchmark::RegisterBenchmark((problem.name + "/" + library).c_str(), run);
      }
    }
  }
}

std::string peer_versions() {
  const dnnl_version_t& version = *dnnl_version();
  std::string text = fmt::format("oneDNN {}.{}.{}", version.major, version.minor, version.patch);
#ifdef TAPER_BENCH_OPENBLAS
  text += ", OpenBLAS";
#else
  text += ", built without OpenBLAS";
#endif
#ifdef TAPER_BENCH_LIBXSMM
  text += ", libxsmm";
#else
  text += ", built without libxsmm";
#endif
  return text;
}

void run(const Options& options) {
  omp_set_num_threads(options.threads);
  const ir::Isa* isa = ir::host_isa();
  if (isa == nullptr) throw Error("taper generates no code for this processor");
  // A cap on taper's instruction set holds for oneDNN too.
  if (isa->lanes == ir::kAvx2.lanes) dnnl::set_max_cpu_isa(dnnl::cpu_isa::avx2);
  Arena arena(*isa, options);
  const std::vector<Problem> all = all_problems(options.epilogue);
  register_rounds(arena, all, options.rounds);
  Reporter reporter;
  if (benchmark::RunSpecifiedBenchmarks(&reporter) == 0) throw Error("no benchmark has that name");
  const std::vector<Comparison> comparisons = compare(reporter, all);
  const Conditions conditions{std::string(isa->name), peer_versions(), options.threads,
                              options.rounds};
  print_report(conditions, arena.roofline, comparisons, arena.implementations);
  if (!options.json.empty())
    write_json(options.json, conditions, arena.roofline, comparisons, arena.implementations);
}

}  // namespace
}  // namespace taper::bench

int main(int argc, char** argv) {
  // Shorter than Google Benchmark's half a second, since there are rounds; the user's flag wins.
  std::string min_time = "--benchmark_min_time=0.05";
  std::vector<char*> arguments(argv, argv + argc);
  arguments.insert(arguments.begin() + 1, min_time.data());
  int count = static_cast<int>(arguments.size());
  benchmark::Initialize(&count, arguments.data());
  taper::bench::Options options;
  CLI::App app("taper's kernels against other libraries'; --benchmark_... are Google Benchmark's.");
  app.add_option("--rounds", options.rounds, "Times that the libraries take turns on each kernel")
      ->check(CLI::Range(1, 1000));
  app.add_option("--threads", options.threads, "Threads of every library")
      ->check(CLI::Range(1, 256));
  app.add_flag("--epilogue", options.epilogue, "Forward passes with bias and ReLU in the kernel");
  app.add_option("--json", options.json, "File for everything that was measured");
  CLI11_PARSE(app, count, arguments.data());
  try {
    taper::bench::run(options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
