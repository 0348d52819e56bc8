// The rules of `simplify` as data. A rule keeps every element of the value it replaces, bit for bit
// but for the sign of a zero; one NaN is as good as another. tests/rules.cpp proves each rule on
// random instances.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "ir/builder.h"
#include "passes/pattern.h"

namespace taper::passes {

// Elementwise algebra: a value of the form `from` becomes `to` (see passes/pattern.h), broadcast to
// the shape it had.
struct Identity {
  std::string_view text;  // of `from`
  Pattern from, to;
};
std::span<const Identity> identities();
// The replacement of `id`, appended to the builder's graph; kNoValue when the rule does not apply.
ir::ValueId apply(const Identity& identity, ir::Builder& builder, ir::ValueId id);

// Everything else, most of which looks at shapes and attributes.
struct StructuralRule {
  std::string_view name;
  std::optional<ir::Op> op;                                    // what makes `id`; nothing: any
  ir::ValueId (*apply)(ir::Builder& builder, ir::ValueId id);  // as above
};
std::span<const StructuralRule> structural_rules();

// The first rule that applies to `id`, elementwise ones first; kNoValue when none does.
ir::ValueId apply_rules(ir::Builder& builder, ir::ValueId id);

}  // namespace taper::passes
