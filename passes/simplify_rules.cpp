// The elementwise identities, and the order in which rules are tried.
#include "passes/simplify_rules.h"

#include "passes/pattern.h"

namespace taper::passes {

using namespace ir;

namespace {

// Not here on purpose: x * 0 -> 0 and x - x -> 0 (wrong for NaN and infinity), x / c -> x * (1 / c)
// and any reassociation (other bits).
constexpr std::pair<std::string_view, std::string_view> kIdentities[] = {
    {"add(x, 0)", "x"},
    {"add(0, x)", "x"},
    {"sub(x, 0)", "x"},
    {"sub(0, x)", "neg(x)"},
    {"mul(x, 1)", "x"},
    {"mul(1, x)", "x"},
    {"mul(x, -1)", "neg(x)"},
    {"mul(-1, x)", "neg(x)"},
    {"div(x, 1)", "x"},
    {"div(x, -1)", "neg(x)"},
    {"neg(neg(x))", "x"},
    {"neg(sub(x, y))", "sub(y, x)"},
    {"add(x, neg(y))", "sub(x, y)"},
    {"add(neg(x), y)", "sub(y, x)"},
    {"sub(x, neg(y))", "add(x, y)"},
    {"mul(neg(x), neg(y))", "mul(x, y)"},
    {"div(neg(x), neg(y))", "div(x, y)"},
    {"abs(neg(x))", "abs(x)"},
    {"abs(abs(x))", "abs(x)"},
    {"abs(relu(x))", "relu(x)"},
    {"relu(abs(x))", "abs(x)"},
    {"relu(relu(x))", "relu(x)"},
    {"maximum(x, x)", "x"},
    {"minimum(x, x)", "x"},
    {"maximum(x, 0)", "relu(x)"},
    {"maximum(0, x)", "relu(x)"},
    {"select(c, x, x)", "x"},
    {"select(1, x, y)", "x"},
    {"select(0, x, y)", "y"},
    {"select(c, select(c, x, y), z)", "select(c, x, z)"},
    {"select(c, x, select(c, y, z))", "select(c, x, z)"},
};

}  // namespace

std::span<const Identity> identities() {
  static const std::vector<Identity> parsed = [] {
    std::vector<Identity> all;
    for (const auto& [from, to] : kIdentities)
      all.push_back({from, parse_pattern(from), parse_pattern(to)});
    return all;
  }();
  return parsed;
}

ValueId apply(const Identity& identity, Builder& builder, ValueId id) {
  Bindings bindings;
  if (!match(builder.graph(), id, identity.from, bindings)) return kNoValue;
  const Shape shape = builder.type(id).shape;
  const ValueId replacement = build(builder, identity.to, bindings);
  return builder.broadcast_to(replacement, shape);
}

ValueId apply_rules(Builder& builder, ValueId id) {
  if (!builder.graph()[id].epilogue.empty()) return kNoValue;
  for (const Identity& identity : identities()) {
    if (identity.from.op != builder.graph()[id].op) continue;
    const ValueId replacement = apply(identity, builder, id);
    if (replacement != kNoValue) return replacement;
  }
  for (const StructuralRule& rule : structural_rules()) {
    if (rule.op && *rule.op != builder.graph()[id].op) continue;
    const ValueId replacement = rule.apply(builder, id);
    if (replacement != kNoValue) return replacement;
  }
  return kNoValue;
}

}  // namespace taper::passes
