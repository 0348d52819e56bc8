// Building fused expressions from nodes, and measuring them.
#include <algorithm>
#include <utility>

#include "passes/fuse.h"

namespace taper::passes {
namespace {

using ir::ValueId;

class ExprBuilder {
 public:
  ExprBuilder(const ir::Graph& graph, const std::set<ValueId>& members, ValueId acc)
      : graph_(graph), members_(members), has_acc_(acc != ir::kNoValue) {
    if (has_acc_) known_.push_back({acc, 0});
  }

  FusedExpr build(const std::vector<ValueId>& results) {
    std::vector<int> outputs;
    for (const ValueId v : results) outputs.push_back(visit(v));
    const int inputs = static_cast<int>(operands_.size()) + (has_acc_ ? 1 : 0);
    // The number of inputs is known only now; until here an instruction counted from kInstrs.
    const auto argument = [&](int code) {
      return static_cast<std::int16_t>(code < kInstrs ? code : code - kInstrs + inputs);
    };
    FusedExpr fused{{.inputs = inputs, .instrs = std::move(instrs_)}, operands_};
    for (ir::ExprInstr& instr : fused.expr.instrs)
      for (std::int16_t& arg : instr.args) arg = arg < 0 ? arg : argument(arg);
    for (const int code : outputs) fused.expr.outputs.push_back(argument(code));
    return fused;
  }

 private:
  static constexpr int kInstrs = 8192;

  int visit(ValueId v) {
    for (const auto& [value, code] : known_)
      if (value == v) return code;
    const ir::Node& node = graph_[v];
    if (const auto value = splat_value(node)) return constant(*value, node.type.dtype);
    const int code = members_.contains(v) ? instruction(v) : input(v);
    known_.push_back({v, code});
    return code;
  }

  int input(ValueId v) {
    operands_.push_back(v);
    return static_cast<int>(operands_.size()) - (has_acc_ ? 0 : 1);
  }

  // One instruction per use: a constant in a register from its first to its last use costs more
  // than loading it again.
  int constant(double value, ir::DType dtype) {
    instrs_.push_back({.op = ir::Op::constant, .value = value, .dtype = dtype});
    return kInstrs + static_cast<int>(instrs_.size()) - 1;
  }

  int instruction(ValueId v) {
    const ir::Node& node = graph_[v];
    ir::ExprInstr instr{.op = node.op, .dtype = node.type.dtype};
    for (const bool constants : {false, true}) {
      for (std::size_t i = 0; i < node.operands.size(); ++i) {
        if (splat_value(graph_[node.operands[i]]).has_value() != constants) continue;
        instr.args[i] = static_cast<std::int16_t>(visit(node.operands[i]));
      }
    }
    if (node.op == ir::Op::random) {
      const auto& attrs = std::get<ir::RandomAttrs>(node.attrs);
      instr.seed = attrs.seed;
      instr.stream = attrs.stream;
    }
    // Values that were computed again for several members are one in here.
    const auto same = std::find(instrs_.begin(), instrs_.end(), instr);
    if (same != instrs_.end()) return kInstrs + static_cast<int>(same - instrs_.begin());
    instrs_.push_back(instr);
    return kInstrs + static_cast<int>(instrs_.size()) - 1;
  }

  const ir::Graph& graph_;
  const std::set<ValueId>& members_;
  const bool has_acc_;
  std::vector<std::pair<ValueId, int>> known_;  // few: an expression is short
  std::vector<ir::ExprInstr> instrs_;
  ir::Operands operands_;
};

}  // namespace

FusedExpr build_expr(const ir::Graph& graph, const std::set<ValueId>& members,
                     const std::vector<ValueId>& results, ValueId acc) {
  return ExprBuilder(graph, members, acc).build(results);
}

int max_live(const ir::Expr& expr, bool has_acc) {
  const auto inputs = static_cast<std::size_t>(expr.inputs);
  const std::size_t count = expr.instrs.size();
  std::vector<std::size_t> first(inputs + count, count), last(inputs + count, 0);
  const auto use = [&](std::int16_t value, std::size_t when) {
    if (value < 0) return;
    const auto v = static_cast<std::size_t>(value);
    first[v] = std::min(first[v], when);
    last[v] = std::max(last[v], when);
  };
  for (std::size_t i = 0; i < count; ++i) {
    first[inputs + i] = i;
    for (const std::int16_t arg : expr.instrs[i].args) use(arg, i);
  }
  for (const std::int16_t output : expr.outputs) use(output, count);
  if (has_acc) first[0] = 0;
  int most = 0;
  for (std::size_t i = 0; i < count; ++i) {
    int live = 0;
    for (std::size_t v = 0; v < first.size(); ++v) live += first[v] <= i && i <= last[v] ? 1 : 0;
    most = std::max(most, live);
  }
  return most;
}

void append(ir::Expr& to, const ir::Expr& from, std::span<const std::int16_t> inputs) {
  const auto moved = to.inputs + std::ssize(to.instrs) - from.inputs;
  const auto renamed = [&](std::int16_t arg) {
    if (arg < 0) return arg;
    return arg < from.inputs ? inputs[static_cast<std::size_t>(arg)]
                             : static_cast<std::int16_t>(arg + moved);
  };
  for (ir::ExprInstr instr : from.instrs) {
    for (std::int16_t& arg : instr.args) arg = renamed(arg);
    to.instrs.push_back(instr);
  }
  for (const std::int16_t output : from.outputs) to.outputs.push_back(renamed(output));
}

int computations(const ir::Expr& expr) {
  const auto constants = std::ranges::count(expr.instrs, ir::Op::constant, &ir::ExprInstr::op);
  return static_cast<int>(std::ssize(expr.instrs) - constants);
}

std::optional<ir::EpilogueAccess> epilogue_access(const ir::Node& root,
                                                  const ir::TensorType& operand) {
  using enum ir::EpilogueAccess;
  const ir::Shape& shape = root.type.shape;
  const bool f32 = operand.dtype == ir::DType::f32;
  if (operand.shape == shape && (f32 || operand.dtype == ir::DType::boolean)) return same;
  if (!f32) return std::nullopt;
  const auto one = [](ir::Dim d) { return d == 1; };
  if (std::all_of(operand.shape.begin(), operand.shape.end(), one)) return scalar;
  if (root.op == ir::Op::reduce || shape.size() < 2 || operand.rank() > root.type.rank())
    return std::nullopt;
  // Axis 1 of the result, counted from the last axis, is the only one that the operand spans.
  const std::size_t trailing = shape.size() - 2;
  if (operand.shape.size() < trailing + 1) return std::nullopt;
  const std::size_t axis = operand.shape.size() - 1 - trailing;
  for (std::size_t i = 0; i < operand.shape.size(); ++i)
    if (operand.shape[i] != (i == axis ? shape[1] : 1)) return std::nullopt;
  return channel;
}

}  // namespace taper::passes
