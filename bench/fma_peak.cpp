#include "bench/fma_peak.h"

#include <cstdint>
#include <ctime>

#include "codegen/masm.h"

namespace taper::bench {
namespace {

// More than the latency times the throughput of any core's FMA, fewer than AVX2's registers.
constexpr int kAccumulators = 12;
constexpr int kUnrolled = 4;

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
  for (int i = 0; i < kUnrolled; ++i) {
    for (const codegen::Vec accumulator : accumulators) m->fma(accumulator, factor, factor);
  }
  m->loop(count, top);
  m->end();
  return codegen::CodeMemory(m->finish().bytes);
}

}  // namespace

double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

FmaPeak::FmaPeak(const ir::Isa& isa)
    : flops_(2.0 * isa.lanes * kAccumulators * kUnrolled), code_(fma_loop(isa)) {}

double FmaPeak::measure() {
  const std::int64_t turns = 100'000;
  const double start = thread_seconds();
  code_.entry()(&turns);
  samples_.push_back(flops_ * static_cast<double>(turns) / (thread_seconds() - start));
  return samples_.back();
}

}  // namespace taper::bench
