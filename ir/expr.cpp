#include "ir/expr.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "ir/text.h"

namespace taper::ir {
namespace {

// Argument `index` by name. The letters end before numbers begin, so that no input is called t0.
std::string argument_name(const Expr& expr, ExprRole role, std::int64_t index) {
  if (index < 0 || index >= expr.inputs + static_cast<std::int64_t>(expr.instrs.size()))
    return fmt::format("?{}", index);
  if (index >= expr.inputs) return fmt::format("t{}", index - expr.inputs);
  if (role == ExprRole::epilogue) return index == 0 ? "acc" : fmt::format("c{}", index - 1);
  return index < 26 ? std::string(1, static_cast<char>('a' + index)) : fmt::format("x{}", index);
}

std::string instruction_text(const Expr& expr, ExprRole role, const ExprInstr& instr) {
  std::string out;
  if (instr.op == Op::constant) {
    out = fmt::format("{}", instr.value);
  } else {
    const OpTraits& row = traits(instr.op);
    const std::span args(instr.args.data(), static_cast<std::size_t>(std::clamp(row.arity, 0, 3)));
    const auto text = [&](std::int64_t arg) { return argument_name(expr, role, arg); };
    out = fmt::format("{}({})", row.name, joined(args, ", ", text));
  }
  if (instr.op == Op::random)
    out += fmt::format(" {{seed={}, stream={}}}", instr.seed, instr.stream);
  if (instr.op == Op::cast || instr.dtype != natural_dtype(instr.op))
    out += fmt::format(" : {}", name(instr.dtype));
  return out;
}

}  // namespace

std::string expr_text(const Expr& expr, ExprRole role) {
  std::string out = "(";
  for (std::int64_t i = 0; i < expr.inputs; ++i)
    out += fmt::format("{}{}", i == 0 ? "" : ", ", argument_name(expr, role, i));
  out += ") { ";
  for (std::size_t i = 0; i < expr.instrs.size(); ++i)
    out += fmt::format("t{} = {}; ", i, instruction_text(expr, role, expr.instrs[i]));
  const auto text = [&](std::int64_t output) { return argument_name(expr, role, output); };
  out += joined(expr.outputs, ", ", text);
  return out + (expr.outputs.empty() ? "}" : " }");
}

std::string to_string(const Expr& expr) {
  return expr_text(expr, ExprRole::map);
}

}  // namespace taper::ir
