#include "runtime/environment.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <string>

#include "codegen/kernel.h"
#include "codegen/masm.h"
#include "runtime/announce.h"

namespace taper::runtime {
namespace {

constexpr int kMaxThreads = 256;

// Empty when it is not set.
std::string value_of(const char* variable) {
  const char* text = std::getenv(variable);
  return text == nullptr ? "" : text;
}

int usable_cpus() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return std::min(CPU_COUNT(&set), kMaxThreads);
}

int thread_count(int requested) {
  if (requested < 0 || requested > kMaxThreads)
    throw Error("CompileOptions::threads: {} is not in 0..{}", requested, kMaxThreads);
  if (requested > 0) return requested;
  const std::string value = value_of("TAPER_NUM_THREADS");
  if (value.empty()) return usable_cpus();
  int threads = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), threads);
  if (error != std::errc() || end != value.data() + value.size() || threads < 1 ||
      threads > kMaxThreads)
    throw Error("TAPER_NUM_THREADS: \"{}\" is not in 1..{}", value, kMaxThreads);
  return threads;
}

int verbosity(int requested) {
  if (requested < 0 || requested > 2)
    throw Error("CompileOptions::verbose: {} is not in 0..2", requested);
  const std::string value = value_of("TAPER_VERBOSE");
  if (value.empty()) return requested;
  if (value != "0" && value != "1" && value != "2")
    throw Error("TAPER_VERBOSE: \"{}\" is not 0, 1 or 2", value);
  return std::max(requested, value.front() - '0');
}

std::string jit_profile(const std::string& requested) {
  check_announcement(requested, "CompileOptions::jit_profile");
  if (!requested.empty()) return requested;
  const std::string value = value_of("TAPER_JIT_PROFILE");
  check_announcement(value, "TAPER_JIT_PROFILE");
  return value;
}

}  // namespace

CompileOptions resolve(CompileOptions options) {
  if (options.max_batch < 1)
    throw Error("CompileOptions::max_batch: {} is not positive", options.max_batch);
  options.threads = thread_count(options.threads);
  if (options.isa != nullptr && !ir::runs_on(*options.isa, ir::host_features()))
    throw Error("CompileOptions::isa: this processor has no {}", options.isa->name);
  if (options.isa == nullptr && !options.interpret) {
    options.isa = ir::host_isa();
    if (options.isa != nullptr && !codegen::has_emitter(*options.isa)) options.isa = nullptr;
  }
  if (options.isa == nullptr || !codegen::CodeMemory::allowed()) options.interpret = true;
  if (options.dump.empty()) options.dump = value_of("TAPER_DUMP");
  if (options.trace.empty()) options.trace = value_of("TAPER_TRACE");
  options.verbose = verbosity(options.verbose);
  options.jit_profile = jit_profile(options.jit_profile);
  return options;
}

}  // namespace taper::runtime
