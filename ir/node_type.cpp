#include "ir/node_type.h"

#include <fmt/format.h>

#include <algorithm>

#include "ir/text.h"

namespace taper::ir {
namespace {

// The dtype that argument `position` of an expression instruction must have, if there is only one.
std::optional<DType> argument_dtype(Op op, std::size_t position) {
  if (op == Op::cast) return std::nullopt;
  return op == Op::select && position == 0 ? DType::boolean : DType::f32;
}

void check_instr(const ExprInstr& instr, std::size_t index, const std::vector<DType>& types) {
  const OpTraits& row = traits(instr.op);
  const auto fail = [&](const std::string& sentence) {
    throw Error("expression value t{} = {}: {}", index, row.name, sentence);
  };
  const bool allowed =
      row.elementwise || instr.op == Op::constant || instr.op == Op::cast || instr.op == Op::random;
  if (!allowed) fail("an expression is made of elementwise ops, constants, casts and random");
  for (std::size_t i = 0; i < instr.args.size(); ++i) {
    const std::int16_t arg = instr.args[i];
    if (static_cast<int>(i) >= row.arity) {
      if (arg != -1) fail(fmt::format("argument {} of an op that takes {}", i, row.arity));
      continue;
    }
    if (arg < 0 || static_cast<std::size_t>(arg) >= types.size())
      fail(fmt::format("argument {} is value {} of {}", i, arg, types.size()));
    const auto expected = argument_dtype(instr.op, i);
    const DType actual = types[static_cast<std::size_t>(arg)];
    if (expected && actual != *expected)
      fail(fmt::format("argument {} must be {}, is {}", i, name(*expected), name(actual)));
  }
  const bool free_dtype = instr.op == Op::constant || instr.op == Op::cast;
  if (!free_dtype && instr.dtype != natural_dtype(instr.op)) {
    fail(fmt::format("its type must be {}, is {}", name(natural_dtype(instr.op)),
                     name(instr.dtype)));
  }
}

TensorType result_type(const Graph& graph, const Node& node) {
  const Node& producer = graph[node.operands.front()];
  const auto types = result_types(graph, producer);
  const std::int64_t index = std::get<ResultAttrs>(node.attrs).index;
  if (index < 0 || index >= static_cast<std::int64_t>(types.size())) {
    throw Error("index {} of {}, which has {} results", index, traits(producer.op).name,
                types.size());
  }
  return types[static_cast<std::size_t>(index)];
}

TensorType first_of(const std::vector<TensorType>& results) {
  if (results.empty()) throw Error("a node has at least one result");
  return results.front();
}

// The dtype that the epilogue gives the result of `root`, an op's result type.
DType epilogue_dtype(const Graph& graph, const Node& node, std::size_t own, DType root) {
  std::vector<DType> inputs{root};
  for (std::size_t i = own; i < node.operands.size(); ++i)
    inputs.push_back(graph[node.operands[i]].type.dtype);
  const auto outputs = expr_types(node.epilogue, inputs);
  if (outputs.size() != 1) throw Error("an epilogue has one output, not {}", outputs.size());
  return outputs.front();
}

void check_prologue(const std::vector<TensorType>& operands, const ReduceAttrs& attrs) {
  const Shape& shape = operands.front().shape;
  std::vector<DType> inputs;
  for (const TensorType& operand : operands) {
    inputs.push_back(operand.dtype);
    if (operand.shape == shape || repeats_along(operand, shape, attrs.axes)) continue;
    throw Error("its prologue reads {}, which neither has the shape {} nor repeats along the axes",
                to_string(operand), to_string(shape));
  }
  const std::vector<DType> outputs = expr_types(attrs.prologue, inputs);
  const auto not_f32 = [](DType dtype) { return dtype != DType::f32; };
  if (outputs.empty() || std::ranges::any_of(outputs, not_f32))
    throw Error("its prologue has another result than f32");
  const auto random = [](const ExprInstr& instr) { return instr.op == Op::random; };
  if (std::ranges::any_of(attrs.prologue.instrs, random))
    throw Error("its prologue makes random numbers");
}

}  // namespace

bool repeats_along(const TensorType& operand, const Shape& shape, const Indices& axes) {
  if (operand.dtype != DType::f32 || operand.shape.size() != shape.size()) return false;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const bool reduced = std::ranges::find(axes, static_cast<std::int64_t>(i)) != axes.end();
    if (operand.shape[i] != 1 && (reduced || operand.shape[i] != shape[i])) return false;
  }
  return true;
}

