#include "frontend/plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

namespace taper {
namespace {

constexpr double kWidth = 480, kHeight = 340;
constexpr double kLeft = 64, kRight = 16, kTop = 36, kBottom = 48;
constexpr const char* kColours[] = {"#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e"};

std::string escaped(const std::string& text) {
  constexpr std::pair<char, const char*> kEntities[] = {
      {'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}};
  std::string xml;
  for (const char c : text) {
    const auto* entity = std::ranges::find(kEntities, c, &std::pair<char, const char*>::first);
    if (entity != std::end(kEntities))
      xml += entity->second;
    else
      xml += c >= 0x20 && c < 0x7f ? c : '?';
  }
  return xml;
}

// An axis from `low` to `high` with ticks at multiples of `step`, which is 1, 2 or 5 times a power
// of ten.
struct Axis {
  double low, high, step;

  Axis(double first, double last, double least_step, int ticks) {
    if (!(last > first)) first -= 0.5, last += 0.5;
    // Steps so small that adding one changes nothing would never end.
    const double visible = 1e-9 * std::max(std::fabs(first), std::fabs(last));
    const double rough = std::max({(last - first) / ticks, least_step, visible});
    const double power = std::pow(10, std::floor(std::log10(rough)));
    const double digit = rough / power;
    step = power * (digit <= 1 ? 1 : digit <= 2 ? 2 : digit <= 5 ? 5 : 10);
    low = first;
    high = last;
  }
  double share(double value) const { return (value - low) / (high - low); }
  std::vector<double> ticks() const {
    std::vector<double> at;
    for (double i = std::ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; ++i)
      at.push_back(i * step);
    return at;
  }
};

class Drawing {
 public:
  Drawing(const Chart& chart, double x) : chart_(chart), x_(x), across_(x_axis()), up_(y_axis()) {}

  std::string draw() {
    axes();
    for (std::size_t i = 0; i < chart_.series.size(); ++i) line(i);
    return std::move(out_);
  }

 private:
  Axis x_axis() const {
    std::size_t points = 1;
    for (const Series& series : chart_.series) points = std::max(points, series.values.size());
    return {chart_.first_x, chart_.first_x + static_cast<double>(points - 1), 1, 8};
  }
  Axis y_axis() const {
    std::vector<double> finite;
    for (const Series& series : chart_.series)
      std::ranges::copy_if(series.values, std::back_inserter(finite),
                           [](double value) { return std::isfinite(value); });
    if (finite.empty()) finite.push_back(0);
    const auto [least, most] = std::ranges::minmax(finite);
    const double margin = 0.05 * (most - least);
    // Losses and accuracies are not negative: no room for it.
    const double low = least >= 0 ? std::max(0.0, least - margin) : least - margin;
    return {low, most + margin, 1e-300, 6};
  }

  double at_x(double value) const {
    return x_ + kLeft + across_.share(value) * (kWidth - kLeft - kRight);
  }
  double at_y(double value) const {
    return kHeight - kBottom - up_.share(value) * (kHeight - kTop - kBottom);
  }

  template <class... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(out_), format, std::forward<Args>(args)...);
  }
  void text(double x, double y, const char* anchor, const std::string& words) {
    add("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>\n", x, y, anchor,
        escaped(words));
  }
  void segment(double x1, double y1, double x2, double y2, const char* colour) {
    add("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"{}\"/>\n", x1, y1,
        x2, y2, colour);
  }

  void axes() {
    const double left = x_ + kLeft, right = x_ + kWidth - kRight, bottom = kHeight - kBottom;
    for (const double tick : up_.ticks()) {
      segment(left, at_y(tick), right, at_y(tick), "#e0e0e0");
      text(left - 6, at_y(tick) + 4, "end", fmt::format("{:.6g}", tick));
    }
    for (const double tick : across_.ticks()) {
      segment(at_x(tick), bottom, at_x(tick), bottom + 5, "#404040");
      text(at_x(tick), bottom + 18, "middle", fmt::format("{:.6g}", tick));
    }
    segment(left, bottom, right, bottom, "#404040");
    segment(left, kTop, left, bottom, "#404040");
    text((left + right) / 2, 20, "middle", chart_.title);
    text((left + right) / 2, kHeight - 10, "middle", chart_.x_label);
  }

  void line(std::size_t index) {
    const Series& series = chart_.series[index];
    const char* colour = kColours[index % std::size(kColours)];
    std::string points;
    for (std::size_t i = 0; i < series.values.size(); ++i) {
      if (!std::isfinite(series.values[i])) {
        flush(points, colour);
        continue;
      }
      const double x = at_x(chart_.first_x + static_cast<double>(i));
      const double y = at_y(series.values[i]);
      fmt::format_to(std::back_inserter(points), "{:.1f},{:.1f} ", x, y);
      add("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.5\" fill=\"{}\"/>\n", x, y, colour);
    }
    flush(points, colour);
    const double y = legend_top() + 16 * static_cast<double>(index);
    const double right = x_ + kWidth - kRight;
    segment(right - 24, y - 4, right - 4, y - 4, colour);
    text(right - 30, y, "end", series.name);
  }

  // At the right, above or below, where the curves do not end.
  double legend_top() const {
    double height = 0;
    for (const Series& series : chart_.series)
      if (!series.values.empty() && std::isfinite(series.values.back()))
        height = std::max(height, up_.share(series.values.back()));
    const auto lines = static_cast<double>(chart_.series.size());
    return height > 0.5 ? kHeight - kBottom - 8 - 16 * (lines - 1) : kTop + 14;
  }

  void flush(std::string& points, const char* colour) {
    if (!points.empty())
      add("<polyline fill=\"none\" stroke=\"{}\" stroke-width=\"1.5\" points=\"{}\"/>\n", colour,
          points);
    points.clear();
  }

  const Chart& chart_;
  double x_;
  Axis across_, up_;
  std::string out_;
};

}  // namespace

std::string svg(const std::vector<Chart>& charts) {
  const double width = kWidth * static_cast<double>(std::max<std::size_t>(charts.size(), 1));
  std::string page = fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" "
      "viewBox=\"0 0 {0} {1}\" font-family=\"sans-serif\" font-size=\"12\">\n"
      "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
      width, kHeight);
  for (std::size_t i = 0; i < charts.size(); ++i)
    page += Drawing(charts[i], kWidth * static_cast<double>(i)).draw();
  return page + "</svg>\n";
}

}  // namespace taper
