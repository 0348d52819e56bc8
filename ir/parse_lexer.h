// Tokens of the text form, with positions for error messages. The text is untrusted.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "ir/error.h"

namespace taper::ir {

// One token of lookahead over `text`; `//` starts a comment that ends with the line.
class Lexer {
 public:
  enum class Kind : std::uint8_t { end, word, value, number, string, punctuation };
  struct Token {
    Kind kind = Kind::end;
    std::string_view text;  // `value` without its %; `string` still escaped, in its quotes
    int line = 1, column = 1;
  };

  Lexer(std::string_view text, std::string_view name) : text_(text), name_(name) { advance(); }

  const Token& peek() const { return token_; }
  Token next();
  bool at(char punctuation) const {
    return token_.kind == Kind::punctuation && token_.text.front() == punctuation;
  }
  bool at(std::string_view word) const { return token_.kind == Kind::word && token_.text == word; }
  // Of a punctuation character or a word.
  template <class What>
  bool accept(What what) {
    if (!at(what)) return false;
    advance();
    return true;
  }
  template <class What>
  void expect(What what) {
    if (!accept(what)) fail_expected(fmt::format("'{}'", what));
  }
  // OPEN item, item, ... CLOSE
  template <class Item>
  void list(char open, char close, Item&& item) {
    expect(open);
    for (bool first = true; !at(close); first = false) {
      if (!first) expect(',');
      item();
    }
    expect(close);
  }
  // Consumes a token of `kind`, or fails with "expected <what>".
  Token expect(Kind kind, std::string_view what);

  std::int64_t integer();  // of an extent or attribute: magnitude 2^31 at most
  std::uint64_t unsigned_integer();
  double real();         // also inf and nan
  std::string string();  // unescaped
  bool at_real() const { return token_.kind == Kind::number || at("inf") || at("nan"); }

  // "name:line:column: expected `what`, got ...", at the next token by default.
  [[noreturn]] void fail_expected(std::string_view what) const { fail_expected(token_, what); }
  [[noreturn]] void fail_expected(const Token& where, std::string_view what) const;
  // "name:line:column: sentence".
  template <class... Args>
  [[noreturn]] void fail(const Token& where, fmt::format_string<Args...> sentence,
                         Args&&... args) const {
    throw Error("{}:{}:{}: {}", name_, where.line, where.column,
                fmt::format(sentence, std::forward<Args>(args)...));
  }

 private:
  void advance();
  void skip_blanks();
  Kind scan();
  template <class Number>
  Number number(std::string_view what);

  std::string_view text_, name_;
  std::size_t position_ = 0, line_start_ = 0;
  int line_ = 1;
  Token token_;
};

}  // namespace taper::ir
