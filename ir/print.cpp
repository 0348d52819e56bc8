// The printer: one line per node of canonical(graph),
//   %2 = conv2d(%0, %1; %3) {padding=[1,1,1,1]} epilogue (acc, c0) { ... } : f32[N,32,28,28]
#include <fmt/format.h>

#include <algorithm>

#include "ir/graph.h"
#include "ir/text.h"

namespace taper::ir {
namespace {

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
