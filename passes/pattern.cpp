#include "passes/pattern.h"

#include <algorithm>
#include <charconv>

namespace taper::passes {

using namespace ir;

namespace {

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text), rest_(text) {}

  Pattern parse_all() {
    Pattern pattern = parse();
    if (!rest_.empty()) fail();
    return pattern;
  }

 private:
  Pattern parse() {
    const std::string_view word =
        rest_.substr(0, std::min(rest_.find_first_of("(), "), rest_.size()));
    rest_.remove_prefix(word.size());
    Pattern pattern;
    if (const auto op = op_named(word); op && accept("(")) {
      pattern.kind = Pattern::Kind::op;
      pattern.op = *op;
      do pattern.args.push_back(parse());
      while (accept(", "));
      if (!accept(")") || std::ssize(pattern.args) != traits(*op).arity) fail();
    } else if (word.size() == 1 && word[0] >= 'a' && word[0] <= 'z') {
      pattern.variable = word[0];
    } else {
      pattern.kind = Pattern::Kind::constant;
      const auto end = word.data() + word.size();
      if (std::from_chars(word.data(), end, pattern.value).ptr != end || word.empty()) fail();
    }
    return pattern;
  }

  bool accept(std::string_view token) {
    if (!rest_.starts_with(token)) return false;
    rest_.remove_prefix(token.size());
    return true;
  }

  [[noreturn]] void fail() const {
    throw Error("simplify: pattern '{}' is malformed before '{}'", text_, rest_);
  }

  std::string_view text_, rest_;
};

}  // namespace

Pattern parse_pattern(std::string_view text) {
  return Parser(text).parse_all();
}

std::optional<double> splat(const Graph& graph, ValueId id) {
  if (graph[id].op == Op::broadcast_to) return splat(graph, graph[id].operands[0]);
  if (graph[id].op != Op::constant) return std::nullopt;
  const std::vector<double>& values = std::get<ConstantAttrs>(graph[id].attrs).values;
  if (values.empty()) return std::nullopt;
  const auto same = [&](double value) { return value == values[0]; };
  return std::ranges::all_of(values, same) ? std::optional(values[0]) : std::nullopt;
}

bool match(const Graph& graph, ValueId id, const Pattern& pattern, Bindings& bindings) {
  switch (pattern.kind) {
    case Pattern::Kind::variable: {
      ValueId& bound = bindings[pattern.variable];
      if (bound == kNoValue) bound = id;
      return bound == id;
    }
    case Pattern::Kind::constant:
      return splat(graph, id) == pattern.value;
    case Pattern::Kind::op: {
      const Node& node = graph[id];
      if (node.op != pattern.op) return false;
      for (std::size_t i = 0; i < pattern.args.size(); ++i)
        if (!match(graph, node.operands[i], pattern.args[i], bindings)) return false;
      return true;
    }
  }
  return false;
}

ValueId build(Builder& builder, const Pattern& pattern, const Bindings& bindings) {
  switch (pattern.kind) {
    case Pattern::Kind::variable:
      return bindings[pattern.variable];
    case Pattern::Kind::constant:
      return builder.scalar(pattern.value);
    case Pattern::Kind::op: {
      Operands operands;
      for (const Pattern& arg : pattern.args) operands.push_back(build(builder, arg, bindings));
      return builder.add_node(pattern.op, operands);
    }
  }
  return kNoValue;
}

}  // namespace taper::passes
