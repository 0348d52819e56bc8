#include "frontend/history.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <span>
#include <sstream>

#include "frontend/atomic_file.h"
#include "frontend/plot.h"
#include "ir/error.h"

namespace taper {
namespace {

struct Column {
  const char* name;
  double EpochRecord::*member;
};
constexpr Column kColumns[] = {
    {"loss", &EpochRecord::loss},
    {"accuracy", &EpochRecord::accuracy},
    {"validation_loss", &EpochRecord::validation_loss},
    {"validation_accuracy", &EpochRecord::validation_accuracy},
    {"learning_rate", &EpochRecord::learning_rate},
    {"images_per_second", &EpochRecord::images_per_second},
    {"seconds", &EpochRecord::seconds},
};

std::string header() {
  std::string line = "epoch";
  for (const Column& column : kColumns) line += std::string(",") + column.name;
  return line;
}

[[noreturn]] void refuse(const std::string& line) {
  throw Error("history: \"{}\" is no line of a training history", line.substr(0, 80));
}

template <class Number>
Number parsed(const std::string& field, const std::string& line) {
  Number number{};
  const auto [end, failed] = std::from_chars(field.data(), field.data() + field.size(), number);
  if (failed != std::errc{} || end != field.data() + field.size()) refuse(line);
  return number;
}

EpochRecord parse_line(const std::string& line) {
  std::vector<std::string> fields{""};
  for (const char c : line)
    if (c == ',')
      fields.emplace_back();
    else
      fields.back() += c;
  if (fields.size() != std::size(kColumns) + 1) refuse(line);
  EpochRecord record;
  record.epoch = parsed<std::int64_t>(fields[0], line);
  for (std::size_t i = 0; i < std::size(kColumns); ++i)
    record.*kColumns[i].member = fields[i + 1].empty() ? std::numeric_limits<double>::quiet_NaN()
                                                       : parsed<double>(fields[i + 1], line);
  return record;
}

void write(const std::filesystem::path& path, const std::string& text) {
  write_atomically(path, std::as_bytes(std::span(text)));
}

Chart chart(const History& history, const std::string& title, double EpochRecord::*train,
            double EpochRecord::*validation) {
  Chart result{title, "epoch", 1, {{"training", {}}, {"validation", {}}}};
  if (!history.epochs.empty()) result.first_x = static_cast<double>(history.epochs.front().epoch);
  for (const EpochRecord& record : history.epochs) {
    result.series[0].values.push_back(record.*train);
    result.series[1].values.push_back(record.*validation);
  }
  return result;
}

}  // namespace

std::string History::csv() const {
  std::string text = header() + "\n";
  for (const EpochRecord& record : epochs) {
    text += fmt::format("{}", record.epoch);
    for (const Column& column : kColumns) {
      const double value = record.*column.member;
      text += std::isnan(value) ? "," : fmt::format(",{}", value);
    }
    text += "\n";
  }
  return text;
}

History History::from_csv(const std::string& text) {
  std::istringstream lines(text);
  std::string line;
  std::getline(lines, line);
  if (line != header()) refuse(line);
  History history;
  while (std::getline(lines, line)) history.epochs.push_back(parse_line(line));
  return history;
}

std::string History::svg(const std::string& title) const {
  std::vector<Chart> charts{
      chart(*this, title + ": loss", &EpochRecord::loss, &EpochRecord::validation_loss)};
  const bool classified = std::ranges::any_of(epochs, [](const EpochRecord& record) {
    return !std::isnan(record.accuracy) || !std::isnan(record.validation_accuracy);
  });
  if (classified)
    charts.push_back(chart(*this, title + ": accuracy", &EpochRecord::accuracy,
                           &EpochRecord::validation_accuracy));
  return taper::svg(charts);
}

void History::write_csv(const std::filesystem::path& path) const {
  write(path, csv());
}
void History::write_svg(const std::filesystem::path& path, const std::string& title) const {
  write(path, svg(title));
}

}  // namespace taper
