// The shape of the source tree: which folder may include which, where the assembler, the
// instruction sets and oneDNN may appear, and how large files and the product are.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <regex>
#include <set>
#include <sstream>

namespace taper {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxFileLines = 400;
constexpr std::size_t kMaxProductLines = 31'500, kMaxToolLines = 4'000;

// The stages, and the other stages that each may include.
const std::map<std::string, std::set<std::string>> kStages{
    {"ir", {}},
    {"passes", {"ir"}},
    {"codegen", {"ir"}},
    {"runtime", {"ir", "passes", "codegen"}},
    {"frontend", {"ir", "runtime"}},
    {"tools", {"ir", "passes", "codegen", "runtime", "frontend"}},
};
constexpr const char* kAround[] = {"tests", "bench", "examples"};

struct Source {
  std::string path;  // from the root of the tree
  std::string text;
  std::string folder() const { return path.substr(0, path.find('/')); }
};
using Violations = std::vector<std::string>;

bool is_any_of(const std::string& path, std::initializer_list<std::string_view> prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](std::string_view prefix) { return path.starts_with(prefix); });
}

// The included paths, without quotes or brackets.
std::vector<std::string> includes_of(const Source& source) {
  static const std::regex include("^[ \t]*#[ \t]*include[ \t]*[\"<]([^\">]+)[\">]");
  std::vector<std::string> paths;
  std::istringstream lines(source.text);
  std::smatch match;
  for (std::string line; std::getline(lines, line);)
    if (std::regex_search(line, match, include)) paths.push_back(match[1]);
  return paths;
}

