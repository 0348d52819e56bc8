#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "runtime/program.h"

namespace taper::runtime {
namespace {

std::filesystem::path dump_path(const CompileOptions& options, const std::string& suffix) {
  std::error_code error;
  std::filesystem::create_directories(options.dump, error);
  return std::filesystem::path(options.dump) / (options.name + suffix);
}

void write_text(const std::filesystem::path& path, const std::string& text) {
  std::ofstream file(path);
  file << text;
  file.close();
  if (!file) throw Error("dump: cannot write {}", path.string());
}

}  // namespace

std::string buffer_names(const Plan& plan, const PlannedCall& call) {
  std::string text;
  for (std::size_t b = 0; b < call.buffers.size(); ++b) {
    text += b == call.operands ? " -> " : b == 0 ? "" : ", ";
    text += plan.buffer(call.buffers[b]).name;
  }
  return text;
}

std::string describe(const Plan& plan, const std::vector<ScheduledCall>& schedule,
                     const std::vector<Chain>& chains, const Report& report, ir::Dim max_batch) {
  std::string text;
  auto out = std::back_inserter(text);
  fmt::format_to(out,
                 "isa {}, {} threads, {} kernels, {} barriers, arena {} bytes, code {} bytes\n",
                 report.isa, report.threads, report.kernels, report.barriers, report.arena_bytes,
                 report.code_bytes);
  fmt::format_to(out, "\nkernels (cost in MFLOP at batch {})\n", max_batch);
  auto chain = chains.begin();
  for (std::size_t c = 0; c < plan.calls.size(); ++c) {
    const PlannedCall& call = plan.calls[c];
    if (c > 0 && c == plan.kept) text += "---- the results above hold until a weight changes\n";
    if (schedule[c].barrier_before) fmt::format_to(out, "---- barrier\n");
    if (chain != chains.end() && chain->first == c) {
      if (chain->group > 0)
        fmt::format_to(out, "---- {} to {}, {} {} at a time{}\n", c, chain->end - 1, chain->group,
                       chain->planes > 1 ? "planes" : "images",
                       chain->computing > 0 ? ", threads in turn" : "");
      ++chain;
    }
    fmt::format_to(out, "{:3} {:<16} {:10.3f}  ", c, ir::lowering(*call.spec),
                   ir::flops(*call.spec, max_batch) / 1e6);
    text += buffer_names(plan, call);
    fmt::format_to(out, "\n      {}\n", ir::to_string(*call.spec));
  }
  fmt::format_to(out, "\narena (offset, bytes, live during calls)\n");
  for (const Buffer& buffer : plan.buffers)
    if (buffer.place == Buffer::Place::arena && buffer.last >= buffer.first)
      fmt::format_to(out, "{:12} {:12} [{}, {}] {} {}{}\n", buffer.offset, buffer.bytes,
                     buffer.first, buffer.last, buffer.name, ir::to_string(buffer.type),
                     buffer.thread_bytes > 0 ? ", a group of images of each thread" : "");
  return text;
}

void print_events(const std::string& name, const Plan& plan, const Report& report,
                  ir::Dim max_batch, bool with_runs) {
  std::string text =
      "taper,template,compile,name,isa,threads,kernels,barriers,code_bytes,arena_bytes,ms\n"
      "taper,template,kernel,name,call,lowering,mflop,spec\n";
  if (with_runs) text += "taper,template,run,name,call,lowering,batch,ms\n";
  auto out = std::back_inserter(text);
  fmt::format_to(out, "taper,compile,{},{},{},{},{},{},{},{:.3f}\n", name, report.isa,
                 report.threads, report.kernels, report.barriers, report.code_bytes,
                 report.arena_bytes, report.compile_seconds * 1e3);
  for (std::size_t c = 0; c < plan.calls.size(); ++c)
    fmt::format_to(
        out, "taper,kernel,{},{},{},{:.3f},{}\n", name, c, ir::lowering(*plan.calls[c].spec),
        ir::flops(*plan.calls[c].spec, max_batch) / 1e6, ir::to_string(*plan.calls[c].spec));
  std::fputs(text.c_str(), stderr);
}

void dump_stage(const CompileOptions& options, int number, std::string_view stage,
                const ir::Graph& graph) {
  if (options.dump.empty()) return;
  write_text(dump_path(options, fmt::format(".{:02}-{}.tir", number, stage)), ir::print(graph));
}

void dump_program(const CompileOptions& options, const std::string& plan,
                  const codegen::Kernels& kernels) {
  if (options.interpret) return;
  write_text(dump_path(options, ".plan.txt"), plan);
  std::string listing;
  std::set<const codegen::Kernel*> seen;
  for (std::size_t c = 0; c < kernels.size(); ++c) {
    if (!seen.insert(kernels[c].get()).second) continue;
    for (const codegen::Routine* routine : kernels[c]->routines())
      fmt::format_to(std::back_inserter(listing), "; kernel {}: {}, {} bytes\n{}\n", c,
                     routine->name, routine->code->bytes.size(), routine->listing);
  }
  write_text(dump_path(options, ".asm"), listing);
}

}  // namespace taper::runtime
