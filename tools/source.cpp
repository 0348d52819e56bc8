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
  if (!column) return std::nullopt;
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

// The line, and under it a caret; tabs stay tabs, so that the caret stands where it should.
std::string caret(std::string_view text, const Position& position) {
  const std::string_view line = line_of(text, position.line);
  std::string blanks;
  for (std::size_t i = 0; i + 1 < position.column; ++i)
    blanks += i < line.size() && line[i] == '\t' ? '\t' : ' ';
  return fmt::format("\n  {}\n  {}^", line, blanks);
}

// Where the index-th value is defined, or the first statement that begins with `word` and then
// `text`.
class Finder {
 public:
  explicit Finder(const Source& source) : lexer_(source.text, source.name) {}

  std::optional<Position> definition(std::size_t index) {
    for (Lexer::Token token = lexer_.next(); token.kind != Lexer::Kind::end;
         token = lexer_.next()) {
      if (token.kind == Lexer::Kind::word && token.text == "update") {
        lexer_.next();
      } else if (token.kind == Lexer::Kind::value && lexer_.at('=') && index-- == 0) {
        return position(token);
      }
    }
    return std::nullopt;
  }

  std::optional<Position> statement(std::string_view word, std::string_view text) {
    std::optional<Position> found;
    for (Lexer::Token token = lexer_.next(); token.kind != Lexer::Kind::end; token = lexer_.next())
      if (token.text == word && lexer_.peek().text == text) found = position(token);
    return found;
  }

 private:
  static Position position(const Lexer::Token& token) {
    return {static_cast<std::size_t>(token.line), static_cast<std::size_t>(token.column)};
  }

  Lexer lexer_;
};

std::optional<Position> position_in(const Source& source, std::string_view message) {
  constexpr std::string_view kNode = "verify: %", kUpdate = "verify: update of %",
                             kOutput = "verify: output ";
  if (message.starts_with(kNode) || message.starts_with(kUpdate)) {
    std::size_t at = message.starts_with(kNode) ? kNode.size() : kUpdate.size();
    if (const auto index = number_at(message, at)) return Finder(source).definition(*index);
  }
  if (message.starts_with(kOutput)) {
    const std::string_view quoted = message.substr(kOutput.size());
    return Finder(source).statement("return", quoted.substr(0, quoted.find("\":") + 1));
  }
  return std::nullopt;
}

[[noreturn]] void fail(const Source& source, const std::string& message) {
  if (const auto stated = stated_position(message, source.name))
    throw LocatedError(message + caret(source.text, *stated));
  if (const auto found = position_in(source, message))
    throw LocatedError(
        fmt::format("{}:{}:{}: {}", source.name, found->line, found->column, message) +
        caret(source.text, *found));
  throw LocatedError(fmt::format("{}: {}", source.name, message));
}

}  // namespace

Source read_source(const std::string& path) {
  if (path == "-") return {"<stdin>", {std::istreambuf_iterator<char>(std::cin), {}}};
  std::ifstream file;
  if (!std::filesystem::is_directory(path)) file.open(path, std::ios::binary);
  if (!file.is_open()) throw Error(fmt::format("{}: cannot be read", path));
  std::string text{std::istreambuf_iterator<char>(file), {}};
  return {path, std::move(text)};
}

ir::Graph parse_source(const Source& source) {
  try {
    ir::Graph graph = ir::parse(source.text, source.name);
    ir::verify(graph, ir::Stage::recorded);
    return graph;
  } catch (const LocatedError&) {
    throw;
  } catch (const Error& error) {
    fail(source, error.what());
  }
}

}  // namespace taper::tools
