#include "runtime/thread_pool.h"

#include <map>
#include <mutex>

#include "codegen/parallel.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace taper::runtime {
namespace {

// A wait is normally over within a microsecond; a longer one means that the other thread has lost
// its CPU, and spinning on would take that CPU from it.
constexpr int kSpins = 2000;
// As long as a few milliseconds.
constexpr int kPatientSpins = 50000;

void pause() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

std::uint64_t float_control() {
#if defined(__x86_64__)
  return _mm_getcsr();
#elif defined(__aarch64__)
  std::uint64_t value;
  asm volatile("mrs %0, fpcr" : "=r"(value));
  return value;
#else
  return 0;
#endif
}

void set_float_control([[maybe_unused]] std::uint64_t value) {
#if defined(__x86_64__)
  _mm_setcsr(static_cast<unsigned>(value));
#elif defined(__aarch64__)
  asm volatile("msr fpcr, %0" : : "r"(value));
#endif
}

#if defined(__aarch64__)
constexpr std::uint64_t kFlushBits = std::uint64_t{1} << 24;  // FPCR.FZ
#else
constexpr std::uint64_t kFlushBits = 0x8040;  // MXCSR.FTZ and DAZ
#endif

}  // namespace

void Event::wait_while(std::uint32_t old) const {
  for (int i = 0; i < kSpins; ++i) {
    if (value() != old) return;
    pause();
  }
  value_.wait(old, std::memory_order_acquire);
}

void Event::advance() {
  value_.fetch_add(1, std::memory_order_release);
  value_.notify_all();
}

void Barrier::arrive_and_wait() {
  if (threads_ == 1) return;
  const std::uint32_t phase = phase_.value();
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == threads_) {
    arrived_.store(0, std::memory_order_relaxed);
    phase_.advance();
  } else {
    phase_.wait_while(phase);
  }
}

void Progress::await(std::uint64_t point) const {
  for (int i = 0; i < kPatientSpins && point_.load(std::memory_order_acquire) < point; ++i) pause();
}

FlushDenormals::FlushDenormals() : saved_(float_control()) {
  set_float_control(saved_ | kFlushBits);
}
FlushDenormals::~FlushDenormals() {
  set_float_control(saved_);
}

ThreadPool::ThreadPool(int threads) : done_(threads) {
  for (int i = 1; i < threads; ++i) workers_.emplace_back([this, i] { work(i); });
  codegen::spread_over_cpus(workers_);
}

ThreadPool::~ThreadPool() {
  stop_.store(true, std::memory_order_relaxed);
  start_.advance();
}

void ThreadPool::work(int thread) {
  const FlushDenormals flush;
  std::uint32_t seen = 0;
  while (true) {
    start_.wait_while(seen);
    ++seen;  // a region cannot start before the last one's end, so none is ever skipped
    if (stop_.load(std::memory_order_relaxed)) return;
    body_(context_, thread);
    done_.arrive_and_wait();
  }
}

void ThreadPool::run(Body body, void* context) {
  const FlushDenormals flush;
  if (workers_.empty()) return body(context, 0);
  while (busy_.test_and_set(std::memory_order_acquire)) busy_.wait(true);
  body_ = body;
  context_ = context;
  start_.advance();
  body(context, 0);
  done_.arrive_and_wait();
  busy_.clear(std::memory_order_release);
  busy_.notify_one();
}

std::shared_ptr<ThreadPool> ThreadPool::shared(int threads) {
  static std::mutex mutex;
  static std::map<int, std::weak_ptr<ThreadPool>> pools;
  const std::scoped_lock lock(mutex);
  std::shared_ptr<ThreadPool> pool = pools[threads].lock();
  if (!pool) pools[threads] = pool = std::make_shared<ThreadPool>(threads);
  return pool;
}

}  // namespace taper::runtime
