#include "tools/source.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <optional>
#include <string_view>
#include <vector>

#include "ir/parse_lexer.h"

namespace taper::tools {
namespace {

using ir::Lexer;

struct Position {
  std::size_t line = 1, column = 1;
};

std::optional<std::size_t> number_at(std::string_view text, std::size_t& at) {
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text.data() + at, text.data() + text.size(), value);
  if (error != std::errc()) return std::nullopt;
  at = static_cast<std::size_t>(end - text.data());
  return value;
}

// Of a message that begins with "NAME:LINE:COLUMN: ".
std::optional<Position> stated_position(std::string_view message, const std::string& name) {
  if (!message.starts_with(name + ":")) return std::nullopt;
  std::size_t at = name.size() + 1;
  const auto line = number_at(message, at);
  if (!line || at >= message.size() || message[at++] != ':') return std::nullopt;
  const auto column = number_at(message, at);
  if (!column || *column == 0) return std::nullopt;
  return Position{*line, *column};
}

std::string_view line_of(std::string_view text, std::size_t line) {
  for (std::size_t i = 1; i < line; ++i) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return {};
    text.remove_prefix(end + 1);
  }
  return text.substr(0, text.find('\n'));
}

// The line, what is near if it is long, and under it a caret; tabs stay tabs, so that the caret
// stands where it should. Control characters would reach the terminal.
std::string caret(std::string_view text, const Position& position) {
  constexpr std::size_t kBefore = 120, kShown = 200;
  std::size_t column = position.column - 1;
  std::string line(line_of(text, position.line));
  if (column > kBefore) {
    line = "..." + line.substr(std::min(column - kBefore + 3, line.size()));
    column = kBefore;
  }
  if (line.size() > kShown) line = line.substr(0, kShown) + "...";
  std::string blanks(column, ' ');
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\t' && i < column) blanks[i] = '\t';
    if (line[i] != '\t' && std::iscntrl(static_cast<unsigned char>(line[i])) != 0) line[i] = '?';
  }
  return fmt::format("\n  {}\n  {}^", line, blanks);
}

// Of the last statement `return NAME`, quotes included.
std::optional<Position> return_of(const Source& source, std::string_view name) {
  Lexer lexer(source.text, source.name);
  std::optional<Position> found;
  for (Lexer::Token token = lexer.next(); token.kind != Lexer::Kind::end; token = lexer.next())
    if (token.text == "return" && lexer.peek().text == name)
      found =
          Position{static_cast<std::size_t>(token.line), static_cast<std::size_t>(token.column)};
  return found;
}

// Of the line of the text that ends in loc(...) for `where`.
std::optional<Position> mention_of(const Source& source, const Location& where) {
  const std::string start = fmt::format(" loc(\"{}\":{}", where.file_name(), where.line());
  std::size_t at = source.text.find(start);
  while (at != std::string::npos &&
         std::isdigit(static_cast<unsigned char>(source.text.c_str()[at + start.size()])) != 0)
    at = source.text.find(start, at + 1);
  if (at == std::string::npos) return std::nullopt;
  const std::string_view before = std::string_view(source.text).substr(0, at);
  const std::size_t begin = before.rfind('\n') + 1;
  const std::size_t first = source.text.find_first_not_of(" \t", begin);
  return Position{static_cast<std::size_t>(std::ranges::count(before, '\n')) + 1,
                  first - begin + 1};
}

std::optional<Position> position_in(const Source& source, const Error& error) {
  constexpr std::string_view kOutput = "verify: output ";
  const std::string_view message = error.what();
  const Location& where = error.where();
  if (where.known() && where.file_name() == source.name)
    return Position{where.line(), std::max(where.column(), 1U)};
  if (where.known()) return mention_of(source, where);
  if (!message.starts_with(kOutput)) return stated_position(message, source.name);
  const std::string_view quoted = message.substr(kOutput.size());
  return return_of(source, quoted.substr(0, quoted.find("\":") + 1));
}

// Those that this process read: what errors may point into.
std::vector<Source>& sources() {
  static std::vector<Source> all;
  return all;
}

}  // namespace

Source read_source(const std::string& path) {
  Source source{path == "-" ? "<stdin>" : path, {}};
  if (path == "-") {
    source.text.assign(std::istreambuf_iterator<char>(std::cin), {});
  } else {
    std::ifstream file;
    if (!std::filesystem::is_directory(path)) file.open(path, std::ios::binary);
    if (!file.is_open()) throw Error("{}: cannot be read", path);
    source.text.assign(std::istreambuf_iterator<char>(file), {});
  }
  sources().push_back(source);
  return source;
}

void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary);
  file << bytes;
  file.close();
  if (!file) throw Error("{}: cannot be written", path);
}

ir::Graph parse_source(const Source& source) {
  ir::Graph graph = ir::parse(source.text, source.name);
  ir::verify(graph, ir::Stage::recorded);
  return graph;
}

std::string explained(const Error& error) {
  std::string message = error.what();
  for (const Source& source : sources()) {
    const auto position = position_in(source, error);
    if (!position) continue;
    const std::string place =
        fmt::format("{}:{}:{}", source.name, position->line, position->column);
    const std::string repeated = fmt::format(" (at {})", place);
    if (message.ends_with(repeated)) message.resize(message.size() - repeated.size());
    if (!message.starts_with(place)) message = place + ": " + message;
    return message + caret(source.text, *position);
  }
  return "taper: " + message;
}

}  // namespace taper::tools
