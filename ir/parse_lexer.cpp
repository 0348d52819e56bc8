#include "ir/parse_lexer.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "ir/text.h"

namespace taper::ir {
namespace {

// Products of two extents or attributes stay within 64 bits.
constexpr std::int64_t kMaxInteger = std::int64_t{1} << 31;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool starts_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool continues_word(char c) {
  return starts_word(c) || is_digit(c);
}
bool continues_value(char c) {
  return continues_word(c) || c == '.';
}
bool starts_number(char c) {
  return is_digit(c) || c == '-' || c == '.';
}
bool continues_number(char c) {
  return continues_value(c) || c == '-' || c == '+';
}

int hex_digit(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// Decodes the escape that starts after the backslash at body[i]; leaves i on its last character.
// Returns -1 if there is no such escape.
int unescape(std::string_view body, std::size_t& i) {
  if (++i >= body.size()) return -1;
  if (const auto at = kEscapes.find(body[i]); at != std::string_view::npos) return kEscaped[at];
  if (body[i] != 'x' || i + 2 >= body.size()) return -1;
  const int high = hex_digit(body[i + 1]), low = hex_digit(body[i + 2]);
  i += 2;
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

std::string described(const Lexer::Token& token) {
  if (token.kind == Lexer::Kind::end) return "the end of the text";
  std::string shown;
  for (const char c : token.text.substr(0, 40)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte >= 0x7f)
      shown += fmt::format("\\x{:02x}", byte);
    else
      shown += c;
  }
  return fmt::format("'{}{}{}'", token.kind == Lexer::Kind::value ? "%" : "", shown,
                     token.text.size() > 40 ? "..." : "");
}

}  // namespace

void Lexer::skip_blanks() {
  while (position_ < text_.size()) {
    const char c = text_[position_];
    if (c == '\n') {
      ++line_;
      line_start_ = ++position_;
    } else if (c == ' ' || c == '\t' || c == '\r') {
      ++position_;
    } else if (text_.substr(position_, 2) == "//") {
      position_ = std::min(text_.find('\n', position_), text_.size());
    } else {
      return;
    }
  }
}

// Moves past the token at the position, which is not the end.
Lexer::Kind Lexer::scan() {
  const auto run = [&](auto belongs) {
    while (position_ < text_.size() && belongs(text_[position_])) ++position_;
  };
  const char c = text_[position_++];
  if (starts_word(c)) {
    run(continues_word);
    return Kind::word;
  }
  if (starts_number(c)) {
    run(continues_number);
    return Kind::number;
  }
  if (c == '%' && position_ < text_.size() && continues_value(text_[position_])) {
    run(continues_value);
    return Kind::value;
  }
  if (c == '"') {
    while (position_ < text_.size() && text_[position_] != '"' && text_[position_] != '\n')
      position_ += text_[position_] == '\\' ? 2 : 1;
    position_ = std::min(position_ + 1, text_.size());
    return Kind::string;
  }
  return Kind::punctuation;
}

void Lexer::advance() {
  skip_blanks();
  token_.line = line_;
  token_.column = static_cast<int>(position_ - line_start_) + 1;
  token_.kind = Kind::end;
  const std::size_t begin = position_;
  if (begin < text_.size()) token_.kind = scan();
  token_.text = text_.substr(begin, position_ - begin);
  if (token_.kind == Kind::value) token_.text.remove_prefix(1);
}

Lexer::Token Lexer::next() {
  const Token token = token_;
  advance();
  return token;
}

Lexer::Token Lexer::expect(Kind kind, std::string_view what) {
  if (token_.kind != kind) fail_expected(what);
  return next();
}

template <class Number>
Number Lexer::number(std::string_view what) {
  Number value{};
  const char* end = token_.text.data() + token_.text.size();
  const auto [stop, error] = std::from_chars(token_.text.data(), end, value);
  if (error != std::errc{} || stop != end) fail_expected(what);
  advance();
  return value;
}

std::int64_t Lexer::integer() {
  const Token token = token_;
  constexpr std::string_view what = "an integer of magnitude 2^31 at most";
  const auto value = number<std::int64_t>(what);
  if (value < -kMaxInteger || value > kMaxInteger) fail_expected(token, what);
  return value;
}

std::uint64_t Lexer::unsigned_integer() {
  return number<std::uint64_t>("a non-negative integer of 64 bits");
}

double Lexer::real() {
  if (!at_real()) fail_expected("a number");
  return number<double>("a number that a double can hold");
}

std::string Lexer::string() {
  const Token token = expect(Kind::string, "a string");
  std::string_view body = token.text.substr(1);
  if (!body.ends_with('"')) fail(token, "this string has no end on its line");
  body.remove_suffix(1);
  std::string out;
  for (std::size_t i = 0; i < body.size(); ++i) {
    const int c = body[i] == '\\' ? unescape(body, i) : static_cast<unsigned char>(body[i]);
    if (c < 0) fail(token, "a string escape is one of \\\" \\\\ \\n \\t \\xHH");
    out += static_cast<char>(c);
  }
  return out;
}

void Lexer::fail_expected(const Token& where, std::string_view what) const {
  fail(where, "expected {}, got {}", what, described(where));
}

}  // namespace taper::ir
