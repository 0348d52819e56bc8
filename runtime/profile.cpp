// A run with the clock read around every kernel call and every wait.
#include "runtime/program.h"

namespace taper::runtime {
namespace {

constexpr std::size_t kExpectedEvents = 4096;

double seconds(Clock::duration time) {
  return std::chrono::duration<double>(time).count();
}

}  // namespace

Executable::Program::Recording Executable::Program::record(std::span<const InputBytes> inputs) {
  begin_run(inputs);
  std::vector<std::vector<ProfileEvent>> events(static_cast<std::size_t>(useful_threads()));
  for (std::vector<ProfileEvent>& of_thread : events) of_thread.reserve(kExpectedEvents);
  const Clock::time_point start = Clock::now();
  fork([&](int thread, int threads) {
    const auto timed = [&](std::size_t c, bool wait, const auto& action) {
      const Clock::time_point begin = Clock::now();
      action();
      const Clock::time_point end = Clock::now();
      events[static_cast<std::size_t>(thread)].push_back({static_cast<std::uint32_t>(c), thread,
                                                          wait, seconds(begin - start),
                                                          seconds(end - start)});
    };
    walk(
        thread, threads, [&](std::size_t c, const auto& action) { timed(c, true, action); },
        [&](std::size_t c, const codegen::Call& call) {
          timed(c, false, [&] { execute(c, call, thread); });
        });
  });
  Recording all{start, {}};
  for (const std::vector<ProfileEvent>& of_thread : events)
    all.events.insert(all.events.end(), of_thread.begin(), of_thread.end());
  return all;
}

void Executable::Program::choose_runner() {
  observer = RunObserver::of(options, plan);
  runner = observer != nullptr ? &Program::run_observed
           : options.interpret ? &Program::run_interpreter
                               : &Program::run_generated;
}

void Executable::Program::run_observed(std::span<const InputBytes> inputs) {
  if (!options.interpret) {
    const Recording run = record(inputs);
    observer->add(run.start, run.events, batch);
    return;
  }
  const Clock::time_point start = Clock::now();
  run_interpreter(inputs);
  observer->add(start, {{.begin = 0, .end = seconds(Clock::now() - start)}}, batch);
}

const ir::KernelSpec& Executable::kernel(std::size_t call) const {
  return *program_->plan.calls[call].spec;
}

std::vector<ProfileEvent> Executable::profile(std::span<const InputBytes> inputs, ir::Dim batch) {
  if (program_->options.interpret)
    throw Error("profile: the interpreter runs, which has no kernels");
  program_->check_inputs(inputs, batch);
  program_->batch = batch;
  return program_->record(inputs).events;
}

}  // namespace taper::runtime
