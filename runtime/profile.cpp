// A run with the clock read around every kernel call and every wait.
#include "runtime/program.h"

namespace taper::runtime {
namespace {

using Events = std::vector<ProfileEvent>;

constexpr std::size_t kExpectedEvents = 4096;

template <class Program>
struct ProfiledRun {
  Program& program;
  int threads;
  Clock::time_point start;
  std::vector<Events> events;  // by thread

  void run(int thread) {
    Events& mine = events[static_cast<std::size_t>(thread)];
    const auto record = [&](std::size_t c, bool wait, const auto& action) {
      const Clock::time_point begin = Clock::now();
      action();
      const Clock::time_point end = Clock::now();
      mine.push_back({static_cast<std::uint32_t>(c), thread, wait, since(begin), since(end)});
    };
    program.walk(
        thread, threads, [&](std::size_t c, const auto& action) { record(c, true, action); },
        [&](std::size_t c, const codegen::Call& call) {
          record(c, false, [&] { program.schedule[c].kernel->run(call); });
        });
  }

  double since(Clock::time_point time) const {
    return std::chrono::duration<double>(time - start).count();
  }
};

}  // namespace

Executable::Program::Recording Executable::Program::record(std::span<const InputBytes> inputs) {
  begin_run(inputs);
  const bool alone = options.threads == 1 || prefers_one_thread();
  using Run = ProfiledRun<Program>;
  Run recording{*this, alone ? 1 : options.threads, {}, {}};
  recording.events.resize(static_cast<std::size_t>(recording.threads));
  for (Events& events : recording.events) events.reserve(kExpectedEvents);
  recording.start = Clock::now();
  if (alone) {
    const FlushDenormals flush;
    recording.run(0);
  } else {
    pool->run([](void* of, int thread) { static_cast<Run*>(of)->run(thread); }, &recording);
  }
  Recording all{recording.start, {}};
  for (const Events& events : recording.events)
    all.events.insert(all.events.end(), events.begin(), events.end());
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
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  observer->add(start, {{.begin = 0, .end = seconds}}, batch);
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
