#include "tools/counters.h"

#include <fmt/format.h>
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace taper::tools {
namespace {

struct Event {
  const char* name;
  std::uint32_t type;
  std::uint64_t config;
};

constexpr std::uint64_t misses(std::uint64_t cache) {
  return cache | PERF_COUNT_HW_CACHE_OP_READ << 8 | PERF_COUNT_HW_CACHE_RESULT_MISS << 16;
}

constexpr std::array kEvents = {
    Event{"CPU seconds", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK},
    Event{"page faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS},
    Event{"cycles", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES},
    Event{"instructions", PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS},
    Event{"branch misses", PERF_TYPE_HARDWARE, PERF_COUNT_HW_BRANCH_MISSES},
    Event{"L1 load misses", PERF_TYPE_HW_CACHE, misses(PERF_COUNT_HW_CACHE_L1D)},
    Event{"last-level load misses", PERF_TYPE_HW_CACHE, misses(PERF_COUNT_HW_CACHE_LL)},
    Event{"TLB load misses", PERF_TYPE_HW_CACHE, misses(PERF_COUNT_HW_CACHE_DTLB)},
};

int open_event(const Event& event) {
  perf_event_attr attributes{};
  attributes.size = sizeof attributes;
  attributes.type = event.type;
  attributes.config = event.config;
  attributes.disabled = 1;
  attributes.inherit = 1;
  attributes.exclude_kernel = 1;
  attributes.exclude_hv = 1;
  attributes.read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING;
  return static_cast<int>(
      syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC));
}

}  // namespace

Counters::Counters() {
  std::string names, reason;
  for (const Event& event : kEvents) {
    const int file = open_event(event);
    if (file >= 0) {
      counters_.push_back({event.name, file});
      continue;
    }
    reason = std::strerror(errno);
    names += (names.empty() ? "" : ", ") + std::string(event.name);
  }
  if (!names.empty())
    missing_ =
        fmt::format("--counters: this kernel or processor does not count {} ({})", names, reason);
}

Counters::~Counters() {
  for (const Counter& counter : counters_) close(counter.file);
}

void Counters::start() {
  for (const Counter& counter : counters_) {
    ioctl(counter.file, PERF_EVENT_IOC_RESET, 0);
    ioctl(counter.file, PERF_EVENT_IOC_ENABLE, 0);
  }
}

std::vector<Count> Counters::stop() {
  for (const Counter& counter : counters_) ioctl(counter.file, PERF_EVENT_IOC_DISABLE, 0);
  std::vector<Count> counts;
  for (const Counter& counter : counters_) {
    struct {
      std::uint64_t value, enabled, running;
    } read_back{};
    if (read(counter.file, &read_back, sizeof read_back) != sizeof read_back) continue;
    double value = static_cast<double>(read_back.value);
    if (read_back.running > 0 && read_back.running < read_back.enabled)
      value *= static_cast<double>(read_back.enabled) / static_cast<double>(read_back.running);
    if (counter.name == "CPU seconds") value *= 1e-9;
    counts.push_back({counter.name, value});
  }
  return counts;
}

}  // namespace taper::tools
