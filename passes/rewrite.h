// Rewriter: copies an old graph into a new one, node by node, remembering where each value went.
#pragma once

#include <vector>

#include "ir/graph.h"

namespace taper::passes {

// A pass walks the old graph in order and, for each node, either copies it or maps its value to
// whatever it built in to(). The old graph must outlive the rewriter.
class Rewriter {
 public:
  explicit Rewriter(const ir::Graph& from);

  const ir::Graph& from() const { return from_; }
  ir::Graph& to() { return to_; }

  // Where an old value went; kNoValue while it is not mapped.
  ir::ValueId operator[](ir::ValueId old) const { return map_[old.index]; }
  void map(ir::ValueId old, ir::ValueId now) { map_[old.index] = now; }

  // The old node with operands of the new graph; all of them must be mapped.
  ir::Node translated(ir::ValueId old) const;

  // Appends translated(old) and maps `old` to it.
  ir::ValueId copy(ir::ValueId old);

  // The new graph in canonical order, with the outputs and updates of the old one.
  ir::Graph finish();

 private:
  const ir::Graph& from_;
  ir::Graph to_;
  std::vector<ir::ValueId> map_;
};

// Whether any operand of `node` is among the values that are marked.
bool any_operand(const ir::Node& node, const std::vector<bool>& marked);

// Which values up to `last` depend on one of `values`, or are one.
std::vector<bool> dependents(const ir::Graph& graph, ir::ValueId last,
                             const std::vector<ir::ValueId>& values);

}  // namespace taper::passes
