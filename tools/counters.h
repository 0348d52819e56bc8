// Hardware counters of this process and the threads that it starts, through Linux's
// perf_event_open.
#pragma once

#include <string>
#include <vector>

namespace taper::tools {

struct Count {
  std::string name;
  double value = 0;
};

class Counters {
 public:
  // Opens what the kernel and the processor allow; threads that exist already are not counted.
  Counters();
  Counters(const Counters&) = delete;
  Counters& operator=(const Counters&) = delete;
  ~Counters();

  void start();
  // Since start(), scaled up where counters took turns; only what could be opened.
  std::vector<Count> stop();
  // One sentence on what could not be counted and why; empty when all could.
  const std::string& missing() const { return missing_; }

 private:
  struct Counter {
    std::string name;
    int file = -1;
  };
  std::vector<Counter> counters_;
  std::string missing_;
};

}  // namespace taper::tools
