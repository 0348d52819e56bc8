// taper opt.
#include <array>
#include <cstdio>

#include "ir/graph.h"
#include "tests/tool.h"

namespace taper {
namespace {

class ToolOpt : public Tool {
 protected:
  std::string model() const { return write("model.tir", kConvolution).string(); }
  std::string complaint(const std::string& text) const {
    const std::string path = write("bad.tir", text).string();
    std::string said = fails({"opt", path});
    if (said.starts_with(path)) said.erase(0, path.size());
    return said;
  }
};

TEST_F(ToolOpt, PrintsWhatTheParserReads) {
  const std::string text = prints({"opt", model()});
  EXPECT_EQ(text, ir::print(ir::parse(kConvolution)));
  EXPECT_EQ(taper({"opt", "-"}, {}, model()).out, text);
}

TEST_F(ToolOpt, RunsPassesByNameAndUntil) {
  const std::string until = prints({"opt", model(), "--until", "fuse"});
  EXPECT_TRUE(says(until, "epilogue (acc, c0) { t0 = add(acc, c0); t1 = relu(t0); t1 }"));
  EXPECT_EQ(prints({"opt", model(), "--passes", "differentiate,simplify,dce,fuse"}), until);
  EXPECT_EQ(prints({"opt", "--passes", "differentiate,simplify,dce,fuse", model()}), until);
  EXPECT_TRUE(says(prints({"opt", model(), "--until", "select"}), "kernel(%0, %1, %3) {spec=conv"));
}

TEST_F(ToolOpt, ShowsEveryStageOrWhatChanged) {
  const std::string all = prints({"opt", model(), "--until", "layout", "--print-after-all"});
  for (const char* stage : {"recorded", "differentiate", "simplify", "dce", "fuse", "layout"})
    EXPECT_TRUE(says(all, std::string("// after ") + stage + "\ngraph {"));
  const std::string changed = prints({"opt", model(), "--until", "fuse", "--print-changed"});
  EXPECT_TRUE(says(changed, "// dce: nothing changed"));
  EXPECT_TRUE(says(changed, "\n-  %6 = relu(%5) : f32[N,16,8,8]\n"));
  EXPECT_TRUE(says(changed, "\n   %0 = input \"x\" : f32[N,3,8,8]\n"));
}

TEST_F(ToolOpt, MakesTheTrainingStep) {
  const std::string path = write("classifier.tir", kClassifier).string();
  const std::string sgd = prints({"opt", path, "--train", "losses"});
  EXPECT_TRUE(says(sgd, "input \"learning_rate\" : f32[]"));
  EXPECT_TRUE(says(sgd, "gradient("));
  EXPECT_TRUE(says(sgd, "  update %"));
  EXPECT_TRUE(says(prints({"opt", path, "--train", "losses", "--optimizer", "adam"}), "adam.m.w"));
  EXPECT_TRUE(says(fails({"opt", path, "--train", "loss"}),
                   "no output \"loss\": the graph returns \"losses\", \"logits\""));
  EXPECT_TRUE(says(fails({"opt", path, "--train", "losses", "--optimizer", "lion"}), "lion"));
}

TEST_F(ToolOpt, PointsAtTheLine) {
  EXPECT_EQ(complaint("graph {\n  %0 = input \"x\" : f32[N,3]\n\t%1 = rely(%0) : f32[N,3]\n}\n"),
            ":3:7: expected the name of an op, got 'rely'\n  \t%1 = rely(%0) : f32[N,3]\n"
            "  \t     ^\n");
  EXPECT_TRUE(
      says(complaint("graph {\n  %0 = input \"x\" : f32[N]\n  %1 = parameter \"x\" : f32[4]\n"
                     "  return \"a\" = %0\n}\n"),
           ":3:3: verify: %1 = parameter: the name \"x\" is already taken\n"));
  EXPECT_TRUE(says(complaint("graph {\n  %p = parameter \"p\" : f32[2]\n  %q = constant 0 : f32[]\n"
                             "  update %p = %p\n  update %p = %q\n}\n"),
                   ":2:3: verify: update of %0"));
  EXPECT_TRUE(says(complaint("graph {\n  %x = input \"x\" : f32[N]\n  return \"y\" = %x\n"
                             "  return \"y\" = %x\n}\n"),
                   ":4:3: verify: output \"y\": the name is already taken\n  "
                   "  return \"y\" = %x\n    ^\n"));
}

TEST_F(ToolOpt, PointsAtTheLineThatAPassRefuses) {
  const auto product = [&](const std::string& location) {
    return write("bytes.tir",
                 "graph {\n  %x = input \"x\" : u8[N,6]\n  %w = parameter \"w\" : "
                 "i8[5,6]\n\t%y = matmul(%x, %w) {transpose_b=true} : i32[N,5]" +
                     location +
                     "\n  %f = cast(%y) {dtype=f32} : f32[N,5]\n"
                     "  return \"f\" = %f\n}\n")
        .string();
  };
  const std::string path = product("");
  const std::string expected =
      path +
      ":4:2: select: a product of integers needs a depth that is a multiple of 4, not 6\n"
      "  \t%y = matmul(%x, %w) {transpose_b=true} : i32[N,5]\n  \t^\n";
  EXPECT_EQ(fails({"opt", path, "--until", "select"}), expected);
  EXPECT_EQ(fails({"compile", path, "--dump", (folder_ / "dump").string()}), expected);
  EXPECT_EQ(fails({"profile", path}), expected);
  EXPECT_TRUE(
      says(fails({"opt", product(" loc(\"model.cpp\":12)"), "--until", "select"}),
           ":4:2: select: a product of integers needs a depth that is a multiple of 4, not 6 "
           "(at model.cpp:12)\n  \t%y = matmul"));
}

// What is not text must not reach the terminal, and a caret not be a screen away.
TEST_F(ToolOpt, QuotesLinesThatFit) {
  EXPECT_TRUE(says(complaint("graph {\n  \x1b[2J\n}"), "\n    ?[2J\n    ^\n"));
  const std::string blanks(5000, ' ');
  const std::string said = complaint("graph {" + blanks + "?" + blanks);
  EXPECT_TRUE(says(said, ":1:5008: expected"));
  EXPECT_LT(said.size(), 500u);
  const std::size_t begin = said.find("\n  ") + 1, end = said.find('\n', begin);
  EXPECT_EQ(said.find('?', begin) - begin, said.find('^', end) - end - 1);
}

TEST_F(ToolOpt, PrintsLocations) {
  const std::string path = model();
  const std::string located = prints({"opt", path, "--until", "fuse", "--locations"});
  EXPECT_TRUE(says(located, "t1 } : f32[N,16,8,8] loc(\"" + path + "\":6:3)\n"));
  const std::string again = write("located.tir", located).string();
  EXPECT_EQ(prints({"opt", again, "--locations"}), located);
  EXPECT_EQ(prints({"opt", again}), prints({"opt", path, "--until", "fuse"}));
  EXPECT_TRUE(says(prints({"opt", path, "--until", "select", "--locations", "--print-changed"}),
                   "+  %4 = kernel(%0, %1, %3)"));
}

TEST_F(ToolOpt, VerifiesOnly) {
  EXPECT_EQ(prints({"opt", model(), "--verify-only"}), "");
  EXPECT_EQ(prints({"opt", model(), "--verify-only", "--until", "select"}), "");
  EXPECT_TRUE(says(fails({"opt", model(), "--verify-only", "--passes", "layout"}),
                   ":7:3: verify: %6 = add: it was not fused"));
  EXPECT_TRUE(says(complaint("graph {"), ":1:"));
}

TEST_F(ToolOpt, Draws) {
  const std::string dot = prints({"opt", model(), "--emit", "dot"});
  EXPECT_TRUE(dot.starts_with("digraph {\n"));
  EXPECT_TRUE(says(dot, "label=\"conv2d\\nf32[N,16,8,8]\""));
  const std::string svg = prints({"opt", model(), "--until", "select", "--emit", "svg"});
  EXPECT_TRUE(svg.starts_with("<svg "));
  EXPECT_TRUE(says(svg, "class=\"node kernel\""));
  EXPECT_EQ(svg.find("nan"), std::string::npos);
  const std::string html = prints({"opt", model(), "--until", "select", "--emit", "html"});
  EXPECT_TRUE(says(html, "id=\"stage6\""));
  EXPECT_EQ(html.find("src="), std::string::npos) << "it must need no other file";
}

// Boxes of one layer side by side, users below their operands.
TEST_F(ToolOpt, DrawsWithoutOverlap) {
  const std::string path = write("classifier.tir", kClassifier).string();
  std::string svg = prints({"opt", path, "--train", "losses", "--until", "dce", "--emit", "svg"});
  std::vector<std::array<double, 3>> boxes;
  for (std::size_t at = svg.find("<rect "); at != std::string::npos;
       at = svg.find("<rect ", at + 1)) {
    std::array<double, 3> b{};
    ASSERT_EQ(std::sscanf(svg.c_str() + at, "<rect x=\"%lf\" y=\"%lf\" width=\"%lf\"", &b[0], &b[1],
                          &b[2]),
              3);
    for (const auto& other : boxes)
      EXPECT_TRUE(other[1] != b[1] || other[0] + other[2] <= b[0] || b[0] + b[2] <= other[0]);
    boxes.push_back(b);
  }
  EXPECT_GT(boxes.size(), 10u);
}

TEST_F(ToolOpt, RefusesBadOptions) {
  EXPECT_TRUE(says(fails({"opt", model(), "--passes", "fuze"}),
                   "no pass \"fuze\": the passes are differentiate, simplify"));
  EXPECT_TRUE(says(fails({"opt", "/nowhere.tir"}), "/nowhere.tir: cannot be read"));
  EXPECT_TRUE(says(fails({"opt", folder_.string()}), "cannot be read"));
  EXPECT_TRUE(says(fails({"opt"}), "FILE.tir is missing"));
  EXPECT_EQ(taper({"opt", model(), "--emit", "pdf"}).status, 2);
  EXPECT_EQ(taper({"opt", model(), "--until", "fuse", "--passes", "dce"}).status, 2);
  EXPECT_EQ(taper({}).status, 2);
  EXPECT_EQ(taper({"optimise"}).status, 2);
  EXPECT_TRUE(says(prints({"opt", "--help"}), "Examples:"));
}

TEST_F(ToolOpt, TheReferenceIsTheCommittedOne) {
  const std::string made = prints({"opt", "--reference"});
  EXPECT_TRUE(says(made, "| `relu` | 1 | f32 | `relu(a)` |"));
  EXPECT_EQ(made, contents(std::filesystem::path(TAPER_SOURCE_DIR) / "ir/REFERENCE.md"))
      << "write it again: taper opt --reference > ir/REFERENCE.md";
}

}  // namespace
}  // namespace taper
