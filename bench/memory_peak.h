// The most memory that a piece of a program had in use beyond what it started with.
#pragma once

#include <taper/taper.h>

#include <cstdint>
#include <fstream>
#include <string>

namespace taper::bench {

// Resident memory, as Linux counts it, from the construction on.
class MemoryPeak {
 public:
  MemoryPeak() {
    // 5 makes the present size the peak.
    std::ofstream("/proc/self/clear_refs") << 5 << std::flush;
    start_ = kibibytes("VmHWM:");
  }
  std::int64_t bytes() const { return (kibibytes("VmHWM:") - start_) * 1024; }

 private:
  static std::int64_t kibibytes(const std::string& field) {
    std::ifstream status("/proc/self/status");
    std::string word;
    std::int64_t value = 0;
    while (status >> word)
      if (word == field && status >> value) return value;
    throw Error("/proc/self/status does not tell the peak of resident memory");
  }

  std::int64_t start_ = 0;
};

}  // namespace taper::bench
