// A run with the clock read around every kernel call and every wait.
#include <chrono>

#include "runtime/program.h"

namespace taper::runtime {
namespace {

using Clock = std::chrono::steady_clock;
using Events = std::vector<ProfileEvent>;

constexpr std::size_t kExpectedEvents = 4096;

}  // namespace

struct ProfiledRun {
  Executable::Program& program;
  int threads;
  Clock::time_point start;
  std::vector<Events> events;  // by thread

  void run(int thread) {
    Events& mine = events[static_cast<std::size_t>(thread)];
    codegen::Call call;
    call.batch = program.batch;
    call.scratch = program.scratch[static_cast<std::size_t>(thread)].get();
    const auto record = [&](std::size_t c, bool wait, const auto& action) {
      const Clock::time_point begin = Clock::now();
      action();
      const Clock::time_point end = Clock::now();
      mine.push_back({static_cast<std::uint32_t>(c), thread, wait, since(begin), since(end)});
    };
    program.walk(
        thread, threads,
        [&](std::size_t c) { record(c, true, [&] { program.barrier->arrive_and_wait(); }); },
        [&](std::size_t c, std::int64_t begin, std::int64_t end) {
          const ScheduledCall& scheduled = program.schedule[c];
          call.begin = begin;
          call.end = end;
          call.buffers = program.operands(c, thread, begin);
          record(c, false, [&] { scheduled.kernel->run(call); });
        });
  }

  double since(Clock::time_point time) const {
    return std::chrono::duration<double>(time - start).count();
  }
};

std::vector<ProfileEvent> Executable::profile(std::span<const std::span<const std::byte>> inputs,
                                              ir::Dim batch) {
  Program& p = *program_;
  if (p.options.interpret) throw Error("profile: the interpreter runs, which has no kernels");
  p.check_inputs(inputs, batch);
  p.batch = batch;
  p.bind_inputs(inputs);
  const bool alone = p.options.threads == 1 || p.prefers_one_thread();
  ProfiledRun recording{p, alone ? 1 : p.options.threads, {}, {}};
  recording.events.resize(static_cast<std::size_t>(recording.threads));
  for (Events& events : recording.events) events.reserve(kExpectedEvents);
  recording.start = Clock::now();
  if (alone) {
    const FlushDenormals flush;
    recording.run(0);
  } else {
    p.pool->run([](void* of, int thread) { static_cast<ProfiledRun*>(of)->run(thread); },
                &recording);
  }
  Events all;
  for (const Events& events : recording.events) all.insert(all.end(), events.begin(), events.end());
  return all;
}

}  // namespace taper::runtime
