// The printer: one line per node of canonical(graph),
//   %2 = conv2d(%0, %1; %3) {padding=[1,1,1,1]} epilogue (acc, c0) { ... } : f32[N,32,28,28]
#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "ir/graph.h"
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

// Collects key and text of every member that a `fields` function visits.
class FieldPrinter {
 public:
  struct Field {
    std::string_view key;
    std::string text;
    bool operator==(const Field&) const = default;
  };
  std::vector<Field> fields;

  template <class Value>
  void operator()(std::string_view key, const Value& value) {
    extents_ = holds_extents(key);
    fields.push_back({key, text(value)});
  }

 private:
  std::string text(std::int64_t v) const {
    return extents_ ? extent_text(v) : fmt::format("{}", v);
  }
  std::string text(std::uint64_t v) const { return fmt::format("{}", v); }
  std::string text(double v) const { return fmt::format("{}", v); }
  std::string text(bool v) const { return v ? "true" : "false"; }
  std::string text(const std::string& v) const { return quoted(v); }
  std::string text(const Expr& v) const { return to_string(v); }
  std::string text(const TensorType& v) const { return to_string(v); }
  std::string text(const KernelSpec& v) const { return to_string(v); }
  template <class Enum>
  requires std::is_enum_v<Enum> std::string text(Enum v)
  const { return std::string(name(v)); }
  template <class List>
  requires requires { typename List::value_type; }
  std::string text(const List& values) const {
    return fmt::format("[{}]", joined(
                                   values, ",", [&](const auto& v) { return text(v); }));
  }

  bool extents_ = false;
};

std::vector<FieldPrinter::Field> fields_of(Attrs attrs) {
  FieldPrinter printer;
  std::visit([&](auto& a) { a.fields(printer); }, attrs);
  return std::move(printer.fields);
}

// " {key=value, ...}" of the attributes that are not at their default.
std::string attrs_text(const Node& node) {
  const auto defaults = fields_of(default_attrs(node.op));
  std::string out;
  for (const FieldPrinter::Field& field : fields_of(node.attrs)) {
    if (std::ranges::find(defaults, field) != defaults.end()) continue;
    out += fmt::format("{}{}={}", out.empty() ? " {" : ", ", field.key, field.text);
  }
  return out.empty() ? out : out + '}';
}

// `input "x"`, `constant 0.5`, `constant [1,2]`: the only attribute stands alone.
std::string leaf_text(const Node& node) {
  const auto* constant = std::get_if<ConstantAttrs>(&node.attrs);
  if (constant && constant->values.size() == 1) return fmt::format(" {}", constant->values[0]);
  const auto fields = fields_of(node.attrs);
  return fields.empty() ? "" : fmt::format(" {}", fields.front().text);
}

// "(%0, %1; %2)": the op's own operands, then the epilogue's.
std::string operands_text(const Node& node) {
  const auto extra = static_cast<std::size_t>(std::max<std::int64_t>(node.epilogue.inputs - 1, 0));
  std::string out = "(";
  for (std::size_t i = 0; i < node.operands.size(); ++i) {
    if (i > 0) out += i + extra == node.operands.size() ? "; " : ", ";
    out += fmt::format("%{}", node.operands[i].index);
  }
  return out + ')';
}

std::string node_text(const Node& node) {
  std::string out(traits(node.op).name);
  if (traits(node.op).arity == 0) {
    out += leaf_text(node);
  } else {
    out += operands_text(node);
    out += attrs_text(node);
  }
  if (node.epilogue != Expr{})
    out += fmt::format(" epilogue {}", expr_text(node.epilogue, ExprRole::epilogue));
  return fmt::format("{} : {}", out, to_string(node.type));
}

// " loc("model.cpp":12)".
std::string location_text(const Location& where) {
  if (!where.known()) return {};
  const std::string column = where.column() == 0 ? "" : fmt::format(":{}", where.column());
  return fmt::format(" loc({}:{}{})", quoted(where.file_name()), where.line(), column);
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

std::string print(const Graph& graph, const PrintOptions& options) {
  const Graph ordered = canonical(graph);
  std::string out = "graph {\n";
  for (std::size_t i = 0; i < ordered.size(); ++i) {
    const Node& node = ordered.nodes()[i];
    out += fmt::format("  %{} = {}", i, node_text(node));
    if (options.locations) out += location_text(node.location);
    out += '\n';
  }
  for (const Output& output : ordered.outputs)
    out += fmt::format("  return {} = %{}\n", quoted(output.name), output.value.index);
  for (const Update& update : ordered.updates)
    out += fmt::format("  update %{} = %{}\n", update.variable.index, update.value.index);
  return out + "}\n";
}

}  // namespace taper::ir
