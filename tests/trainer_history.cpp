// The history of a training as CSV, and as a plot that any XML parser takes.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <regex>
#include <string>
#include <vector>

#include "frontend/history.h"
#include "frontend/plot.h"
#include "temporary_folder.h"

namespace taper {
namespace {

using HistoryFiles = TemporaryFolder;

History some_history() {
  const double none = std::numeric_limits<double>::quiet_NaN();
  return {{{1, 2.25, 0.1, 2.5, none, 1e-3, 1234.5, 7},
           {2, 1.0 / 3, 0.875, 0.5, none, 1e-30, 1e7, 6.5}}};
}

TEST_F(HistoryFiles, CsvReadsBackAsItWas) {
  const History history = some_history();
  const auto path = folder_ / "h.csv";
  history.write_csv(path);
  const std::string text = contents(path);
  EXPECT_EQ(text, history.csv());
  EXPECT_EQ(text.substr(0, text.find('\n')),
            "epoch,loss,accuracy,validation_loss,validation_accuracy,learning_rate,"
            "images_per_second,seconds");
  const History read = History::from_csv(text);
  ASSERT_EQ(read.epochs.size(), 2u);
  EXPECT_EQ(read.csv(), text);
  EXPECT_EQ(read.epochs[1].loss, 1.0 / 3);
  EXPECT_TRUE(std::isnan(read.epochs[0].validation_accuracy));
  EXPECT_THROW(history.write_csv(folder_ / "no" / "folder.csv"), Error);
}

TEST(History, RefusesOtherText) {
  const std::string good = some_history().csv();
  EXPECT_NO_THROW(History::from_csv(good));
  for (const std::string& bad : {std::string(), std::string("epoch,loss\n"), good + "3,1\n",
                                 good + "x,1,1,1,1,1,1,1\n", good + "3,1,1,1,1,1,1,1z\n"})
    EXPECT_THROW(History::from_csv(bad), Error) << bad;
}

// Tags that open and close in order, attributes in quotes, no stray markup: well-formed XML of the
// kind that is written here.
void expect_well_formed(const std::string& xml) {
  static const std::regex tag(
      "<(\\?xml[^<>]*\\?|/?[a-z]+((?: [a-zA-Z0-9-]+=\"[^\"<>&]*\")*)(/?))>");
  std::vector<std::string> open;
  std::size_t done = 0;
  for (std::sregex_iterator i(xml.begin(), xml.end(), tag), end; i != end; ++i) {
    const std::string between = xml.substr(done, static_cast<std::size_t>(i->position()) - done);
    ASSERT_EQ(between.find_first_of("<>"), std::string::npos) << between;
    ASSERT_TRUE(std::regex_match(between, std::regex("([^&]|&(amp|lt|gt|quot);)*"))) << between;
    done = static_cast<std::size_t>(i->position() + i->length());
    const std::string text = i->str();
    const std::string name = text.substr(0, text.find_first_of(" >"));
    if (text.starts_with("<?") || text.ends_with("/>")) continue;
    if (!text.starts_with("</")) {
      open.push_back(name.substr(1));
      continue;
    }
    ASSERT_FALSE(open.empty());
    ASSERT_EQ(open.back(), name.substr(2));
    open.pop_back();
  }
  EXPECT_TRUE(open.empty());
  EXPECT_EQ(xml.find_first_not_of(" \n", done), std::string::npos);
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
    ++found;
  return found;
}

TEST_F(HistoryFiles, SvgIsWellFormedAndHasTheCurves) {
  const History history = some_history();
  history.write_svg(folder_ / "h.svg", "a <b> & \"c\"");
  const std::string text = contents(folder_ / "h.svg");
  expect_well_formed(text);
  EXPECT_EQ(count(text, "<polyline"), 3u);  // no validation accuracy
  EXPECT_EQ(count(text, "<circle"), 6u);
  EXPECT_EQ(count(text, ">validation</text>"), 2u);
  EXPECT_EQ(count(text, "a &lt;b&gt; &amp; &quot;c&quot;: loss"), 1u);
}

TEST(Plot, AnyNumbersMakeAWellFormedPage) {
  const double none = std::numeric_limits<double>::quiet_NaN();
  const double huge = std::numeric_limits<double>::max();
  expect_well_formed(svg({}));
  expect_well_formed(svg({{"empty", "x", 1, {}}}));
  for (const std::vector<double>& values : {std::vector<double>{},
                                            {none, none},
                                            {3},
                                            {1e20, 1e20 + 1e5},
                                            {-huge, huge},
                                            {0, 0, 0},
                                            {1, none, 2},
                                            {1e-300, 2e-300},
                                            {huge}})
    expect_well_formed(svg({{"t", "x", 1, {{"s", values}}}}));
}

}  // namespace
}  // namespace taper
