// Pictures of graphs: boxes in layers, operands above their users, as SVG or for Graphviz.
#pragma once

#include <string>
#include <vector>

#include "ir/graph.h"

namespace taper::tools {

struct Box {
  std::string title, detail;  // "conv2d", "f32[N,32,28,28]"
  std::string kind;           // class of the SVG element: leaf, kernel, op, output
  std::size_t value = 0;      // index in canonical(graph); of an output the value it returns
  int layer = 0;
  double x = 0, y = 0, width = 0;
};
struct Edge {
  std::size_t from = 0, to = 0;  // boxes
};
struct Drawing {
  std::vector<Box> boxes;
  std::vector<Edge> edges;
  double width = 0, height = 0;
};

// Of canonical(graph), placed: a box for each node, output and update.
Drawing draw(const ir::Graph& graph);

// A complete <svg> element. Every box is a <g class="node KIND" data-value="INDEX">.
std::string svg(const Drawing& drawing);

// In Graphviz' language.
std::string dot(const ir::Graph& graph);

// Text for XML and HTML: & < > " replaced.
std::string escaped(std::string_view text);

}  // namespace taper::tools
