// Patterns of elementwise ops in text, as in "add(x, neg(y))": matched against a graph and built in
// one. A single letter is a variable (any value; the same letter twice, the same value), a number
// is a constant with that value in every element.
#pragma once

#include <array>
#include <optional>
#include <string_view>
#include <vector>

#include "ir/builder.h"

namespace taper::passes {

struct Pattern {
  enum class Kind { variable, constant, op };
  Kind kind = Kind::variable;
  char variable = 0;
  double value = 0;
  ir::Op op{};
  std::vector<Pattern> args;
};

// Throws taper::Error on a word that is none of the above.
Pattern parse_pattern(std::string_view text);

// What each variable stands for, by letter.
class Bindings {
 public:
  ir::ValueId& operator[](char variable) { return values_.at(index(variable)); }
  ir::ValueId operator[](char variable) const { return values_.at(index(variable)); }

 private:
  static std::size_t index(char variable) { return static_cast<std::size_t>(variable - 'a'); }
  std::array<ir::ValueId, 26> values_{};
};

// Whether `id` has the form of `pattern`; fills `bindings`.
bool match(const ir::Graph& graph, ir::ValueId id, const Pattern& pattern, Bindings& bindings);

// Appends the pattern with its variables replaced; constants become scalars.
ir::ValueId build(ir::Builder& builder, const Pattern& pattern, const Bindings& bindings);

// The value that all elements of `id` have, when it is a constant (or one broadcast).
std::optional<double> splat(const ir::Graph& graph, ir::ValueId id);

}  // namespace taper::passes
