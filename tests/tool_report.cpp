// The HTML report in a real browser: Debian's chromium, without a window.
#include <cstdlib>

#include "tests/tool.h"

namespace taper {
namespace {

class ToolReport : public Tool {
 protected:
  void SetUp() override {
    Tool::SetUp();
    const char* named = std::getenv("TAPER_BROWSER");
    browser_ = named != nullptr ? named : "chromium";
    if (run(browser_, {"--version"}).status != 0)
      GTEST_SKIP() << "there is no " << browser_ << " (apt-get install chromium)";
  }

  // The page after it has run `script` at its end, as the browser would show it; and what the
  // browser's console got.
  Outcome shown(std::string page, const std::string& script) const {
    page.insert(page.rfind("</body>"), "<script>" + script + "</script>");
    return run(browser_,
               {"--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000",
                "--enable-logging=stderr", "--user-data-dir=" + (folder_ / "user").string(),
                "--dump-dom", "file://" + write("shown.html", page).string()});
  }
  static std::string click(const std::string& selector) {
    return "document.querySelector('" + selector +
           "').dispatchEvent(new MouseEvent('click', {bubbles: true}));";
  }
  // The text of the element with this id.
  static std::string text_of(const std::string& dom, const std::string& id) {
    const std::size_t at = dom.find("id=\"" + id + "\"");
    if (at == std::string::npos) return "";
    const std::size_t begin = dom.find('>', at) + 1;
    return dom.substr(begin, dom.find('<', begin) - begin);
  }

  std::string browser_;
};

TEST_F(ToolReport, ClickingANodeShowsItsKernel) {
  const std::string model = write("model.tir", kConvolution).string();
  const std::string path = (folder_ / "report.html").string();
  prints({"profile", model, "--batch", "16", "--threads", "2", "--html", path, "--seconds", "0"});
  const Outcome page = shown(contents(path), click("#stage6 .node.kernel"));
  ASSERT_EQ(page.status, 0) << page.err;
  EXPECT_EQ(page.err.find("CONSOLE"), std::string::npos) << page.err;
  EXPECT_TRUE(says(text_of(page.out, "kernel"), "kernel 0: conv direct"));
  EXPECT_TRUE(says(text_of(page.out, "spec"), "conv pass=forward"));
  EXPECT_TRUE(says(text_of(page.out, "time"), "GFLOP/s"));
  EXPECT_EQ(text_of(page.out, "location"), "at " + model + ":6:3");
  EXPECT_TRUE(says(text_of(page.out, "definition"), "%4 = kernel(%0, %1, %3)"));
  EXPECT_TRUE(says(page.out, "vfmadd231ps"));
  EXPECT_TRUE(says(page.out, "kernel 0, conv direct 3x3 forward: "));  // on the timeline
  EXPECT_TRUE(says(page.out, "live during calls"));                    // in the memory plan
}

TEST_F(ToolReport, TheConsoleIsHeard) {
  const Outcome page = shown("<html><body></body></html>", "nothing.here()");
  EXPECT_TRUE(says(page.err, "CONSOLE"));
}

TEST_F(ToolReport, PagesOfGraphsMarkTheLine) {
  const std::string model = write("model.tir", kConvolution).string();
  const Outcome page =
      shown(prints({"opt", model, "--until", "fuse", "--emit", "html"}), click("#stage4 .node.op"));
  EXPECT_EQ(page.err.find("CONSOLE"), std::string::npos) << page.err;
  EXPECT_TRUE(says(text_of(page.out, "definition"), "%3 = reshape(%2)"));
}

}  // namespace
}  // namespace taper
