// Elementwise ops, alone, as a map and as an epilogue.
#include <algorithm>
#include <cmath>
#include <limits>

#include "ir/eval_ops.h"

namespace taper::ir {
namespace {

double maximum(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return std::numeric_limits<double>::quiet_NaN();
  return a > b ? a : b;
}
double minimum(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return std::numeric_limits<double>::quiet_NaN();
  return a < b ? a : b;
}
double relu(double a) {
  return a < 0 ? 0 : a;  // NaN stays NaN
}

double relu6(double a) {
  return a > 6 ? 6 : relu(a);
}

double run_instr(const ExprInstr& instr, std::int64_t index, const double* slots) {
  const auto argument = [&](std::size_t i) { return instr.args[i] < 0 ? 0 : slots[instr.args[i]]; };
  if (instr.op == Op::constant) return instr.value;
  if (instr.op == Op::cast) return argument(0);
  if (instr.op == Op::random) return uniform(index, argument(0), instr.stream, instr.seed);
  return apply(instr.op, argument(0), argument(1), argument(2));
}

// `slots` holds the inputs, then room for one value per instruction.
void run(const Expr& expr, std::int64_t index, double* slots) {
  double* next = slots + expr.inputs;
  for (const ExprInstr& instr : expr.instrs)
    *next++ = round_to(instr.dtype, run_instr(instr, index, slots));
}

// Applies `expr` to every element of `shape`; operands broadcast.
void run_over(const Expr& expr, const Shape& shape, const std::vector<const Value*>& operands,
              Value* results) {
  std::vector<Strides> strides;
  for (const Value* operand : operands)
    strides.push_back(broadcast_strides(operand->type.shape, shape));
  std::vector<double> slots(operands.size() + expr.instrs.size());
  for (Walk walk(shape, std::move(strides)); !walk.done(); walk.next()) {
    for (std::size_t i = 0; i < operands.size(); ++i)
      slots[i] = element(*operands[i], walk.offset(i));
    run(expr, walk.index(), slots.data());
    for (std::size_t i = 0; i < expr.outputs.size(); ++i)
      element(results[i], walk.index()) = slots[static_cast<std::size_t>(expr.outputs[i])];
  }
}

}  // namespace

double apply(Op op, [[maybe_unused]] double a, [[maybe_unused]] double b,
             [[maybe_unused]] double c) {
  switch (op) {
#define TAPER_ELEMENTWISE(name, arity, result, eval, vjp, emit) \
  case Op::name:                                                \
    return eval;
#define TAPER_STRUCTURAL(name, arity, attrs) case Op::name:
#include "ir/ops.def"
    break;
  }
  throw Error("evaluate: an expression is made of elementwise ops");
}

void evaluate(const Expr& expr, const double* inputs, std::int64_t index, double* outputs) {
  const auto count = static_cast<std::size_t>(expr.inputs);
  std::vector<double> slots(count + expr.instrs.size());
  std::copy_n(inputs, count, slots.begin());
  run(expr, index, slots.data());
  for (const std::int16_t output : expr.outputs)
    *outputs++ = slots[static_cast<std::size_t>(output)];
}

Results eval_elementwise(const EvalRequest& r) {
  Value y = r.result();
  ExprInstr instr{.op = r.node.op, .dtype = y.type.dtype};
  std::vector<const Value*> operands;
  for (std::int16_t i = 0; i < std::ssize(r.node.operands); ++i) {
    instr.args[static_cast<std::size_t>(i)] = i;
    operands.push_back(&r.operand(static_cast<std::size_t>(i)));
  }
  const auto inputs = static_cast<std::int16_t>(operands.size());
  run_over({inputs, {instr}, {inputs}}, y.type.shape, operands, &y);
  return {std::move(y)};
}

Results eval_map(const EvalRequest& r) {
  const auto& attrs = r.attrs<MapAttrs>();
  const auto inputs = static_cast<std::size_t>(attrs.expr.inputs);
  Results results;
  for (const TensorType& type : attrs.results) results.push_back(zeros(concrete(type, r.batch)));
  const std::size_t outputs = attrs.expr.outputs.size();
  for (std::size_t segment = 0; segment < static_cast<std::size_t>(attrs.segments); ++segment) {
    std::vector<const Value*> operands;
    for (std::size_t i = 0; i < inputs; ++i) operands.push_back(&r.operand(segment * inputs + i));
    Value* first = &results[segment * outputs];
    run_over(attrs.expr, first->type.shape, operands, first);
  }
  return results;
}

Results apply_prologue(const EvalRequest& r, const Expr& prologue) {
  std::vector<const Value*> operands;
  for (std::size_t i = 0; i < static_cast<std::size_t>(prologue.inputs); ++i)
    operands.push_back(&r.operand(i));
  const Shape& shape = operands.front()->type.shape;
  Results terms(prologue.outputs.size(), zeros({DType::f32, shape}));
  run_over(prologue, shape, operands, terms.data());
  return terms;
}

Value apply_epilogue(const EvalRequest& r, const Value& root) {
  const auto extra = static_cast<std::size_t>(r.node.epilogue.inputs - 1);
  std::vector<const Value*> operands{&root};
  for (std::size_t i = r.node.operands.size() - extra; i < r.node.operands.size(); ++i)
    operands.push_back(&r.operand(i));
  Value y = zeros(concrete(r.node.type, r.batch));
  run_over(r.node.epilogue, y.type.shape, operands, &y);
  return y;
}

Results eval_cast(const EvalRequest& r) {
  Value y = r.result();
  y.data = r.operand(0).data;
  return {rounded(std::move(y))};
}

}  // namespace taper::ir
