// Golden text. A file in tests/golden/ir, tests/golden/bad or tests/golden/asm:
//   // run: simplify fuse      the passes, in order; none to print only; `one-image` first sets a
//                              max_batch of 1
//   // isa: neon               asm only: the instruction set, whatever this machine's is
//   graph { ... }              the input
//   // ----
//   the whole expected output: the printed graph (ir), the error's sentence (bad), or the listings
//   of all kernels (asm)
// TAPER_BLESS=1 rewrites the expected outputs.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "codegen/kernel.h"
#include "codegen/masm.h"
#include "ir/graph.h"
#include "ir/isa.h"
#include "passes/passes.h"
#include "tests/lowerings.h"

namespace taper {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kRun = "// run:";
constexpr std::string_view kIsa = "// isa: ";
constexpr std::string_view kSeparator = "// ----\n";

const std::array<passes::Pass, 7> kPasses{{
    {"differentiate", passes::differentiate, ir::Stage::differentiated},
    {"simplify", passes::simplify, ir::Stage::recorded},
    {"dce", passes::dce, ir::Stage::recorded},
    {"fuse", passes::fuse, ir::Stage::recorded},
    {"layout", passes::layout, ir::Stage::laid_out},
    {"rematerialize", passes::rematerialize, ir::Stage::laid_out},
    {"select", passes::select, ir::Stage::selected},
}};

std::vector<fs::path> golden_files(const std::string& folder) {
  std::vector<fs::path> files;
  const fs::path directory = fs::path(TAPER_SOURCE_DIR) / "tests/golden" / folder;
  for (const auto& entry : fs::directory_iterator(directory)) {
    if (entry.path().extension() == ".tir") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::string read_file(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

struct Golden {
  std::vector<std::string> passes;
  std::string input;  // with the first line, so that error positions are those of the file
  std::string expected;
};

Golden read_golden(const fs::path& path) {
  const std::string text = read_file(path);
  Golden golden;
  if (!text.starts_with(kRun)) throw Error(path.string() + ": the first line is not '// run:'");
  std::istringstream run(text.substr(kRun.size(), text.find('\n') - kRun.size()));
  for (std::string pass; run >> pass;) golden.passes.push_back(pass);
  const std::size_t separator = text.find(std::string("\n").append(kSeparator));
  golden.input = text.substr(0, separator == std::string::npos ? separator : separator + 1);
  if (separator != std::string::npos) {
    golden.expected = text.substr(separator + 1 + kSeparator.size());
  }
  return golden;
}

ir::Graph run_passes(const Golden& golden, const fs::path& path) {
  ir::Graph graph = ir::parse(golden.input, path.filename().string());
  ir::verify(graph, ir::Stage::recorded);
  passes::PassOptions options;
  for (const std::string& name : golden.passes) {
    if (name == "one-image") {
      options.max_batch = 1;
      continue;
    }
    const auto pass =
        std::find_if(kPasses.begin(), kPasses.end(), [&](const auto& p) { return p.name == name; });
    if (pass == kPasses.end()) throw std::invalid_argument("there is no pass " + name);
    graph = pass->run(graph, options);
    ir::verify(graph, pass->stage);
  }
  return graph;
}

bool has_kernels(const ir::Graph& graph) {
  return std::any_of(graph.nodes().begin(), graph.nodes().end(),
                     [](const ir::Node& node) { return node.op == ir::Op::kernel; });
}

const ir::Isa& isa_of(const Golden& golden) {
  const std::size_t begin = golden.input.find(kIsa) + kIsa.size();
  return ir::isa_named(golden.input.substr(begin, golden.input.find('\n', begin) - begin));
}

std::string listings(const ir::Graph& graph, const ir::Isa& isa) {
  codegen::record_listings(true);
  std::string text;
  for (const ir::Node& node : graph.nodes()) {
    const auto* attrs = std::get_if<ir::KernelAttrs>(&node.attrs);
    if (attrs == nullptr) continue;
    const auto kernel = codegen::compile(attrs->spec, isa);
    for (const codegen::Routine* routine : kernel->routines()) text += routine->listing;
  }
  codegen::record_listings(false);
  return text;
}

void compare_or_bless(const Golden& golden, const fs::path& path, const std::string& actual) {
  if (std::getenv("TAPER_BLESS") != nullptr) {
    std::ofstream(path, std::ios::binary) << golden.input << kSeparator << actual;
    return;
  }
  EXPECT_EQ(golden.expected, actual);
}

std::string test_name(const testing::TestParamInfo<fs::path>& info) {
  std::string name = info.param.stem().string();
  std::replace_if(
      name.begin(), name.end(), [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); },
      '_');
  return name;
}

class GoldenIr : public testing::TestWithParam<fs::path> {};
class GoldenBad : public testing::TestWithParam<fs::path> {};
class GoldenAsm : public testing::TestWithParam<fs::path> {};

TEST_P(GoldenIr, PrintsWhatIsExpected) {
  const Golden golden = read_golden(GetParam());
  const ir::Graph graph = run_passes(golden, GetParam());
  const std::string printed = ir::print(graph);
  compare_or_bless(golden, GetParam(), printed);
  if (!has_kernels(graph)) {
    EXPECT_EQ(ir::print(ir::parse(printed)), printed);
  }
}

TEST_P(GoldenBad, SaysWhatIsWrong) {
  const Golden golden = read_golden(GetParam());
  try {
    const std::string printed = ir::print(run_passes(golden, GetParam()));
    FAIL() << "expected an error, got\n" << printed;
  } catch (const Error& error) {
    compare_or_bless(golden, GetParam(), std::string(error.what()) + '\n');
  }
}

TEST_P(GoldenAsm, EmitsWhatIsExpected) {
  const Golden golden = read_golden(GetParam());
  const ir::Graph graph = run_passes(golden, GetParam());
  compare_or_bless(golden, GetParam(), listings(graph, isa_of(golden)));
}

INSTANTIATE_TEST_SUITE_P(Files, GoldenIr, testing::ValuesIn(golden_files("ir")), test_name);
INSTANTIATE_TEST_SUITE_P(Files, GoldenBad, testing::ValuesIn(golden_files("bad")), test_name);
INSTANTIATE_TEST_SUITE_P(Files, GoldenAsm, testing::ValuesIn(golden_files("asm")), test_name);

// ---- The set is complete ----

TEST(Golden, EveryLoweringHasAFile) {
  Names made, variants;
  for (const fs::path& path : golden_files("ir")) {
    const ir::Graph graph = run_passes(read_golden(path), path);
    for (const ir::Node& node : graph.nodes()) {
      const auto* kernel = std::get_if<ir::KernelAttrs>(&node.attrs);
      if (kernel == nullptr) continue;
      made.insert(lowering_of(kernel->spec));
      variants.merge(std::visit([](const auto& s) { return variants_of(s); }, *kernel->spec));
    }
  }
  EXPECT_EQ(made, all_lowerings(static_cast<const ir::KernelSpec*>(nullptr)));
  EXPECT_EQ(variants, kVariants);
}

TEST(Golden, TheKernelGuideNamesEveryLowering) {
  const std::string guide = read_file(fs::path(TAPER_SOURCE_DIR) / "codegen/README.md");
  for (const std::string& name : all_lowerings(static_cast<const ir::KernelSpec*>(nullptr)))
    EXPECT_NE(guide.find("`" + name + "`"), std::string::npos) << name;
}

TEST(Golden, EveryPassHasAFile) {
  Names run;
  for (const fs::path& path : golden_files("ir"))
    for (const std::string& pass : read_golden(path).passes) run.insert(pass);
  for (const passes::Pass& pass : passes::pipeline())
    EXPECT_TRUE(run.contains(std::string(pass.name))) << pass.name;
}

// Its examples are "Before (`FILE.tir`):" and "After:", each a block.
TEST(Golden, ThePassGuideShowsWhatIsInTheFiles) {
  const std::string guide = read_file(fs::path(TAPER_SOURCE_DIR) / "passes/README.md");
  const std::string before = "Before (`";
  std::size_t examples = 0;
  for (std::size_t at = guide.find(before); at != std::string::npos; at = guide.find(before, at)) {
    at += before.size();
    const std::string name = guide.substr(at, guide.find('`', at) - at);
    const Golden golden = read_golden(fs::path(TAPER_SOURCE_DIR) / "tests/golden/ir" / name);
    const std::string expected = "):\n\n```\n" + golden.input.substr(golden.input.find('\n') + 1) +
                                 "```\n\nAfter:\n\n```\n" + golden.expected + "```\n";
    EXPECT_EQ(guide.substr(guide.find(')', at), expected.size()), expected) << name;
    ++examples;
  }
  EXPECT_EQ(examples, passes::pipeline().size());
}

TEST(Golden, ThereAreFiles) {
  EXPECT_FALSE(golden_files("ir").empty());
  EXPECT_FALSE(golden_files("bad").empty());
  EXPECT_FALSE(golden_files("asm").empty());
}

}  // namespace
}  // namespace taper
