// taper info: what this machine has and what taper makes of it.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/Version.hpp>
#include <fstream>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "codegen/kernel.h"
#include "codegen/masm.h"
#include "runtime/environment.h"
#include "tools/command.h"

namespace taper::tools {
namespace {

// The value of the first line of a "key : value" file that begins with `key`.
std::string first_value(const char* file, std::string_view key) {
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with(key) && line.find(':') != std::string::npos)
      return line.substr(std::min(line.find(':') + 2, line.size()));
  return "unknown";
}

std::string cache(int name) {
  const long bytes = sysconf(name);
  return bytes > 0 ? fmt::format("{} KiB", bytes / 1024) : "unknown";
}

void print_features(const ir::CpuFeatures& f) {
  const std::pair<const char*, bool> features[] = {
      {"avx2", f.avx2},         {"fma", f.fma},           {"f16c", f.f16c},
      {"bmi2", f.bmi2},         {"avx512f", f.avx512f},   {"avx512bw", f.avx512bw},
      {"avx512dq", f.avx512dq}, {"avx512vl", f.avx512vl}, {"avx512vnni", f.avx512vnni},
      {"neon", f.neon},         {"asimddp", f.asimddp},   {"i8mm", f.i8mm}};
  std::string has, lacks;
  for (const auto& [name, present] : features) (present ? has : lacks).append(" ").append(name);
  fmt::print("has           {}\n", has.empty() ? "nothing of interest" : has.substr(1));
  fmt::print("lacks         {}\n", lacks.empty() ? "nothing" : lacks.substr(1));
  fmt::print("saved state   XCR0 {:#x} (0x06: ymm, 0xe6: zmm and masks)\n", f.xcr0);
}

void print_isa(const ir::Isa& isa, const ir::Isa* chosen) {
  const bool runs = ir::select_isa(ir::host_features(), std::string(isa.name)) == &isa;
  fmt::print("  {:<12} {:2} lanes, {} registers, {}, {}{}\n", isa.name, isa.lanes,
             isa.vector_registers,
             codegen::has_emitter(isa) ? "code generator" : "no code generator",
             runs ? "runs here" : "does not run here", &isa == chosen ? ", chosen" : "");
}

void run_info() {
  const runtime::CompileOptions options = runtime::resolve({});
  const char* cap = std::getenv("TAPER_MAX_ISA");
  fmt::print("taper         {}, built by {} {}\n", TAPER_VERSION,
#ifdef __clang__
             "clang", __clang_version__
#else
             "gcc", __VERSION__
#endif
  );
  fmt::print("libraries     {}, fmt {}.{}.{}, nlohmann-json {}.{}.{}, CLI11 {}\n",
             codegen::assembler(), FMT_VERSION / 10000, FMT_VERSION / 100 % 100, FMT_VERSION % 100,
             NLOHMANN_JSON_VERSION_MAJOR, NLOHMANN_JSON_VERSION_MINOR, NLOHMANN_JSON_VERSION_PATCH,
             CLI11_VERSION);
  fmt::print("cpu           {}\n", first_value("/proc/cpuinfo", "model name"));
  print_features(ir::host_features());
  fmt::print(
      "instructions  {}{}\n", options.interpret ? "none: the interpreter runs" : options.isa->name,
      cap == nullptr || *cap == '\0' ? "" : fmt::format(", capped by TAPER_MAX_ISA={}", cap));
  for (const ir::Isa* isa : ir::all_isas()) print_isa(*isa, options.isa);
  fmt::print("caches        L1d {}, L2 {}, L3 {}\n", cache(_SC_LEVEL1_DCACHE_SIZE),
             cache(_SC_LEVEL2_CACHE_SIZE), cache(_SC_LEVEL3_CACHE_SIZE));
  fmt::print("threads       {}\n", options.threads);
  fmt::print("code memory   {}\n", codegen::CodeMemory::allowed()
                                       ? "granted, never writable and executable at once"
                                       : "refused by the system: the interpreter runs");
}

}  // namespace

void add_info(CLI::App& app) {
  CLI::App* info = app.add_subcommand("info", "What this machine has and what taper makes of it");
  info->footer("\nExamples:\n  taper info\n  TAPER_MAX_ISA=avx2 taper info\n");
  info->callback([] { run_info(); });
}

}  // namespace taper::tools
