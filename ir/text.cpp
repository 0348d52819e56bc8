#include "ir/text.h"

#include <fmt/format.h>

#include <initializer_list>

namespace taper::ir {
namespace {

template <class Enum>
std::string_view look_up(std::initializer_list<std::string_view> names, Enum value) {
  const auto index = static_cast<std::size_t>(value);
  return index < names.size() ? names.begin()[index] : "?";
}

}  // namespace

#define TAPER_NAMES(Enum, ...)            \
  std::string_view name(Enum value) {     \
    return look_up({__VA_ARGS__}, value); \
  }
TAPER_NAMES(DType, "f32", "f16", "bf16", "i8", "u8", "i32", "bool")
TAPER_NAMES(Layout, "plain", "c16", "o16", "i16", "o16x4")
TAPER_NAMES(PoolKind, "max", "average")
TAPER_NAMES(ReduceKind, "sum", "mean", "max")
TAPER_NAMES(ConvPass, "forward", "backward_data", "backward_weights", "filter",
            "filter_backward_data", "filter_gradient")
TAPER_NAMES(RowKind, "softmax", "log_softmax", "cross_entropy", "cross_entropy_backward",
            "cross_entropy_fused")
TAPER_NAMES(EpilogueAccess, "same", "channel", "scalar")
#undef TAPER_NAMES

Attrs default_attrs(Op op) {
  switch (op) {
#define TAPER_ELEMENTWISE(name, arity, result, eval, vjp, emit) \
  case Op::name:                                                \
    return NoAttrs{};
#define TAPER_STRUCTURAL(name, arity, attrs) \
  case Op::name:                             \
    return attrs{};
#include "ir/ops.def"
  }
  return NoAttrs{};
}

std::string extent_text(Dim extent) {
  return extent == kBatch ? "N" : fmt::format("{}", extent);
}

DType natural_dtype(Op op) {
  const OpTraits& row = traits(op);
  return row.elementwise && row.result == ResultKind::predicate ? DType::boolean : DType::f32;
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (const auto at = kEscaped.find(c); at != std::string_view::npos)
      out += {'\\', kEscapes[at]};
    else if (byte < 0x20 || byte == 0x7f)
      out += fmt::format("\\x{:02x}", byte);
    else
      out += c;
  }
  return out + '"';
}

}  // namespace taper::ir
