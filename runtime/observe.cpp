#include "runtime/observe.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "ir/error.h"
#include "ir/kernel.h"

namespace taper::runtime {
namespace {

// Some 200 MB of text; the rest of a longer program is left out.
constexpr std::size_t kMostEvents = 1'000'000;

double microseconds(Clock::duration time) {
  return std::chrono::duration<double, std::micro>(time).count();
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return out + '"';
}

}  // namespace

std::shared_ptr<TraceFile> TraceFile::of(const std::string& path) {
  static std::mutex mutex;
  static std::map<std::string, std::weak_ptr<TraceFile>> open;
  const std::scoped_lock lock(mutex);
  std::weak_ptr<TraceFile>& known = open[path];
  if (auto shared = known.lock()) return shared;
  std::shared_ptr<TraceFile> made(new TraceFile(path));
  known = made;
  return made;
}

TraceFile::TraceFile(std::string path)
    : path_(std::move(path)), file_(std::fopen(path_.c_str(), "we")), opened_(Clock::now()) {
  if (file_ == nullptr) throw Error("TAPER_TRACE: cannot write {}", path_);
  std::fputs("[\n", file_);
}

TraceFile::~TraceFile() {
  // The array ends with an event that has no comma behind it.
  fmt::print(file_,
             "{{\"name\":\"end\",\"ph\":\"i\",\"s\":\"g\",\"pid\":0,\"tid\":0,\"ts\":{:.3f}}}\n]\n",
             microseconds(Clock::now() - opened_));
  std::fclose(file_);
}

void TraceFile::put(const std::string& event) {
  if (events_ == kMostEvents) fmt::print(stderr, "taper: {} is full\n", path_);
  if (events_++ >= kMostEvents) return;
  std::fputs(event.c_str(), file_);
}

int TraceFile::add_program(const std::string& name) {
  const std::scoped_lock lock(mutex_);
  put(fmt::format(
      "{{\"name\":\"process_name\",\"ph\":\"M\",\"pid\":{},\"args\":{{\"name\":{}}}}},\n",
      ++programs_, quoted(name)));
  return programs_;
}

void TraceFile::add_run(int program, Clock::time_point start,
                        const std::vector<ProfileEvent>& events,
                        const std::vector<std::string>& names) {
  const std::scoped_lock lock(mutex_);
  const double began = microseconds(start - opened_);
  for (const ProfileEvent& event : events)
    put(fmt::format(
        "{{\"name\":{},\"cat\":\"{}\",\"ph\":\"X\",\"pid\":{},\"tid\":{},\"ts\":{:.3f},"
        "\"dur\":{:.3f},\"args\":{{\"call\":{}}}}},\n",
        quoted(event.wait ? "wait" : names[event.call]), event.wait ? "barrier" : "kernel", program,
        event.thread, began + event.begin * 1e6, (event.end - event.begin) * 1e6, event.call));
  std::fflush(file_);
}

std::unique_ptr<RunObserver> RunObserver::of(const CompileOptions& options, const Plan& plan) {
  if (options.trace.empty() && options.verbose < 2) return nullptr;
  auto observer = std::make_unique<RunObserver>();
  observer->name_ = options.name;
  observer->prints_ = options.verbose >= 2;
  for (const PlannedCall& call : plan.calls) observer->calls_.push_back(ir::lowering(*call.spec));
  // The interpreter has no kernels; a run is one event.
  if (options.interpret) observer->calls_ = {"interpreter"};
  if (!options.trace.empty()) {
    observer->trace_ = TraceFile::of(options.trace);
    observer->track_ = observer->trace_->add_program(options.name);
  }
  return observer;
}

void RunObserver::add(Clock::time_point start, const std::vector<ProfileEvent>& events,
                      ir::Dim batch) {
  if (trace_ != nullptr) trace_->add_run(track_, start, events, calls_);
  if (prints_) print(events, batch);
}

// A call takes as long as the thread that is at it longest.
void RunObserver::print(const std::vector<ProfileEvent>& events, ir::Dim batch) const {
  std::vector<std::map<int, double>> seconds(calls_.size());
  for (const ProfileEvent& event : events)
    if (!event.wait) seconds[event.call][event.thread] += event.end - event.begin;
  std::string text;
  for (std::size_t c = 0; c < calls_.size(); ++c) {
    double longest = 0;
    for (const auto& [thread, own] : seconds[c]) longest = std::max(longest, own);
    fmt::format_to(std::back_inserter(text), "taper,run,{},{},{},{},{:.4f}\n", name_, c, calls_[c],
                   batch, longest * 1e3);
  }
  std::fputs(text.c_str(), stderr);
}

}  // namespace taper::runtime
