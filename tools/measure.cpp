#include "tools/measure.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>

namespace taper::tools {
namespace {

using Clock = std::chrono::steady_clock;
using Events = std::vector<runtime::ProfileEvent>;

constexpr std::size_t kMostSteps = 200, kFewestSteps = 3;

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Calls `step` for about `seconds`; it returns what it measured.
template <class Step>
auto repeat(double seconds, const Step& step) {
  std::vector<decltype(step())> results;
  const auto start = Clock::now();
  const auto elapsed = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  while (results.size() < kFewestSteps || (elapsed() < seconds && results.size() < kMostSteps))
    results.push_back(step());
  return results;
}

double length_of(const Events& events) {
  double end = 0;
  for (const runtime::ProfileEvent& event : events) end = std::max(end, event.end);
  return end;
}

// Seconds of each call on the thread that spends most in it.
std::vector<double> call_seconds(const Events& events, std::size_t calls, int threads) {
  std::vector<double> by_thread(calls * static_cast<std::size_t>(threads)), most(calls);
  for (const runtime::ProfileEvent& event : events) {
    if (event.wait) continue;
    double& sum = by_thread[static_cast<std::size_t>(event.thread) * calls + event.call];
    sum += event.end - event.begin;
    most[event.call] = std::max(most[event.call], sum);
  }
  return most;
}

double waiting_share(const Events& events, int threads) {
  double waited = 0;
  for (const runtime::ProfileEvent& event : events)
    if (event.wait) waited += event.end - event.begin;
  return waited / (length_of(events) * threads);
}

int threads_of(const Events& events) {
  int threads = 1;
  for (const runtime::ProfileEvent& event : events) threads = std::max(threads, event.thread + 1);
  return threads;
}

void describe_kernels(Measured& m, const std::vector<Events>& rounds) {
  const std::size_t calls = m.lowered->plan.calls.size();
  std::vector<std::vector<double>> seconds(calls);
  for (const Events& events : rounds) {
    const std::vector<double> one = call_seconds(events, calls, m.threads);
    for (std::size_t c = 0; c < calls; ++c) seconds[c].push_back(one[c]);
  }
  for (std::size_t c = 0; c < calls; ++c) {
    const ir::KernelSpec& spec = *m.lowered->plan.calls[c].spec;
    KernelTime k{c,
                 m.lowered->value(c),
                 ir::lowering(spec),
                 ir::to_string(spec),
                 m.lowered->buffers(c),
                 median(seconds[c]),
                 ir::flops(spec, m.batch),
                 m.lowered->bytes(c, m.batch)};
    k.place = to_string(m.lowered->location(c));
    k.computes = m.roofline.computes(k.flops, k.bytes);
    if (k.seconds > 0) k.percent = 100 * m.roofline.seconds(k.flops, k.bytes) / k.seconds;
    m.kernels.push_back(std::move(k));
  }
}

}  // namespace

Measured measure(const ir::Graph& recorded, const Settings& settings, double seconds,
                 bool with_counters) {
  std::optional<Counters> counters;  // before the program starts its threads
  if (with_counters) counters.emplace();
  const ir::Graph graph = ir::canonical(recorded);
  const Arguments arguments = read_arguments(graph, settings, true);
  const runtime::CompileOptions options = compile_options(settings, arguments.batch);
  const runtime::Variables variables = read_weights(graph, settings.weights);
  runtime::Executable executable = runtime::compile(graph, variables, options);
  if (executable.report().isa == "interpreter")
    throw Error("the interpreter runs, which has no kernels to measure; taper info says why");
  Measured m;
  m.isa = executable.report().isa;
  m.batch = arguments.batch;
  const ir::Isa& isa = ir::isa_named(m.isa);
  m.lowered = lower(graph, {.max_batch = m.batch, .winograd = options.winograd}, isa);
  const auto inputs = arguments.for_run(executable);
  executable.run(inputs, m.batch);
  if (counters) counters->start();
  const std::vector<double> steps = repeat(seconds / 2, [&] {
    const auto start = Clock::now();
    executable.run(inputs, m.batch);
    return std::chrono::duration<double>(Clock::now() - start).count();
  });
  if (counters) {
    for (const auto& [name, value] : counters->stop())
      m.counters.push_back({name, value / static_cast<double>(steps.size())});
    if (!counters->missing().empty()) fmt::print(stderr, "{}\n", counters->missing());
  }
  m.step_seconds = median(steps);
  std::vector<Events> rounds =
      repeat(seconds / 2, [&] { return executable.profile(inputs, m.batch); });
  m.steps = rounds.size();
  m.threads = threads_of(rounds.front());
  m.roofline = measure_roofline(isa, m.threads);
  describe_kernels(m, rounds);
  std::ranges::sort(rounds, {}, length_of);
  m.events = rounds[rounds.size() / 2];
  m.barrier_share = waiting_share(m.events, m.threads);
  return m;
}

}  // namespace taper::tools
