// taper compile: the stages as files.
#include <set>

#include "tests/tool.h"

namespace taper {
namespace {

class ToolCompile : public Tool {
 protected:
  std::set<std::string> compiled(const std::string& isa, const char* graph = kConvolution) const {
    const std::string model = write("model.tir", graph).string();
    said_ = prints({"compile", model, "--isa", isa, "--dump", dump().string()});
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(dump()))
      names.insert(entry.path().filename().string());
    return names;
  }
  std::filesystem::path dump() const { return folder_ / "dump"; }
  mutable std::string said_;
};

TEST_F(ToolCompile, NumbersTheStages) {
  const std::set<std::string> names = compiled("avx2");
  for (const char* name :
       {"00-recorded.tir", "01-differentiate.tir", "02-simplify.tir", "03-dce.tir", "04-fuse.tir",
        "05-layout.tir", "06-rematerialize.tir", "07-select.tir", "08-kernels.txt", "09-memory.txt",
        "10-kernel0.asm", "10-kernel0.bin"})
    EXPECT_TRUE(names.contains(name)) << name;
  EXPECT_TRUE(says(said_, std::to_string(names.size()) + " files in"));
  EXPECT_TRUE(says(contents(dump() / "07-select.tir"), "{spec=conv pass=forward"));
  EXPECT_TRUE(says(contents(dump() / "08-kernels.txt"), "x, w, b -> %4"));
  EXPECT_TRUE(says(contents(dump() / "09-memory.txt"), "arena of "));
}

TEST_F(ToolCompile, AnnotatesTheMachineCode) {
  compiled("avx2");
  const std::string code = contents(dump() / "10-kernel0.asm");
  EXPECT_TRUE(says(code, "; avx2, %4 = kernel(%0, %1, %3) : f32[N,16,8,8]{c16}"));
  EXPECT_TRUE(says(code, "; conv pass=forward"));
  EXPECT_TRUE(says(code, ", innermost: "));
  EXPECT_TRUE(says(code, "vfmadd231ps ymm"));
  EXPECT_EQ(code.find("zmm"), std::string::npos);
}

// Whatever the CPU has.
TEST_F(ToolCompile, CompilesForOtherInstructionSets) {
  compiled("avx512");
  EXPECT_TRUE(says(contents(dump() / "10-kernel0.asm"), "vfmadd231ps zmm"));
  EXPECT_GT(contents(dump() / "10-kernel0.bin").size(), 100u);
}

TEST_F(ToolCompile, CompilesForNeonOnAnyHost) {
  compiled("neon");
  const std::string code = contents(dump() / "10-kernel0.asm");
  EXPECT_TRUE(says(code, "; neon, %4 = kernel("));
  EXPECT_TRUE(says(code, "fmla v"));
  EXPECT_TRUE(says(code, "prfm pstl1keep, [x"));
  EXPECT_EQ(code.find(".byte"), std::string::npos);
  EXPECT_TRUE(says(code, ", innermost: "));
}

TEST_F(ToolCompile, DisassemblesPrefetchesOfNeon) {
  std::string code;
  for (const std::string& name : compiled("neon", kClassifier))
    if (name.ends_with(".asm")) code += contents(dump() / name);
  EXPECT_TRUE(says(code, "prfm pldl1keep, [x"));
  EXPECT_EQ(code.find(".byte"), std::string::npos);
}

TEST_F(ToolCompile, TheBytesAreThoseOfTheRoutines) {
  compiled("avx2");
  const std::string code = contents(dump() / "10-kernel0.asm");
  std::size_t bytes = 0;
  const std::string key = "; routine ";
  for (std::size_t at = code.find(key); at != std::string::npos; at = code.find(key, at + 1))
    bytes += std::stoul(code.substr(code.find(": ", at) + 2));
  EXPECT_EQ(contents(dump() / "10-kernel0.bin").size(), bytes);
}

TEST_F(ToolCompile, SaysWhereKernelsComeFrom) {
  const std::string model = write("model.tir", kConvolution).string();
  prints({"compile", model, "--isa", "avx2", "--dump", dump().string(), "--locations"});
  EXPECT_TRUE(says(contents(dump() / "07-select.tir"), " loc(\"" + model + "\":6:3)\n"));
  EXPECT_TRUE(says(contents(dump() / "08-kernels.txt"), "      at " + model + ":6:3\n"));
  EXPECT_TRUE(says(contents(dump() / "10-kernel0.asm"), "; at " + model + ":6:3\n"));
}

TEST_F(ToolCompile, RefusesBadInput) {
  const std::string model = write("model.tir", kConvolution).string();
  EXPECT_TRUE(says(fails({"compile", model, "--dump", dump().string(), "--isa", "mmx"}),
                   "\"mmx\" is not an instruction set"));
  EXPECT_TRUE(says(fails({"compile", model, "--dump", model}), "is no folder"));
  EXPECT_TRUE(says(fails({"compile", "/nowhere", "--dump", dump().string()}), "cannot be read"));
  EXPECT_EQ(taper({"compile", model}).status, 2) << "--dump is needed";
}

}  // namespace
}  // namespace taper
