#include "tools/roofline.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <vector>

#include "codegen/kernel.h"
#include "codegen/masm.h"
#include "runtime/aligned.h"
#include "runtime/thread_pool.h"

namespace taper::tools {
namespace {

// More than the latency times the throughput of any core's FMA, fewer than AVX2's registers.
constexpr int kAccumulators = 12, kUnrolled = 4, kRounds = 5;
constexpr std::int64_t kTurns = 100'000;
// More than the last-level caches hold.
constexpr std::size_t kCopied = std::size_t{96} << 20;

codegen::CodeMemory multiply_add_loop(const ir::Isa& isa) {
  const auto m = codegen::make_masm(isa);
  m->begin("multiply_add");
  const codegen::Gp count = m->gp();
  m->load(count, {m->args(), 0});
  const codegen::Vec factor = m->vec();
  m->zero(factor);
  std::vector<codegen::Vec> accumulators;
  for (int i = 0; i < kAccumulators; ++i) {
    accumulators.push_back(m->vec());
    m->zero(accumulators.back());
  }
  const codegen::Label top = m->label();
  m->bind(top);
  for (int i = 0; i < kUnrolled; ++i)
    for (const codegen::Vec accumulator : accumulators) m->fma(accumulator, factor, factor);
  m->loop(count, top);
  m->end();
  return codegen::CodeMemory(m->finish().bytes);
}

struct Copy {
  runtime::AlignedBytes from, to;
  std::size_t threads;
};

template <class Body, class Context>
double best_seconds(runtime::ThreadPool& pool, const Body& body, Context* context) {
  using Clock = std::chrono::steady_clock;
  double best = 1e30;
  for (int round = 0; round < kRounds; ++round) {
    const auto start = Clock::now();
    pool.run(body, context);
    best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
  }
  return best;
}

}  // namespace

double Roofline::seconds(double work, double moved) const {
  return std::max(work / flops, moved / bytes);
}

Roofline measure_roofline(const ir::Isa& isa, int threads) {
  const auto pool = runtime::ThreadPool::shared(threads);
  codegen::CodeMemory code = multiply_add_loop(isa);
  const double loop = best_seconds(
      *pool, [](void* of, int) { static_cast<codegen::CodeMemory*>(of)->entry()(&kTurns); }, &code);
  Copy copy{runtime::allocate_aligned(kCopied), runtime::allocate_aligned(kCopied),
            static_cast<std::size_t>(threads)};
  const double copied = best_seconds(
      *pool,
      [](void* of, int thread) {
        const Copy& c = *static_cast<const Copy*>(of);
        const std::size_t part = kCopied / c.threads,
                          first = part * static_cast<std::size_t>(thread);
        std::memcpy(c.to.get() + first, c.from.get() + first, part);
      },
      &copy);
  return {
      2.0 * isa.lanes * kAccumulators * kUnrolled * static_cast<double>(kTurns) * threads / loop,
      2.0 * static_cast<double>(kCopied) / copied};
}

}  // namespace taper::tools
