// Line charts as self-contained SVG, for any browser.
#pragma once

#include <string>
#include <vector>

namespace taper {

struct Series {
  std::string name;
  std::vector<double> values;  // at x = first_x, first_x + 1, ...; others than numbers leave a gap
};

struct Chart {
  std::string title;
  std::string x_label;
  double first_x = 1;
  std::vector<Series> series;
};

// The charts side by side, each with axes, ticks and a legend. Valid XML for any titles.
std::string svg(const std::vector<Chart>& charts);

}  // namespace taper
