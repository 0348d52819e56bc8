#include "tools/difference.h"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <vector>

namespace taper::tools {
namespace {

struct Line {
  std::string_view text;
  std::string shape;  // without the numbers of values
};

std::vector<Line> lines_of(std::string_view text) {
  std::vector<Line> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
    Line line{text.substr(0, end), {}};
    for (std::size_t i = 0; i < line.text.size(); ++i) {
      line.shape += line.text[i];
      if (line.text[i] != '%') continue;
      while (i + 1 < line.text.size() && std::isdigit(static_cast<unsigned char>(line.text[i + 1])))
        ++i;
    }
    lines.push_back(std::move(line));
    text.remove_prefix(end);
  }
  return lines;
}

// common[i][j]: length of the longest common subsequence of a from i and b from j.
class Table {
 public:
  Table(const std::vector<Line>& a, const std::vector<Line>& b)
      : width_(b.size() + 1), common_((a.size() + 1) * width_) {
    for (std::size_t i = a.size(); i-- > 0;)
      for (std::size_t j = b.size(); j-- > 0;)
        cell(i, j) = a[i].shape == b[j].shape ? cell(i + 1, j + 1) + 1
                                              : std::max(cell(i + 1, j), cell(i, j + 1));
  }
  std::uint32_t& cell(std::size_t i, std::size_t j) { return common_[i * width_ + j]; }

 private:
  std::size_t width_;
  std::vector<std::uint32_t> common_;
};

// Beyond this a table would take too long; the whole texts are shown then.
constexpr std::size_t kMostCells = 64'000'000;

}  // namespace

std::string difference(std::string_view before, std::string_view after) {
  const std::vector<Line> a = lines_of(before), b = lines_of(after);
  const bool large = a.size() * b.size() > kMostCells;
  Table table(large ? std::vector<Line>{} : a, large ? std::vector<Line>{} : b);
  std::string out;
  std::size_t i = 0, j = 0;
  const auto mark = [&](char sign, std::string_view line) { (out += sign).append(line); };
  while (i < a.size() || j < b.size()) {
    const bool both = i < a.size() && j < b.size();
    if (!large && both && a[i].shape == b[j].shape) {
      mark(' ', b[j++].text);
      ++i;
    } else if (j == b.size() ||
               (i < a.size() && (large || table.cell(i + 1, j) >= table.cell(i, j + 1)))) {
      mark('-', a[i++].text);
    } else {
      mark('+', b[j++].text);
    }
  }
  return out;
}

}  // namespace taper::tools
