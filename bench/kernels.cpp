// taper's generated kernels against oneDNN's, one thread, in one process: a Google Benchmark line
// per kernel, library and round, the libraries in turn, then a Markdown table of medians.
#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <omp.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "bench/contestants.h"
#include "bench/fma_peak.h"
#include "ir/error.h"

namespace taper::bench {
namespace {

std::vector<float> random_data(const ir::Shape& shape, std::mt19937& generator) {
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> data(static_cast<std::size_t>(ir::element_count(shape, 1)));
  for (float& x : data) x = uniform(generator);
  return data;
}

// Both libraries set up for one problem, and proved to compute the same.
class Contest {
 public:
  Contest(const Problem& problem, const ir::Isa& isa)
      : operands_(make_operands(problem)),
        ours(problem, isa, operands_),
        theirs(problem, operands_) {
    ours.run();
    theirs.run();
    const std::vector<float> a = ours.result(), b = theirs.result();
    double difference = 0, largest = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
      difference = std::max(difference, std::fabs(static_cast<double>(a[i]) - b[i]));
      largest = std::max(largest, std::fabs(static_cast<double>(b[i])));
    }
    // Not >: NaN fails.
    if (!(difference <= 1e-4 * largest))
      throw Error(fmt::format("{}: results differ by {} where the largest is {}", problem.name,
                              difference, largest));
  }

 private:
  static Operands make_operands(const Problem& problem) {
    std::mt19937 generator(7);
    const std::array<ir::TensorType, 3> tensors = problem.tensors();
    Operands operands;
    for (std::size_t i = 0; i < operands.size(); ++i)
      operands[i] = random_data(tensors[i].shape, generator);
    return operands;
  }
  Operands operands_;

 public:
  TaperKernel ours;
  OneDnnKernel theirs;
};

// The contest of the problem that is being measured; the one before it is dropped.
class Arena {
 public:
  explicit Arena(const ir::Isa& isa) : peak(isa), isa_(isa) {}
  Contest& contest(const Problem& problem) {
    if (contest_ == nullptr || name_ != problem.name) {
      contest_.reset();
      contest_ = std::make_unique<Contest>(problem, isa_);
      name_ = problem.name;
      implementations[name_] = contest_->theirs.implementation();
    }
    return *contest_;
  }
  FmaPeak peak;
  std::map<std::string, std::string> implementations;  // oneDNN's, by problem

 private:
  const ir::Isa& isa_;
  std::string name_;
  std::unique_ptr<Contest> contest_;
};

// The peak is that of just before and after: a shared core has slow and fast minutes.
template <class Library>
void measure(benchmark::State& state, Library& library, double flops, FmaPeak& peak) {
  const double before = peak.measure();
  const double start = thread_seconds();
  for ([[maybe_unused]] auto _ : state) library.run();
  const double rate = flops * static_cast<double>(state.iterations()) / (thread_seconds() - start);
  const double after = peak.measure();
  state.counters["GFLOPs"] = rate * 1e-9;
  state.counters["percent_of_peak"] = 200 * rate / (before + after);
}

void register_rounds(Arena& arena, const std::vector<Problem>& all, int rounds) {
  for (const Problem& problem : all) {
    const double flops = problem.flops();
    for (int round = 0; round < rounds; ++round) {
      benchmark::RegisterBenchmark((problem.name + "/taper").c_str(), [&, flops](auto& state) {
        measure(state, arena.contest(problem).ours, flops, arena.peak);
      });
      benchmark::RegisterBenchmark((problem.name + "/oneDNN").c_str(), [&, flops](auto& state) {
        measure(state, arena.contest(problem).theirs, flops, arena.peak);
      });
    }
  }
}

struct Rounds {
  std::vector<double> rates, percents;  // GFLOP/s, and of the peak
};

// Prints every line and keeps its counters.
class Reporter : public benchmark::ConsoleReporter {
 public:
  Reporter() : ConsoleReporter(OO_Tabular) {}
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      if (run.run_type != Run::RT_Iteration || run.error_occurred) continue;
      Rounds& entry = rounds[run.benchmark_name()];
      entry.rates.push_back(run.counters.at("GFLOPs").value);
      entry.percents.push_back(run.counters.at("percent_of_peak").value);
    }
    ConsoleReporter::ReportRuns(runs);
  }
  std::map<std::string, Rounds> rounds;  // by line
};

struct Summary {
  double median = 0, least = 0, most = 0;
};
Summary summary(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  const double median = values.size() % 2 ? values[half] : (values[half - 1] + values[half]) / 2;
  return {median, values.front(), values.back()};
}

void print_row(const std::string& name, const Rounds& ours, const Rounds& theirs,
               const std::string& implementation) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < ours.rates.size(); ++i)
    ratios.push_back(ours.rates[i] / theirs.rates[i]);
  const Summary a = summary(ours.rates), b = summary(theirs.rates), r = summary(ratios);
  fmt::print(
      "| {} | {:.1f} ({:.1f}..{:.1f}) | {:.1f} ({:.1f}..{:.1f}) | {:.2f} ({:.2f}..{:.2f}) "
      "| {:.0f} | {:.0f} | {} |\n",
      name, a.median, a.least, a.most, b.median, b.least, b.most, r.median, r.least, r.most,
      summary(ours.percents).median, summary(theirs.percents).median, implementation);
}

void print_table(const Reporter& reporter, const Arena& arena, const std::vector<Problem>& all) {
  fmt::print(
      "\n| kernel | taper, GFLOP/s | oneDNN, GFLOP/s | ratio | taper, % of peak | oneDNN, % of "
      "peak | oneDNN's implementation |\n|---|---|---|---|---|---|---|\n");
  for (const Problem& problem : all) {
    const auto ours = reporter.rounds.find(problem.name + "/taper");
    const auto theirs = reporter.rounds.find(problem.name + "/oneDNN");
    // A filter may have left out either.
    if (ours == reporter.rounds.end() || theirs == reporter.rounds.end()) continue;
    print_row(problem.name, ours->second, theirs->second, arena.implementations.at(problem.name));
  }
}

void print_conditions(const ir::Isa& isa, std::vector<double> peaks) {
  const dnnl_version_t& version = *dnnl_version();
  const Summary peak = summary(std::move(peaks));
  fmt::print("\n{} on one thread, oneDNN {}.{}.{}; FMA peak {:.1f} GFLOP/s ({:.1f}..{:.1f})\n",
             isa.name, version.major, version.minor, version.patch, peak.median * 1e-9,
             peak.least * 1e-9, peak.most * 1e-9);
}

int run(int rounds) {
  omp_set_num_threads(1);
  const ir::Isa* isa = ir::host_isa();
  if (isa == nullptr) throw Error("taper generates no code for this processor");
  // A cap on taper's instruction set holds for both.
  if (isa->lanes == ir::kAvx2.lanes) dnnl::set_max_cpu_isa(dnnl::cpu_isa::avx2);
  Arena arena(*isa);
  const std::vector<Problem> all = problems();
  register_rounds(arena, all, rounds);
  Reporter reporter;
  if (benchmark::RunSpecifiedBenchmarks(&reporter) == 0) throw Error("no benchmark has that name");
  print_conditions(*isa, arena.peak.samples());
  print_table(reporter, arena, all);
  return 0;
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
  int rounds = 5;
  CLI::App app("taper's kernels against oneDNN's; --benchmark_... flags are Google Benchmark's.");
  app.add_option("--rounds", rounds, "Times that the two libraries take turns on each kernel")
      ->check(CLI::Range(1, 1000));
  CLI11_PARSE(app, count, arguments.data());
  try {
    return taper::bench::run(rounds);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
