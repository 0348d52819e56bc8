// Which cache lines change hands before they are written.
#include <algorithm>
#include <cstdint>
#include <functional>
#include <numeric>
#include <optional>
#include <utility>
#include <variant>

#include "ir/ahead.h"
#include "runtime/schedule.h"

namespace taper::runtime {
namespace {

// Of more, the first lines would be gone from the second-level cache before they are written.
constexpr std::int64_t kMostBytes = std::int64_t{1} << 20;
// Operations that last longer than a line takes to change hands.
constexpr double kFlopsPerLine = 4096;

bool is_free(const ScheduledCall& call) {
  return std::ranges::all_of(call.written_later, &std::span<std::byte>::empty);
}

// The call that can take over lines of `buffer` for call `update`: every thread has read the
// buffer when it begins, and it has no others to take over. Nothing if no call before the update
// reads the buffer.
std::optional<std::size_t> host_of(const Plan& plan, const std::vector<ScheduledCall>& schedule,
                                   std::size_t update, int buffer, ir::Dim max_batch) {
  std::optional<std::size_t> largest, behind_barrier;
  double most = 0;
  for (std::size_t c = update; c-- > 0;) {
    const PlannedCall& call = plan.calls[c];
    if (std::ranges::find(call.buffers, buffer) != call.buffers.end()) return behind_barrier;
    const auto* gemm = std::get_if<ir::GemmSpec>(call.spec);
    const double flops = ir::flops(*call.spec, max_batch);
    if (gemm != nullptr && gemm->m != ir::kBatch && flops > most && is_free(schedule[c])) {
      largest = c;
      most = flops;
    }
    if (schedule[c].barrier_before) behind_barrier = largest;
  }
  return std::nullopt;
}

std::span<std::byte> whole_lines(std::span<std::byte> bytes) {
  const auto at = reinterpret_cast<std::uintptr_t>(bytes.data());
  const std::size_t before = std::min<std::size_t>(-at % ir::kCacheLine, bytes.size());
  return bytes.subspan(before, (bytes.size() - before) / ir::kCacheLine * ir::kCacheLine);
}

}  // namespace

void take_over_early(const Plan& plan, std::vector<ScheduledCall>& schedule, int threads,
                     ir::Dim max_batch) {
  for (ScheduledCall& call : schedule) call.written_later.resize(static_cast<std::size_t>(threads));
  for (std::size_t u = 0; u < schedule.size() && threads > 1; ++u) {
    const PlannedCall& update = plan.calls[u];
    const auto results = std::span(update.buffers).subspan(update.operands);
    std::vector<std::size_t> order(results.size());
    std::iota(order.begin(), order.end(), 0);
    // The largest product to the largest.
    std::ranges::stable_sort(order, std::greater(),
                             [&](std::size_t i) { return plan.buffer(results[i]).bytes; });
    for (const std::size_t i : order) {
      const Buffer& buffer = plan.buffer(results[i]);
      if (buffer.place != Buffer::Place::variable || buffer.bytes > kMostBytes) continue;
      const auto host = host_of(plan, schedule, u, results[i], max_batch);
      if (!host) continue;
      const double lines = static_cast<double>(buffer.bytes) / ir::kCacheLine;
      if (ir::flops(*plan.calls[*host].spec, max_batch) < kFlopsPerLine * lines) continue;
      const codegen::Kernel& kernel = *schedule[u].kernel;
      codegen::Call call{.buffers = schedule[u].buffers.data(), .batch = max_batch};
      std::int64_t part = 0;
      for (std::span<std::byte>& share : schedule[*host].written_later) {
        call.begin = std::exchange(call.end, kernel.units(max_batch) * ++part / threads);
        share = whole_lines(kernel.written(call, i));
      }
    }
  }
}

}  // namespace taper::runtime
