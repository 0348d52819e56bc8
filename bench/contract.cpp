// What the fixed order of reductions costs: the kernels of a training step that reduce over the
// batch, against the same kernels on a share of the images for each thread, whose sums are added in
// no particular order. The difference is stated in percent of the whole step.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "bench/summary.h"
#include "codegen/kernel.h"
#include "models.h"
#include "passes/passes.h"
#include "runtime/aligned.h"
#include "runtime/plan.h"
#include "runtime/thread_pool.h"

namespace {

using taper::bench::Summary;
using taper::bench::summary;
namespace ir = taper::ir;
namespace codegen = taper::codegen;
namespace runtime = taper::runtime;

struct Options {
  int threads = 2, rounds = 9, steps = 20;
  std::int64_t batch = 256;
};

struct Network {
  taper::Tape tape;
  taper::Tensor loss;
};

Network record(taper::nn::Sequential (*make)()) {
  Network network;
  const auto images = network.tape.input("images", {taper::N, 1, 28, 28}, taper::DType::u8);
  const auto labels = network.tape.input("labels", {taper::N}, taper::DType::i32);
  const auto model = make();
  initialise(model);
  network.loss = cross_entropy(model(normalised(images)), labels);
  return network;
}

// The kernels of the step, as taper::compile selects them.
ir::Graph selected(const Network& network, ir::Dim batch) {
  taper::Tape tape(network.tape);
  const taper::Tensor rate = tape.input("learning_rate", {});
  const taper::Tensor loss(tape, network.loss.id());
  taper::optim::Optimizer(taper::optim::Adam{}).record(tape, mean(loss), rate);
  tape.graph().outputs.push_back({"loss", network.loss.id()});
  return taper::passes::run_pipeline(tape.graph(), {.max_batch = batch});
}

bool reduces_batch(const ir::KernelSpec& spec) {
  if (const auto* gemm = std::get_if<ir::GemmSpec>(&spec)) return gemm->k == ir::kBatch;
  if (const auto* conv = std::get_if<ir::ConvSpec>(&spec))
    return conv->pass == ir::ConvPass::backward_weights;
  const auto* reduce = std::get_if<ir::ReduceSpec>(&spec);
  for (std::size_t i = 0; reduce != nullptr && i < reduce->dims.size(); ++i)
    if (reduce->dims[i] == ir::kBatch && reduce->reduced[i]) return true;
  return false;
}

// One kernel that reduces over the batch, with operands of its own.
class Reduction {
 public:
  Reduction(const runtime::Plan& plan, const runtime::PlannedCall& call, const Options& options,
            std::shared_ptr<const codegen::Kernel> kernel)
      : kernel_(std::move(kernel)), batch_(options.batch), barrier_(options.threads) {
    for (std::size_t i = 0; i < call.operands; ++i) {
      const ir::TensorType& type = plan.buffer(call.buffers[i]).type;
      image_bytes_.push_back(type.has_batch() ? ir::byte_size(type, 1) : 0);
      operands_.push_back(filled(static_cast<std::size_t>(ir::byte_size(type, batch_))));
    }
    const auto result = static_cast<std::size_t>(call.buffers.back());
    result_bytes_ = static_cast<std::size_t>(ir::byte_size(plan.buffers[result].type, batch_));
    for (int t = 0; t <= options.threads; ++t) {
      results_.push_back(runtime::allocate_aligned(result_bytes_));
      scratch_.push_back(runtime::allocate_aligned(kernel_->scratch_bytes(batch_)));
    }
  }

  // As the runtime runs it: threads share the units of work, each the whole batch.
  void run_ordered(int thread, int threads) {
    const std::int64_t units = kernel_->units(batch_);
    run(thread, batch_, 0, {units * thread / threads, units * (thread + 1) / threads},
        results_.back().get());
  }

  // Each thread its images, then the sums of a share of the elements.
  void run_free(int thread, int threads) {
    const std::int64_t first = batch_ * thread / threads;
    const std::int64_t count = batch_ * (thread + 1) / threads - first;
    run(thread, count, first, {0, kernel_->units(count)},
        results_[static_cast<std::size_t>(thread)].get());
    barrier_.arrive_and_wait();
    const auto elements = static_cast<std::int64_t>(result_bytes_ / sizeof(float));
    add(elements * thread / threads, elements * (thread + 1) / threads, threads);
  }

 private:
  struct Units {
    std::int64_t begin, end;
  };

  static runtime::AlignedBytes filled(std::size_t bytes) {
    runtime::AlignedBytes memory = runtime::allocate_aligned(bytes);
    auto* values = reinterpret_cast<float*>(memory.get());
    for (std::size_t i = 0; i < bytes / sizeof(float); ++i)
      values[i] = static_cast<float>(i % 17) / 16 - 0.5f;
    return memory;
  }

