// The Op enumeration and its traits, expanded from ir/ops.def.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace taper::ir {

enum class Op : std::uint8_t {
#define TAPER_ELEMENTWISE(name, arity, result, eval, vjp, emit) name,
#define TAPER_STRUCTURAL(name, arity, attrs) name,
#include "ir/ops.def"
};

inline constexpr int kVariadic = -1;

enum class ResultKind : std::uint8_t { f32, predicate };  // of an elementwise op

struct OpTraits {
  std::string_view name;
  int arity;          // kVariadic: any number. Operands beyond it belong to the epilogue.
  bool elementwise;   // NumPy broadcasting applies
  ResultKind result;  // elementwise only
};

const OpTraits& traits(Op op);
// Whether nodes of `op` may carry an epilogue.
bool takes_epilogue(Op op);

std::optional<Op> op_named(std::string_view name);

}  // namespace taper::ir