std::vector<DType> expr_types(const Expr& expr, const std::vector<DType>& inputs) {
  if (expr.inputs != static_cast<std::int64_t>(inputs.size()))
    throw Error("the expression takes {} inputs, got {}", expr.inputs, inputs.size());
  std::vector<DType> types = inputs;
  for (std::size_t i = 0; i < expr.instrs.size(); ++i) {
    check_instr(expr.instrs[i], i, types);
    types.push_back(expr.instrs[i].dtype);
  }
  std::vector<DType> outputs;
  for (const std::int16_t output : expr.outputs) {
    if (output < 0 || static_cast<std::size_t>(output) >= types.size())
      throw Error("the expression returns value {} of {}", output, types.size());
    outputs.push_back(types[static_cast<std::size_t>(output)]);
  }
  return outputs;
}

std::string with_op(Op op, std::string_view sentence) {
  const std::string prefix = fmt::format("{}: ", traits(op).name);
  return sentence.starts_with(prefix) ? std::string(sentence) : prefix + std::string(sentence);
}

int arity_of(const Node& node) {
  const auto* reduce = std::get_if<ReduceAttrs>(&node.attrs);
  if (reduce == nullptr || reduce->prologue == Expr{}) return traits(node.op).arity;
  return static_cast<int>(reduce->prologue.inputs);
}

std::size_t own_operand_count(const Node& node) {
  const int arity = arity_of(node);
  const bool fused = node.epilogue != Expr{};
  if (fused && !takes_epilogue(node.op)) throw Error("this op takes no epilogue");
  if (fused && node.epilogue.inputs < 1) throw Error("an epilogue takes the result as an input");
  const std::int64_t extra = fused ? node.epilogue.inputs - 1 : 0;
  const std::int64_t own = static_cast<std::int64_t>(node.operands.size()) - extra;
  if (own < 0 || (arity != kVariadic && own != arity)) {
    throw Error("takes {} operands{}, got {}", arity,
                extra > 0 ? fmt::format(" and {} of the epilogue", extra) : "",
                node.operands.size());
  }
  return static_cast<std::size_t>(own);
}

TensorType node_type(const Graph& graph, const Node& node) {
  if (node.attrs.index() != default_attrs(node.op).index())
    throw Error("its attributes are those of another op");
  const std::size_t own = own_operand_count(node);
  if (traits(node.op).arity == 0 || node.op == Op::view) return node.type;
  if (node.op == Op::result) return result_type(graph, node);
  if (node.op == Op::map) return first_of(std::get<MapAttrs>(node.attrs).results);
  if (node.op == Op::kernel) return first_of(std::get<KernelAttrs>(node.attrs).results);
  std::vector<TensorType> operands;
  for (std::size_t i = 0; i < own; ++i) operands.push_back(graph[node.operands[i]].type);
  const auto* reduce = std::get_if<ReduceAttrs>(&node.attrs);
  if (reduce != nullptr && reduce->prologue != Expr{}) {
    check_prologue(operands, *reduce);
    if (reduce->prologue.outputs.size() > 1 && node.epilogue != Expr{})
      throw Error("a reduction with several results takes no epilogue");
    operands.resize(1, operands.front());
  }
  TensorType type = infer(node.op, operands, node.attrs);
  if (node.epilogue != Expr{}) type.dtype = epilogue_dtype(graph, node, own, type.dtype);
  return type;
}

}  // namespace taper::ir
