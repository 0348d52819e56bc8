// Shared by the printer and the parser (and nobody else): names of enumerators, the attributes of
// each op, and the pieces of the text form.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "ir/attrs.h"
#include "ir/op.h"
#include "ir/type.h"

namespace taper::ir {

std::string_view name(PoolKind kind);
std::string_view name(ReduceKind kind);
std::string_view name(ConvPass pass);
std::string_view name(RowKind kind);
std::string_view name(EpilogueAccess access);

// Nothing when none is called so. What is no enumerator has the name "?".
template <class Enum>
std::optional<Enum> enumerator_named(std::string_view text) {
  std::underlying_type_t<Enum> i = 0;
  while (name(Enum{i}) != text && name(Enum{i}) != "?") ++i;
  return name(Enum{i}) == "?" ? std::nullopt : std::optional(Enum{i});
}

// The alternative of Attrs that nodes of `op` carry, with every member at its default. An attribute
// that equals its default is not written.
Attrs default_attrs(Op op);

// Whether an attribute of this key holds extents, in which kBatch is written as N.
inline bool holds_extents(std::string_view key) {
  return key == "shape" || key == "end";
}
std::string extent_text(Dim extent);  // "N" for kBatch

// The texts of `values` one after another.
template <class Range, class Text>
std::string joined(const Range& values, std::string_view separator, Text&& text) {
  std::string out;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i > 0) out += separator;
    out += text(values[i]);
  }
  return out;
}

// The dtype of an expression instruction that is not written (cast always writes it).
DType natural_dtype(Op op);

// Names of the inputs of an expression: acc, c0, c1, ... in an epilogue, else a, b, c, ...
enum class ExprRole : std::uint8_t { map, epilogue };
std::string expr_text(const Expr& expr, ExprRole role);

// In double quotes, with \" \\ \n \t and \xHH for other control characters.
std::string quoted(std::string_view text);
// What has an escape of one letter, and these letters.
inline constexpr std::string_view kEscaped = "\"\\\n\t", kEscapes = "\"\\nt";

}  // namespace taper::ir
