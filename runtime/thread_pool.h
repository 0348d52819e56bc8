// Threads that run one region together: fork, barriers inside, join. Waiting spins for a short
// while and then sleeps; a region makes no system call unless a thread has gone to sleep.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

namespace taper::runtime {

// A counter that threads wait on: spin first, then sleep in the kernel.
class Event {
 public:
  std::uint32_t value() const { return value_.load(std::memory_order_acquire); }
  void wait_while(std::uint32_t old) const;
  void advance();  // value + 1; wakes all sleepers

 private:
  alignas(64) std::atomic<std::uint32_t> value_{0};
};

// All `threads` threads of a region must arrive before any goes on.
class Barrier {
 public:
  explicit Barrier(int threads) : threads_(threads) {}
  void arrive_and_wait();

 private:
  const int threads_;
  alignas(64) std::atomic<int> arrived_{0};
  Event phase_;
};

// How far a thread has come in its work, for another one that had better be a little behind it.
class Progress {
 public:
  void reach(std::uint64_t point) { point_.store(point, std::memory_order_release); }
  // Until the thread is at `point` or beyond, or takes so long that it must have lost its CPU.
  void await(std::uint64_t point) const;

 private:
  alignas(64) std::atomic<std::uint64_t> point_{0};
};

class ThreadPool {
 public:
  // A region's body: (context, thread index in [0, threads of the region)).
  using Body = void (*)(void* context, int thread);

  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // Runs body on all threads, the caller being thread 0, and returns when all are done. Regions of
  // several callers run one after another. Body must not throw. Every thread computes with
  // denormals flushed to zero; the caller's state is restored.
  void run(Body body, void* context);

  // The process's pool of that many threads, shared by all who hold it.
  static std::shared_ptr<ThreadPool> shared(int threads);

 private:
  void work(int thread);

  Body body_ = nullptr;
  void* context_ = nullptr;
  std::atomic<bool> stop_{false};
  std::atomic_flag busy_;
  Event start_;
  Barrier done_;
  std::vector<std::jthread> workers_;  // last: they are joined before the rest goes
};

// Sets flush-to-zero and denormals-are-zero for its lifetime.
class FlushDenormals {
 public:
  FlushDenormals();
  ~FlushDenormals();
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
  std::uint64_t saved_;
};

}  // namespace taper::runtime
