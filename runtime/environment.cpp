#include "runtime/environment.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <string_view>

#include "codegen/kernel.h"
#include "codegen/masm.h"
#include "runtime/announce.h"

namespace taper::runtime {
namespace {

constexpr int kMaxThreads = 256;

int usable_cpus() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return std::min(CPU_COUNT(&set), kMaxThreads);
}

int thread_count(int requested) {
  if (requested < 0 || requested > kMaxThreads)
    throw Error("CompileOptions::threads: {} is not in 0..{}", requested, kMaxThreads);
  if (requested > 0) return requested;
  const char* text = std::getenv("TAPER_NUM_THREADS");
  if (text == nullptr || *text == '\0') return usable_cpus();
  const std::string_view value = text;
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
  const char* text = std::getenv("TAPER_VERBOSE");
  if (text == nullptr || *text == '\0') return requested;
  const std::string_view value = text;
  if (value != "0" && value != "1" && value != "2")
    throw Error("TAPER_VERBOSE: \"{}\" is not 0, 1 or 2", value);
  return std::max(requested, value.front() - '0');
}

std::string jit_profile(const std::string& requested) {
  check_announcement(requested, "CompileOptions::jit_profile");
  const char* text = std::getenv("TAPER_JIT_PROFILE");
  if (!requested.empty() || text == nullptr) return requested;
  check_announcement(text, "TAPER_JIT_PROFILE");
  return text;
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
  if (options.dump.empty())
    if (const char* dump = std::getenv("TAPER_DUMP")) options.dump = dump;
  if (options.trace.empty())
    if (const char* trace = std::getenv("TAPER_TRACE")) options.trace = trace;
  options.verbose = verbosity(options.verbose);
  options.jit_profile = jit_profile(options.jit_profile);
  return options;
}

}  // namespace taper::runtime
