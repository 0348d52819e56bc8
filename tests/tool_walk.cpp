// The walk of tools/README.md: what it says that `taper opt` and `taper run` print is what they
// print. A block that begins with "$ taper" is a command and its output; " ..." ends a line that is
// cut off. What `bench` and `compile` print depends on the machine and on generated code.
#include <filesystem>
#include <sstream>

#include "tests/tool.h"

namespace taper {
namespace {

class ToolWalk : public Tool {
 protected:
  void SetUp() override {
    Tool::SetUp();
    before_ = std::filesystem::current_path();
    std::filesystem::current_path(folder_);
    read_blocks();
    ASSERT_FALSE(blocks_.empty());
    ASSERT_TRUE(blocks_[0].starts_with("graph {")) << blocks_[0];
    write("conv.tir", blocks_[0]);
    std::string bad = blocks_[0];
    bad.replace(bad.find(" : f32[16,1,1]"), 14, " : f32[16,1,2]");
    write("bad.tir", bad);
  }
  void TearDown() override {
    std::filesystem::current_path(before_);
    Tool::TearDown();
  }

  // Indented by four blanks, which are taken away.
  void read_blocks() {
    std::istringstream text(contents(std::filesystem::path(TAPER_SOURCE_DIR) / "tools/README.md"));
    bool walking = false, inside = false;
    for (std::string line; std::getline(text, line);) {
      if (line.starts_with("## ")) walking = line == "## From text to an inner loop";
      const bool indented = walking && line.starts_with("    ");
      if (indented && !inside) blocks_.emplace_back();
      if (indented) blocks_.back() += line.substr(4) + '\n';
      inside = indented;
    }
  }

  static std::vector<std::string> words_of(const std::string& line) {
    std::istringstream stream(line);
    std::vector<std::string> words;
    for (std::string word; stream >> word;) words.push_back(word);
    return words;
  }

  static void expect_said(std::istringstream& shown, const std::string& said) {
    for (std::string line; std::getline(shown, line);) {
      SCOPED_TRACE(line);
      if (line.ends_with(" ...")) line.resize(line.size() - 4);
      EXPECT_TRUE(says("\n" + said, "\n" + line));
    }
  }

  std::filesystem::path before_;
  std::vector<std::string> blocks_;
};

TEST_F(ToolWalk, PrintsWhatTheReadmeShows) {
  int commands = 0;
  for (const std::string& block : blocks_) {
    std::istringstream shown(block);
    std::string command;
    std::getline(shown, command);
    std::vector<std::string> words = words_of(command);
    if (words.size() < 3 || words[0] != "$" || words[1] != "taper") continue;
    SCOPED_TRACE(command);
    words.erase(words.begin(), words.begin() + 2);
    if (words[0] != "opt" && words[0] != "run") continue;
    const bool host_runs =
        taper({"run", "conv.tir", "--input", "image=1", "--isa", "avx2"}).status == 0;
    if (words[0] == "run" && !host_runs) continue;
    if (words[0] == "run") std::getline(shown, command);  // says what this machine chose
    const Outcome outcome = taper(words);
    expect_said(shown, outcome.out + outcome.err);
    ++commands;
  }
  EXPECT_GE(commands, 5);
}

}  // namespace
}  // namespace taper
