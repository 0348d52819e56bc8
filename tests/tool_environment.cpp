// TAPER_VERBOSE and TAPER_JIT_PROFILE, seen from outside of a process that ran with them.
#include <elf.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "runtime/announce.h"
#include "taper/taper.h"
#include "tests/tool.h"

// GDB's list of objects (runtime/gdb_object.cpp).
extern "C" {
struct jit_code_entry {
  jit_code_entry* next_entry;
  jit_code_entry* prev_entry;
  const char* symfile_addr;
  std::uint64_t symfile_size;
};
struct jit_descriptor {
  std::uint32_t version;
  std::uint32_t action_flag;
  jit_code_entry* relevant_entry;
  jit_code_entry* first_entry;
};
extern jit_descriptor __jit_debug_descriptor;
}

namespace taper {
namespace {

class ToolEnvironment : public Tool {
 protected:
  std::vector<std::string> arguments() const {
    return {"run", write("model.tir", kConvolution).string(), "--input", "x=random:1"};
  }
  static std::vector<std::shared_ptr<const codegen::Kernel>> kernels(std::int64_t rows) {
    return {codegen::compile(ir::RowSpec{ir::RowKind::softmax, rows, 1, 10}, *ir::host_isa())};
  }
};

TEST_F(ToolEnvironment, VerbosePrintsALinePerEvent) {
  const Outcome said = taper(arguments(), {"TAPER_VERBOSE=1"});
  EXPECT_EQ(said.status, 0);
  EXPECT_TRUE(says(said.err, "taper,template,compile,name,isa,"));
  EXPECT_TRUE(says(said.err, "\ntaper,compile,graph,"));
  EXPECT_TRUE(says(said.err, "\ntaper,kernel,graph,0,conv direct 3x3 forward,"));
  EXPECT_EQ(prints(arguments(), {"TAPER_VERBOSE=0"}), said.out);
  EXPECT_FALSE(says(said.err, "taper,run,"));
  EXPECT_TRUE(says(fails(arguments(), {"TAPER_VERBOSE=yes"}), "\"yes\" is not 0, 1 or 2"));
}

TEST_F(ToolEnvironment, VerbosePrintsALinePerKernelOfARun) {
  const Outcome said = taper(arguments(), {"TAPER_VERBOSE=2"});
  EXPECT_EQ(said.status, 0);
  EXPECT_TRUE(says(said.err, "taper,template,run,name,call,lowering,batch,ms\n"));
  EXPECT_TRUE(says(said.err, "\ntaper,run,graph,0,conv direct 3x3 forward,1,"));
  std::vector<std::string> interpreted = arguments();
  interpreted.push_back("--interpret");
  EXPECT_TRUE(
      says(taper(interpreted, {"TAPER_VERBOSE=2"}).err, "\ntaper,run,graph,0,interpreter,1,"));
}

std::string contents_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST_F(ToolEnvironment, TraceHoldsEveryKernelOfEveryRun) {
  const auto file = folder_ / "runs.json";
  EXPECT_EQ(taper(arguments(), {"TAPER_TRACE=" + file.string()}).status, 0);
  std::map<std::string, int> names;
  for (const auto& event : nlohmann::json::parse(contents_of(file))) {
    ++names[event.at("name").get<std::string>()];
    if (event.at("ph") != "X") continue;
    EXPECT_GT(event.at("ts").get<double>(), 0);
    EXPECT_GE(event.at("dur").get<double>(), 0);
  }
  EXPECT_EQ(names["process_name"], 1);
  EXPECT_GE(names["conv direct 3x3 forward"], 1);
  EXPECT_TRUE(says(fails(arguments(), {"TAPER_TRACE=" + (folder_ / "none/x.json").string()}),
                   "TAPER_TRACE: cannot write "));
}

TEST_F(ToolEnvironment, ProgramsShareATrace) {
  const std::string file = (folder_ / "two.json").string();
  {
    Tape tape;
    const Tensor x = tape.input("x", {N, 4});
    const std::vector<float> ones(8, 1.0f);
    Function first = compile(exp(x), {.threads = 1, .name = "a \"name\"", .trace = file});
    Function second = compile(log(x), {.threads = 1, .name = "second", .trace = file});
    for (int i = 0; i < 3; ++i) first(ones);
    second(ones);
  }
  std::map<int, int> runs;  // by program
  std::set<std::string> programs;
  for (const auto& event : nlohmann::json::parse(contents_of(file))) {
    if (event.at("ph") == "X") ++runs[event.at("pid").get<int>()];
    if (event.at("name") == "process_name") programs.insert(event.at("args").at("name"));
  }
  EXPECT_EQ(runs, (std::map<int, int>{{1, 3}, {2, 1}}));
  EXPECT_EQ(programs, (std::set<std::string>{"a \"name\"", "second"}));
}

TEST_F(ToolEnvironment, UnknownProfilesAreErrors) {
  EXPECT_TRUE(says(fails(arguments(), {"TAPER_JIT_PROFILE=vtune"}),
                   "TAPER_JIT_PROFILE: \"vtune\" is not perfmap, jitdump or gdb"));
  EXPECT_TRUE(says(error_of([] { runtime::check_announcement("x", "option"); }), "option: \"x\""));
}

TEST_F(ToolEnvironment, PerfLearnsNamesAndPlaces) {
  if (ir::host_isa() == nullptr) GTEST_SKIP() << "no code is generated here";
  const auto made = kernels(3);
  runtime::announce(made, "perfmap");
  runtime::announce(made, "perfmap");
  const std::string path = "/tmp/perf-" + std::to_string(::getpid()) + ".map";
  const std::string map = contents(path);
  std::filesystem::remove(path);
  const codegen::Routine& routine = *made[0]->routines()[0];
  char line[200];
  std::snprintf(line, sizeof line, "%zx %zx taper:%s\n",
                reinterpret_cast<std::size_t>(routine.code->entry), routine.code->bytes.size(),
                routine.name.c_str());
  EXPECT_TRUE(map.starts_with(line)) << map << line;
  EXPECT_EQ(static_cast<std::size_t>(std::count(map.begin(), map.end(), '\n')),
            made[0]->routines().size())
      << "each once";
}

TEST_F(ToolEnvironment, JitdumpHoldsTheCode) {
  if (ir::host_isa() == nullptr) GTEST_SKIP() << "no code is generated here";
  const auto made = kernels(5);
  runtime::announce(made, "jitdump");
  const std::string path = "/tmp/jit-" + std::to_string(::getpid()) + ".dump";
  const std::string dump = contents(path);
  std::filesystem::remove(path);
  ASSERT_GT(dump.size(), 96u);
  std::uint32_t word = 0;
  std::memcpy(&word, dump.data(), 4);
  EXPECT_EQ(word, 0x4a695444u);
  std::memcpy(&word, dump.data() + 8, 4);
  EXPECT_EQ(word, 40u);
  std::size_t at = 40, records = 0;
  for (; at + 8 <= dump.size(); ++records) {
    const codegen::Routine& routine = *made[0]->routines()[records];
    std::memcpy(&word, dump.data() + at + 4, 4);
    const std::string record = dump.substr(at, word);
    EXPECT_EQ(std::string(record.c_str() + 56), "taper:" + routine.name);
    const auto& bytes = routine.code->bytes;
    EXPECT_EQ(record.substr(record.size() - bytes.size()), std::string(bytes.begin(), bytes.end()));
    at += word;
  }
  EXPECT_EQ(at, dump.size());
  EXPECT_EQ(records, made[0]->routines().size());
}

TEST_F(ToolEnvironment, GdbFindsTheSymbol) {
  if (ir::host_isa() == nullptr) GTEST_SKIP() << "no code is generated here";
  const auto made = kernels(7);
  runtime::announce(made, "gdb");
  const codegen::Routine& routine = *made[0]->routines().back();
  const jit_code_entry* entry = __jit_debug_descriptor.first_entry;
  ASSERT_NE(entry, nullptr);
  EXPECT_EQ(__jit_debug_descriptor.relevant_entry, entry);
  Elf64_Ehdr header;
  std::memcpy(&header, entry->symfile_addr, sizeof header);
  EXPECT_EQ(std::memcmp(header.e_ident, ELFMAG, SELFMAG), 0);
  std::vector<Elf64_Shdr> sections(header.e_shnum);
  std::memcpy(sections.data(), entry->symfile_addr + header.e_shoff,
              sections.size() * sizeof(Elf64_Shdr));
  const auto table = std::find_if(sections.begin(), sections.end(),
                                  [](const Elf64_Shdr& s) { return s.sh_type == SHT_SYMTAB; });
  ASSERT_NE(table, sections.end());
  Elf64_Sym symbol;
  std::memcpy(&symbol, entry->symfile_addr + table->sh_offset + sizeof symbol, sizeof symbol);
  EXPECT_EQ(symbol.st_value, reinterpret_cast<std::uintptr_t>(routine.code->entry));
  const Elf64_Shdr& strings = sections[table->sh_link];
  ASSERT_LE(strings.sh_offset + strings.sh_size, entry->symfile_size);
  EXPECT_EQ(entry->symfile_addr + strings.sh_offset + symbol.st_name, "taper:" + routine.name);
}

}  // namespace
}  // namespace taper
