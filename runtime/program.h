// What an Executable holds: the plan, its kernels and memory, or the graph for the interpreter.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "codegen/kernel.h"
#include "ir/eval.h"
#include "runtime/executable.h"
#include "runtime/observe.h"
#include "runtime/plan.h"
#include "runtime/schedule.h"
#include "runtime/thread_pool.h"

namespace taper::runtime {

// An i32 input is checked before a run: by in_range, and because a cross_entropy reads element
// `label` of a row.
struct LabelCheck {
  std::size_t input;     // index into input_names
  ir::RangeAttrs range;  // of its elements
  Location location;

  void run(std::string_view name, std::span<const std::byte> labels) const;
};
std::vector<LabelCheck> find_labels(const ir::Graph& graph, const std::vector<std::string>& inputs);

struct Executable::Program : Facts {
  CompileOptions options;
  ir::Graph recorded;  // differentiated, for the interpreter
  ir::Graph selected;  // the plan points into it
  std::vector<LabelCheck> label_checks;

  // Generated code.
  Plan plan;
  codegen::Kernels kernels;
  std::vector<ScheduledCall> schedule;
  std::vector<Chain> chains;
  std::map<int, AlignedBytes> constants;               // by buffer
  std::map<std::string, std::shared_ptr<void>> bound;  // variables, by name
  AlignedBytes arena;
  std::vector<AlignedBytes> scratch;  // by thread
  std::shared_ptr<ThreadPool> pool;
  std::unique_ptr<Barrier> barrier;
  std::vector<Progress> progress;  // by thread, in all chains of all runs
  std::uint64_t runs = 0;
  struct InputPlace {
    std::byte* data = nullptr;  // none: no kernel reads it any more
    bool by_images = false;     // each thread copies its share of the images
  };
  std::vector<InputPlace> inputs_at;
  // Inputs that one operand of one call alone reads: separate images are read where the caller has
  // them, one after another.
  struct ReadInPlace {
    std::size_t input, call, operand;
  };
  std::vector<ReadInPlace> read_in_place;
  std::span<const InputBytes> given;  // of the present run
  std::vector<const float*> output_data;
  // What the kept calls may read, and its version when they ran.
  std::vector<std::pair<const Variable*, std::uint64_t>> kept_from;
  std::size_t kept_chains = 0;                // their chains
  bool has_kept = false;                      // they have run
  std::size_t first_chain = 0;                // of the present run
  std::vector<Variable*> updated;             // by each run
  float* batch_scalar = nullptr;              // the input "$batch"; nullptr when the graph has none
  double work_per_image = 0, work_fixed = 0;  // see useful_threads

  // The interpreter.
  std::vector<std::vector<float>> interpreted_outputs;

  ir::Dim batch = 0;  // of the last run
  std::unique_ptr<RunObserver> observer;
  // How a run is done, chosen once by compile(): interpreted, generated or observed.
  void (Program::*runner)(std::span<const InputBytes>) = nullptr;

