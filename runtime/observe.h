// What TAPER_TRACE and TAPER_VERBOSE=2 tell of runs. Programs that nobody observes do not ask.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "runtime/executable.h"
#include "runtime/plan.h"

namespace taper::runtime {

using Clock = std::chrono::steady_clock;

// A file of Chrome's trace events (an array, one event a line; ui.perfetto.dev opens it), which all
// programs of the process that name its path share. It may lack its end: readers accept that, so a
// killed process leaves a trace too. Thread-safe.
class TraceFile {
 public:
  // Opens the file, or shares it. Throws taper::Error when it cannot be written.
  static std::shared_ptr<TraceFile> of(const std::string& path);
  TraceFile(const TraceFile&) = delete;
  TraceFile& operator=(const TraceFile&) = delete;
  ~TraceFile();

  // The number of a row of tracks with this title.
  int add_program(const std::string& name);
  // `names`: of the kernel calls.
  void add_run(int program, Clock::time_point start, const std::vector<ProfileEvent>& events,
               const std::vector<std::string>& names);

 private:
  explicit TraceFile(std::string path);
  void put(const std::string& event);

  std::mutex mutex_;
  std::string path_;
  std::FILE* file_;
  Clock::time_point opened_;
  std::size_t events_ = 0;
  int programs_ = 0;
};

// Writes what one program's options ask for. Not to be shared by threads.
class RunObserver {
 public:
  // Nothing when `options` ask for nothing. Throws taper::Error as TraceFile::of does.
  static std::unique_ptr<RunObserver> of(const CompileOptions& options, const Plan& plan);
  void add(Clock::time_point start, const std::vector<ProfileEvent>& events, ir::Dim batch);

 private:
  void print(const std::vector<ProfileEvent>& events, ir::Dim batch) const;

  std::string name_;
  std::vector<std::string> calls_;  // their lowerings
  std::shared_ptr<TraceFile> trace_;
  int track_ = 0;
  bool prints_ = false;
};

}  // namespace taper::runtime