  void run(int thread, std::int64_t batch, std::int64_t first, Units units, std::byte* result) {
    std::vector<void*> buffers;
    for (std::size_t i = 0; i < operands_.size(); ++i)
      buffers.push_back(operands_[i].get() + first * image_bytes_[i]);
    buffers.push_back(result);
    kernel_->run({.buffers = buffers.data(),
                  .batch = batch,
                  .begin = units.begin,
                  .end = units.end,
                  .scratch = scratch_[static_cast<std::size_t>(thread)].get()});
  }

  void add(std::int64_t begin, std::int64_t end, int threads) {
    auto* sum = reinterpret_cast<float*>(results_.back().get());
    std::memcpy(sum + begin, reinterpret_cast<float*>(results_[0].get()) + begin,
                static_cast<std::size_t>(end - begin) * sizeof(float));
    for (int t = 1; t < threads; ++t) {
      const auto* part =
          reinterpret_cast<const float*>(results_[static_cast<std::size_t>(t)].get());
      for (std::int64_t i = begin; i < end; ++i) sum[i] += part[i];
    }
  }

  std::shared_ptr<const codegen::Kernel> kernel_;
  std::int64_t batch_;
  std::vector<runtime::AlignedBytes> operands_, results_, scratch_;  // results: by thread, the sum
  std::vector<std::int64_t> image_bytes_;
  std::size_t result_bytes_ = 0;
  runtime::Barrier barrier_;
};

using Reductions = std::vector<std::unique_ptr<Reduction>>;

Reductions reductions_of(const ir::Graph& graph, const Options& options) {
  const runtime::Plan plan = runtime::make_plan(graph, options.batch);
  Reductions reductions;
  for (const runtime::PlannedCall& call : plan.calls) {
    if (!reduces_batch(*call.spec)) continue;
    const std::vector<const ir::KernelSpec*> spec{call.spec};
    const auto kernels = codegen::compile_cached(spec, *ir::host_isa(), 1);
    reductions.push_back(std::make_unique<Reduction>(plan, call, options, kernels.front()));
  }
  return reductions;
}

template <class Body>
double seconds(int repetitions, const Body& body) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  for (int i = 0; i < repetitions; ++i) body();
  return std::chrono::duration<double>(Clock::now() - start).count() / repetitions;
}

struct Region {
  Reductions& reductions;
  int threads;
  bool ordered;
};
double seconds_of(Region region, int repetitions, runtime::ThreadPool& pool) {
  return seconds(
      repetitions,
      [&] {
        pool.run(
            [](void* context, int thread) {
              const auto& r = *static_cast<Region*>(context);
              for (const auto& reduction : r.reductions)
                r.ordered ? reduction->run_ordered(thread, r.threads)
                          : reduction->run_free(thread, r.threads);
            },
            &region);
      });
}

std::string shown(const Summary& s, const char* unit) {
  return fmt::format("{:.2f} ({:.2f}..{:.2f}) {}", s.median, s.least, s.most, unit);
}

void measure(const std::string& name, const Network& network, const Options& options) {
  Reductions reductions = reductions_of(selected(network, options.batch), options);
  auto step = taper::compile(network.loss, taper::optim::Adam{},
                             {.max_batch = options.batch, .threads = options.threads});
  const auto batch = static_cast<std::size_t>(options.batch);
  std::vector<std::uint8_t> images(batch * 784);
  std::vector<std::int32_t> labels(batch);
  for (std::size_t i = 0; i < images.size(); ++i) images[i] = static_cast<std::uint8_t>(i * 7);
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<std::int32_t>(i % 10);
  const auto pool = runtime::ThreadPool::shared(options.threads);
  std::vector<double> steps, ordered, free, costs;
  for (int round = -1; round < options.rounds; ++round) {  // one to warm up
    const double whole = seconds(options.steps, [&] { step(images, labels); });
    const double a = seconds_of({reductions, options.threads, true}, options.steps, *pool);
    const double b = seconds_of({reductions, options.threads, false}, options.steps, *pool);
    if (round < 0) continue;
    steps.push_back(whole * 1e3);
    ordered.push_back(a * 1e3);
    free.push_back(b * 1e3);
    costs.push_back((a - b) / whole * 100);
  }
  fmt::print("| {} | {} | {} | {} | {} |\n", name, shown(summary(steps), "ms"),
             shown(summary(ordered), "ms"), shown(summary(free), "ms"), shown(summary(costs), "%"));
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("What the fixed order of reductions costs a training step");
  app.add_option("--threads", options.threads)->check(CLI::Range(1, 256));
  app.add_option("--rounds", options.rounds)->check(CLI::PositiveNumber);
  app.add_option("--steps", options.steps, "of a round")->check(CLI::PositiveNumber);
  app.add_option("--batch", options.batch)->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  fmt::print(
      "{} threads, batch {}, {} rounds: median (least..most)\n\n| model | step | reductions over "
      "the batch, ordered | the same, free | cost of the order, of the step |\n"
      "|---|---|---|---|---|\n",
      options.threads, options.batch, options.rounds);
  measure("mlp", record(mlp), options);
  measure("cnn", record(cnn), options);
}