  void check_inputs(std::span<const InputBytes> inputs, ir::Dim n) const;
  void run_generated(std::span<const InputBytes> inputs);
  void begin_run(std::span<const InputBytes> inputs);
  std::map<std::string, ir::Value> bindings(std::span<const InputBytes> inputs) const;
  void run_interpreter(std::span<const InputBytes> inputs);
  void choose_runner();
  void run_observed(std::span<const InputBytes> inputs);
  void copy_inputs(int thread, int threads) const;
  // Runs a thread's part of call `c`, which walk() made.
  void execute(std::size_t c, const codegen::Call& call, int thread);
  // A run with the clock read around every kernel call and every wait.
  struct Recording {
    Clock::time_point start;
    std::vector<ProfileEvent> events;
  };
  Recording record(std::span<const InputBytes> inputs);
  // Copies this thread's share of the inputs, then calls wait(c, action) before call c where the
  // action lets the thread wait for others, and run(c, call) for each part of this thread's share
  // of its units.
  template <class Wait, class Run>
  void walk(int thread, int threads, const Wait& wait, const Run& run) {
    copy_inputs(thread, threads);
    const auto t = static_cast<std::size_t>(thread);
    codegen::Call call{.batch = batch, .scratch = scratch[t].get()};
    for (const Chain& chain : std::span(chains).subspan(first_chain)) {
      const ScheduledCall& first = schedule[chain.first];
      if (first.barrier_before && threads > 1)
        wait(chain.first, [&] { barrier->arrive_and_wait(); });
      const std::int64_t units = first.kernel->units(batch);
      const std::int64_t begin = threads == 1 ? 0 : units * thread / threads * chain.planes;
      const std::int64_t end =
          (threads == 1 ? units : units * (thread + 1) / threads) * chain.planes;
      call.planes = chain.planes;
      const std::uint64_t point =
          runs * chains.size() + static_cast<std::size_t>(&chain - &chains[0]);
      if (chain.computing > 0 && t % 2 == 1 && end - begin >= kGroupsInTurn * chain.group)
        wait(chain.first, [&] { progress[t - 1].await(point); });
      for (std::int64_t i = begin; i < end;) {
        const std::int64_t stop = group_end(chain, i, end);
        call.begin = i;
        call.end = stop;
        for (std::size_t c = chain.first; c < chain.end; ++c) {
          call.buffers = operands(c, thread, i);
          if (threads > 1) call.written_later = schedule[c].written_later[t];
          run(c, call);
          if (c + 1 == chain.computing && i == begin) progress[t].reach(point);
        }
        i = stop;
      }
    }
  }
  // The operands of call `c` for a group of images that starts with `begin`.
  void* const* operands(std::size_t c, int thread, std::int64_t begin) {
    ScheduledCall& call = schedule[c];
    if (call.bound.empty()) return call.buffers.data();
    std::vector<void*>& bound = call.bound[static_cast<std::size_t>(thread)];
    for (const ScheduledCall::Local& local : call.locals) {
      const auto base = reinterpret_cast<std::uintptr_t>(call.buffers[local.operand]);
      const std::int64_t shift = thread * local.thread_bytes - begin * local.unit_bytes;
      bound[local.operand] = reinterpret_cast<void*>(base + static_cast<std::uintptr_t>(shift));
    }
    return bound.data();
  }
  // 1 where the present run has so little work that a fork would cost more than it saves.
  int useful_threads() const;
  // Calls body(thread, threads) on each of that many threads.
  template <class Body>
  void fork(const Body& body) {
    const int threads = useful_threads();
    auto run = [&](int thread) { body(thread, threads); };
    if (threads == 1) {
      const FlushDenormals flush;
      return run(0);
    }
    pool->run([](void* of, int thread) { (*static_cast<decltype(run)*>(of))(thread); }, &run);
  }
};

// Gives every variable the layout that the plan reads and writes.
void set_layouts(const Plan& plan, const Variables& variables, int threads);

// By call of the plan; `listed`: with listings.
codegen::Kernels kernels_of(const Plan& plan, const ir::Isa& isa, int threads, bool listed);

// Writes what compile() saw and chose into options.dump: NAME.00-recorded.tir and so on, the plan
// and the listings of all kernels.
void dump_stage(const CompileOptions& options, int number, std::string_view stage,
                const ir::Graph& graph);
void dump_program(const CompileOptions& options, const std::string& plan,
                  const codegen::Kernels& kernels);

// What CompileOptions::verbose promises.
void print_events(const std::string& name, const Plan& plan, const Report& report,
                  ir::Dim max_batch, bool with_runs);

// The names of the buffers of a call: "%0, w -> %4".
std::string buffer_names(const Plan& plan, const PlannedCall& call);

std::string describe(const Plan& plan, const std::vector<ScheduledCall>& schedule,
                     const std::vector<Chain>& chains, const Report& report, ir::Dim max_batch);

}  // namespace taper::runtime
