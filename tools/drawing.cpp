#include "tools/drawing.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <variant>

#include "tools/drawing_place.h"

namespace taper::tools {
namespace {

constexpr double kCharacter = 7.2, kLeastWidth = 80;

std::string title_of(const ir::Node& node) {
  if (const auto* kernel = std::get_if<ir::KernelAttrs>(&node.attrs))
    return ir::lowering(kernel->spec);
  if (const auto* named = std::get_if<ir::NameAttrs>(&node.attrs)) return named->name;
  const std::string name(ir::traits(node.op).name);
  const auto* constant = std::get_if<ir::ConstantAttrs>(&node.attrs);
  if (constant != nullptr && constant->values.size() == 1)
    return fmt::format("{}", constant->values.front());
  return node.epilogue == ir::Expr{} ? name : name + " + epilogue";
}

std::string kind_of(const ir::Node& node) {
  if (ir::traits(node.op).arity == 0) return std::string("leaf ").append(ir::traits(node.op).name);
  return node.op == ir::Op::kernel ? "kernel" : "op";
}

Box make_box(std::string title, std::string detail, std::string kind, std::size_t value) {
  Box box{std::move(title), std::move(detail), std::move(kind), value};
  const auto characters = static_cast<double>(std::max(box.title.size(), box.detail.size()));
  box.width = std::max(kLeastWidth, characters * kCharacter + 16);
  return box;
}

void write_edge(std::string& out, const Box& from, const Box& to) {
  const double x0 = from.x + from.width / 2, y0 = from.y + kBoxHeight;
  const double x1 = to.x + to.width / 2, y1 = to.y;
  const double bend = std::min((y1 - y0) / 2, kLayerGap);
  fmt::format_to(
      std::back_inserter(out),
      "<path class=\"edge\" d=\"M{:.1f} {:.1f}C{:.1f} {:.1f} {:.1f} {:.1f} {:.1f} {:.1f}\" "
      "fill=\"none\" stroke=\"#8a94a6\"/>\n",
      x0, y0, x0, y0 + bend, x1, y1 - bend, x1, y1);
}

std::string_view fill_of(std::string_view kind) {
  if (kind == "kernel") return "#ffe3c2";
  if (kind == "output") return "#d7f0d8";
  return kind == "op" ? "#ffffff" : "#dde8fb";
}

void write_box(std::string& out, const Box& box) {
  const double middle = box.x + box.width / 2;
  fmt::format_to(
      std::back_inserter(out),
      "<g class=\"node {}\" data-value=\"{}\"><rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" "
      "height=\"{}\" rx=\"5\" fill=\"{}\" stroke=\"#4a5568\"/>"
      "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>"
      "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\" fill=\"#667\">{}</text></g>\n",
      box.kind, box.value, box.x, box.y, box.width, kBoxHeight, fill_of(box.kind), middle,
      box.y + 17, escaped(box.title), middle, box.y + 33, escaped(box.detail));
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '&') out += "&amp;";
    if (c == '<') out += "&lt;";
    if (c == '>') out += "&gt;";
    if (c == '"') out += "&quot;";
    if (c != '&' && c != '<' && c != '>' && c != '"') out += c;
  }
  return out;
}

Drawing draw(const ir::Graph& graph) {
  const ir::Graph ordered = ir::canonical(graph);
  Drawing drawing;
  for (std::size_t i = 0; i < ordered.size(); ++i) {
    const ir::Node& node = ordered.nodes()[i];
    drawing.boxes.push_back(make_box(title_of(node), to_string(node.type), kind_of(node), i));
    for (const ir::ValueId operand : node.operands) drawing.edges.push_back({operand.index, i});
  }
  const auto sink = [&](std::string title, ir::ValueId value) {
    drawing.edges.push_back({value.index, drawing.boxes.size()});
    drawing.boxes.push_back(make_box(std::move(title), {}, "output", value.index));
  };
  for (const ir::Output& output : ordered.outputs) sink("return " + output.name, output.value);
  for (const ir::Update& update : ordered.updates)
    sink("update " + name_of(ordered[update.variable]), update.value);
  place(drawing);
  return drawing;
}

std::string svg(const Drawing& drawing) {
  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" "
      "viewBox=\"0 0 {0:.0f} {1:.0f}\" font-family=\"monospace\" font-size=\"12\">\n",
      drawing.width, drawing.height);
  for (const Edge& edge : drawing.edges)
    write_edge(out, drawing.boxes[edge.from], drawing.boxes[edge.to]);
  for (const Box& box : drawing.boxes) write_box(out, box);
  return out + "</svg>\n";
}

std::string dot(const ir::Graph& graph) {
  const Drawing drawing = draw(graph);
  const auto quoted = [](std::string_view text) {
    std::string out;
    for (const char c : text) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    return out;
  };
  std::string out = "digraph {\n  node [shape=box, fontname=monospace];\n";
  for (std::size_t b = 0; b < drawing.boxes.size(); ++b) {
    const Box& box = drawing.boxes[b];
    fmt::format_to(std::back_inserter(out),
                   "  n{} [label=\"{}\\n{}\", style=filled, fillcolor=\"{}\"];\n", b,
                   quoted(box.title), quoted(box.detail), fill_of(box.kind));
  }
  for (const Edge& edge : drawing.edges)
    fmt::format_to(std::back_inserter(out), "  n{} -> n{};\n", edge.from, edge.to);
  return out + "}\n";
}

}  // namespace taper::tools
