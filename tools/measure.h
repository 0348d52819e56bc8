// Kernel by kernel: how long a step takes, and how near that is to the roofline.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "runtime/executable.h"
#include "tools/counters.h"
#include "tools/lowered.h"
#include "tools/roofline.h"
#include "tools/settings.h"

namespace taper::tools {

struct KernelTime {
  std::size_t call = 0;
  std::string value, lowering, spec, buffers;
  double seconds = 0;  // of the slowest thread; median of the steps
  double flops = 0, bytes = 0;
  double percent = 0;     // of what the roofline allows
  bool computes = false;  // the roofline's bound is arithmetic, not memory
  std::string place{};    // FILE:LINE of its value
};

struct Measured {
  std::string isa;
  int threads = 1;
  ir::Dim batch = 1;
  std::size_t steps = 0;
  double step_seconds = 0;   // median, not profiled
  double barrier_share = 0;  // of all threads' time in the profiled step, waiting
  bool locations = false;    // the table shows them
  Roofline roofline;
  std::vector<Count> counters;                // of a step that is not profiled, if asked for
  std::vector<KernelTime> kernels;            // by call
  std::vector<runtime::ProfileEvent> events;  // of the profiled step of median length
  std::unique_ptr<Lowered> lowered;
};

// Runs `graph` for about `seconds` and measures; counts too with `counters`, and says on standard
// error what cannot be counted. Missing inputs are random. Throws taper::Error.
Measured measure(const ir::Graph& graph, const Settings& settings, double seconds,
                 bool counters = false);

// A table, one line per kernel, the slowest first.
std::string as_table(const Measured& measured);
std::string as_csv(const Measured& measured);
std::string as_json(const Measured& measured);
// The parts of it: one kernel, and what is not about one.
nlohmann::json json_of(const KernelTime& kernel);
nlohmann::json summary_of(const Measured& measured);

}  // namespace taper::tools
