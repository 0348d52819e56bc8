// From the rounds of every kernel to tables and a file.
#pragma once

#include <benchmark/benchmark.h>

#include <map>
#include <string>
#include <vector>

#include "bench/problem.h"
#include "bench/roofline.h"
#include "bench/summary.h"

namespace taper::bench {

inline constexpr const char* kOurs = "taper";

struct Rounds {
  std::vector<double> rates, percents;  // GFLOP/s, and of the roofline
};

// Prints every line of Google Benchmark and keeps its counters.
class Reporter : public benchmark::ConsoleReporter {
 public:
  Reporter() : ConsoleReporter(OO_Tabular) {}
  void ReportRuns(const std::vector<Run>& runs) override;
  std::map<std::string, Rounds> rounds;  // by PROBLEM/LIBRARY
};

// A problem that taper and at least one peer ran.
struct Comparison {
  const Problem* problem = nullptr;
  std::map<std::string, Rounds> rounds;  // by library
  std::string peer;                      // the fastest, by the medians
  std::vector<double> ratios;            // of each round: taper's rate by that of `peer`
};

// The geometric mean of the medians of the ratios.
struct Mean {
  std::string set, pass;  // pass "all": of every pass
  ir::Dim batch = 0;
  std::size_t lines = 0;
  double ratio = 0, least = 0;
};

struct Conditions {
  std::string isa, peers;
  int threads = 1, rounds = 1;
};

std::vector<Comparison> compare(const Reporter& reporter, const std::vector<Problem>& problems);
std::vector<Mean> means_of(const std::vector<Comparison>& comparisons);

// By PROBLEM/LIBRARY: what computes it there.
using Implementations = std::map<std::string, std::string>;

void print_report(const Conditions& conditions, const Roofline& roofline,
                  const std::vector<Comparison>& comparisons,
                  const Implementations& implementations);
// Throws taper::Error when the file cannot be written.
void write_json(const std::string& path, const Conditions& conditions, const Roofline& roofline,
                const std::vector<Comparison>& comparisons, const Implementations& implementations);

}  // namespace taper::bench