// The text with comments blanked. String literals stay: an instruction set's name may hide in one.
std::string without_comments(const std::string& text) {
  static const std::regex token(
      R"(//[^\n]*|/\*[\s\S]*?\*/|"(?:\\.|[^"\\\n])*"|\b[0-9][0-9a-zA-Z'.]*|'(?:\\.|[^'\\\n])+')");
  std::string code;
  std::size_t done = 0;
  for (std::sregex_iterator i(text.begin(), text.end(), token), end; i != end; ++i) {
    const auto at = static_cast<std::size_t>(i->position());
    code.append(text, done, at - done);
    code += text[at] == '/' ? " " : i->str();
    done = at + static_cast<std::size_t>(i->length());
  }
  return code.append(text, done);
}

void check_direction(const Source& source, const std::string& path, Violations& found) {
  const auto stage = kStages.find(source.folder());
  if (stage == kStages.end()) return;
  const std::string target =
      path.starts_with("taper/") ? "frontend" : path.substr(0, path.find('/'));
  const bool ours =
      kStages.contains(target) || std::count(std::begin(kAround), std::end(kAround), target);
  if (ours && target != stage->first && !stage->second.contains(target))
    found.push_back(source.path + " includes " + path + " against the order of the stages");
  if (stage->first == "passes" && path == "ir/isa.h")
    found.push_back(source.path + " includes " + path + ": passes look at shapes only");
}

void check_third_parties(const Source& source, const std::string& path, Violations& found) {
  if (path.starts_with("asmjit") &&
      !is_any_of(source.path, {"codegen/masm_x86", "codegen/masm_a64", "codegen/code_memory"}))
    found.push_back(source.path + " includes " + path + ": asmjit belongs to the emitters");
  if (is_any_of(path, {"codegen/masm_asmjit", "codegen/masm_x86", "codegen/masm_a64"}) &&
      !source.path.starts_with("codegen/masm"))
    found.push_back(source.path + " includes " + path + ": kernels are written against masm.h");
  if (path.find("dnnl") != std::string::npos && !is_any_of(source.path, {"tests/", "bench/"}))
    found.push_back(source.path + " includes " + path + ": oneDNN is for tests and benchmarks");
}

// Generators read the facts of an ISA and never ask which one it is; passes know of none. masm.cpp
// is where the emitter is chosen.
void check_isa_tests(const Source& source, Violations& found) {
  if (!is_any_of(source.path, {"passes/", "codegen/"}) ||
      is_any_of(source.path, {"codegen/masm_", "codegen/masm.cpp"}))
    return;
  static const std::regex isa_test(
      "\\b(is|has|have|use|supports)_?(avx|sse|amx|neon|sve|x86|x64|a64|aarch64|arm)[a-z0-9_]*"
      "|\\bk(avx|sse|neon|sve)[a-z0-9_]*"
      "|\"(avx|sse|neon|sve)[^\"]*\""
      "|\\bisa[a-z_]*(\\(\\))?(\\.|->)[a-z_]+(\\(\\))?\\s*[!=]="
      "|[!=]=\\s*([a-z_]+(\\.|->))?isa[a-z_]*(\\(\\))?(\\.|->)[a-z_]+"
      "|\\b(isa_named|host_isa|host_features|__x86_64__|__aarch64__|__avx[a-z0-9_]*|__arm[a-z0-9_]*"
      ")",
      std::regex::icase);
  const std::string code = without_comments(source.text);
  std::smatch match;
  if (std::regex_search(code, match, isa_test))
    found.push_back(source.path + " asks which instruction set it is: " + match.str());
}

// Depth-first over the includes of files of the tree.
class CycleFinder {
 public:
  explicit CycleFinder(const std::vector<Source>& sources) {
    for (const Source& source : sources) includes_[source.path] = includes_of(source);
  }
  void run(Violations& found) {
    for (const auto& [path, targets] : includes_) visit(path, found);
  }

 private:
  enum class Mark { none, open, closed };

  void visit(const std::string& path, Violations& found) {
    marks_[path] = Mark::open;
    for (const std::string& target : includes_.at(path)) {
      if (!includes_.contains(target)) continue;
      if (marks_[target] == Mark::open)
        found.push_back(path + " includes " + target + ", which includes it: a cycle");
      else if (marks_[target] == Mark::none)
        visit(target, found);
    }
    marks_[path] = Mark::closed;
  }

  std::map<std::string, std::vector<std::string>> includes_;
  std::map<std::string, Mark> marks_;
};

Violations violations(const std::vector<Source>& sources) {
  Violations found;
  for (const Source& source : sources) {
    for (const std::string& path : includes_of(source)) {
      check_direction(source, path, found);
      check_third_parties(source, path, found);
    }
    check_isa_tests(source, found);
  }
  CycleFinder(sources).run(found);
  return found;
}

std::string read_file(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

std::vector<std::string> all_folders() {
  std::vector<std::string> folders(std::begin(kAround), std::end(kAround));
  for (const auto& [stage, known] : kStages) folders.push_back(stage);
  return folders;
}

const std::vector<Source>& source_tree() {
  static const std::vector<Source> tree = [] {
    const fs::path root = TAPER_SOURCE_DIR;
    const std::set<std::string> extensions{".h", ".cpp", ".def"};
    std::vector<Source> sources;
    for (const std::string& folder : all_folders()) {
      if (!fs::exists(root / folder)) continue;
      for (const auto& entry : fs::recursive_directory_iterator(root / folder))
        if (extensions.contains(entry.path().extension().string()))
          sources.push_back(
              {fs::relative(entry.path(), root).generic_string(), read_file(entry.path())});
    }
    return sources;
  }();
  return tree;
}

std::size_t line_count(const Source& source) {
  return static_cast<std::size_t>(std::count(source.text.begin(), source.text.end(), '\n'));
}

using Sizes = std::multimap<std::size_t, std::string, std::greater<>>;

std::map<std::string, Sizes> sizes_by_folder(const std::vector<Source>& sources) {
  std::map<std::string, Sizes> sizes;
  for (const Source& source : sources)
    sizes[source.folder()].emplace(line_count(source), source.path);
  return sizes;
}

std::size_t total(const Sizes& sizes) {
  std::size_t lines = 0;
  for (const auto& [count, path] : sizes) lines += count;
  return lines;
}

std::size_t product_lines(const std::vector<Source>& sources) {
  std::size_t lines = 0;
  for (const auto& [folder, sizes] : sizes_by_folder(sources))
    if (kStages.contains(folder) && folder != "tools") lines += total(sizes);
  return lines;
}

Violations long_files(const std::vector<Source>& sources) {
  Violations found;
  for (const Source& source : sources)
    if (kStages.contains(source.folder()) && line_count(source) > kMaxFileLines)
      found.push_back(source.path + " has " + std::to_string(line_count(source)) + " lines");
  return found;
}

void expect_none(const Violations& found) {
  for (const std::string& violation : found) ADD_FAILURE() << violation;
}

// ---- The scanner can fail ----

TEST(Scanner, FindsEachViolation) {
  const std::vector<std::pair<Source, std::string>> samples{
      {{"ir/a.h", "#include \"passes/b.h\"\n"}, "against the order"},
      {{"passes/a.h", "  #  include \"codegen/b.h\"\n"}, "against the order"},
      {{"codegen/a.cpp", "#include <runtime/b.h>\n"}, "against the order"},
      {{"frontend/a.cpp", "#include \"passes/passes.h\"\n"}, "against the order"},
      {{"runtime/a.cpp", "#include <taper/taper.h>\n"}, "against the order"},
      {{"tools/a.cpp", "#include \"tests/b.h\"\n"}, "against the order"},
      {{"passes/a.cpp", "#include \"ir/isa.h\"\n"}, "shapes only"},
      {{"codegen/gemm.cpp", "#include <asmjit/x86.h>\n"}, "belongs to the emitters"},
      {{"tests/a.cpp", "#include <asmjit/a64.h>\n"}, "belongs to the emitters"},
      {{"codegen/gemm.cpp", "#include \"codegen/masm_x86.h\"\n"}, "written against masm.h"},
      {{"runtime/a.cpp", "#include <oneapi/dnnl/dnnl.hpp>\n"}, "oneDNN"},
      {{"examples/a.cpp", "#include <dnnl.h>\n"}, "oneDNN"},
      {{"codegen/gemm.cpp", "if (isa.name == wide) f();\n"}, "isa.name =="},
      {{"codegen/gemm.cpp", "if (m_.isa().lanes != 16) f();\n"}, "isa().lanes !="},
      {{"codegen/gemm.cpp", "if (16 == m_.isa().lanes) f();\n"}, "== m_.isa().lanes"},
      {{"codegen/gemm.cpp", "x = 1'000; if (&isa == &ir::kAvx2) f();\n"}, "kAvx2"},
      {{"passes/a.cpp", "/* why */ if (isNeon()) f();\n"}, "isNeon"},
      {{"codegen/gemm.cpp", "const char* s = \"//\"; is_avx512(s);\n"}, "is_avx512"},
      {{"codegen/gemm.cpp", "const bool b = text == \"avx2\";\n"}, "\"avx2\""},
      {{"codegen/gemm.cpp", "#if defined(__AVX2__)\n"}, "__AVX2__"},
  };
  for (const auto& [source, expected] : samples) {
    const Violations found = violations({source});
    ASSERT_EQ(found.size(), 1u) << source.path << ": " << source.text;
    EXPECT_NE(found[0].find(expected), std::string::npos) << found[0];
    EXPECT_TRUE(found[0].starts_with(source.path)) << found[0];
  }
}

TEST(Scanner, FindsCycles) {
  const Source a{"ir/a.h", "#include \"ir/b.h\"\n"}, b{"ir/b.h", "#include \"ir/c.h\"\n"};
  const Source c{"ir/c.h", "#include \"ir/a.h\"\n"}, leaf{"ir/c.h", "#include <vector>\n"};
  EXPECT_EQ(violations({a, b, c}).size(), 1u);
  EXPECT_TRUE(violations({a, b, leaf}).empty());
}

TEST(Scanner, AllowsWhatIsAllowed) {
  expect_none(violations({
      {"ir/a.h", "#include <fmt/format.h>\n// #include \"passes/b.h\"\n"},
      {"codegen/masm_x86_lanes.cpp", "#include <asmjit/x86.h>\nif (isa_.lanes == 16) f();\n"},
      {"codegen/code_memory.cpp", "#include <asmjit/core.h>\n"},
      {"codegen/masm.cpp", "#include \"codegen/masm_x86.h\"\nif (isa.name == \"avx2\") f();\n"},
      {"codegen/gemm.cpp",
       "const int n = m.isa().lanes; // AVX2: isa.name == \"avx2\", isAvx2()\n"},
      {"codegen/gemm.cpp", "/* kAvx512\n kNeon */ for (int i = 0; i < isa.lanes; ++i) f();\n"},
      {"runtime/a.cpp", "#include \"codegen/kernel.h\"\n#include \"passes/passes.h\"\n"},
      {"frontend/a.cpp", "#include \"runtime/executable.h\"\n#include \"frontend/tape.h\"\n"},
      {"tests/a.cpp", "#include <dnnl.hpp>\n#include \"codegen/masm.h\"\n"},
  }));
}

TEST(Scanner, FindsLongFiles) {
  const std::string longest(kMaxFileLines, '\n');
  EXPECT_TRUE(long_files({{"ir/a.cpp", longest}, {"tests/a.cpp", longest + "\n"}}).empty());
  EXPECT_EQ(long_files({{"ir/a.cpp", longest + "\n"}}).size(), 1u);
  EXPECT_EQ(product_lines({{"ir/a.h", "\n\n"}, {"codegen/a.h", "\n"}, {"bench/a.h", "\n"}}), 3u);
}

// ---- The tree ----

TEST(Layering, TheTreeIsScanned) {
  const auto sizes = sizes_by_folder(source_tree());
  for (const char* folder : {"ir", "passes", "codegen", "runtime", "frontend", "tests", "examples"})
    EXPECT_TRUE(sizes.contains(folder)) << folder;
}

TEST(Layering, KeepsTheRules) {
  expect_none(violations(source_tree()));
}

TEST(Sizes, FilesAreShort) {
  expect_none(long_files(source_tree()));
}

TEST(Sizes, TheProductIsSmall) {
  for (const auto& [folder, sizes] : sizes_by_folder(source_tree())) {
    std::printf("%-9s %6zu lines in %3zu files\n", folder.c_str(), total(sizes), sizes.size());
    for (const auto& [lines, path] : sizes) std::printf("%16zu %s\n", lines, path.c_str());
  }
  const std::size_t lines = product_lines(source_tree());
  std::printf("product   %6zu lines\n", lines);
  EXPECT_LE(lines, kMaxProductLines);
  EXPECT_LE(total(sizes_by_folder(source_tree()).at("tools")), kMaxToolLines);
}

}  // namespace
}  // namespace taper
