#include "bench/roofline.h"

#include <cstdint>
#include <cstring>
#include <ctime>

#include "codegen/masm.h"

namespace taper::bench {
namespace {

// More than the latency times the throughput of any core's FMA, fewer than AVX2's registers.
constexpr int kAccumulators = 12;
constexpr int kUnrolled = 4;
constexpr std::int64_t kTurns = 100'000;
// Bytes of a copy: more than the last-level caches hold.
constexpr std::size_t kCopied = std::size_t{96} << 20;

codegen::CodeMemory fma_loop(const ir::Isa& isa) {
  const auto m = codegen::make_masm(isa);
  m->begin("fma_peak");
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

}  // namespace

double seconds(int threads) {
  timespec now{};
  clock_gettime(threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

Roofline::Roofline(const ir::Isa& isa, int threads)
    : threads_(threads),
      flops_(2.0 * isa.lanes * kAccumulators * kUnrolled),
      code_(fma_loop(isa)),
      pool_(runtime::ThreadPool::shared(threads)) {}

double Roofline::fma() {
  const auto body = [](void* self, int) {
    static_cast<const Roofline*>(self)->code_.entry()(&kTurns);
  };
  const double start = seconds(threads_);
  pool_->run(body, this);
  const double turns = static_cast<double>(kTurns) * threads_;
  fma_samples_.push_back(flops_ * turns / (seconds(threads_) - start));
  return fma_samples_.back();
}

double Roofline::copy() {
  if (from_ == nullptr) {
    from_ = runtime::allocate_aligned(kCopied);
    to_ = runtime::allocate_aligned(kCopied);
  }
  const auto body = [](void* self, int thread) {
    const Roofline& roofline = *static_cast<const Roofline*>(self);
    const auto part = kCopied / static_cast<std::size_t>(roofline.threads_);
    const std::size_t first = part * static_cast<std::size_t>(thread);
    std::memcpy(roofline.to_.get() + first, roofline.from_.get() + first, part);
  };
  const double start = seconds(threads_);
  pool_->run(body, this);
  copy_samples_.push_back(2 * static_cast<double>(kCopied) / (seconds(threads_) - start));
  return copy_samples_.back();
}

}  // namespace taper::bench
