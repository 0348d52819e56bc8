// The IR: a static graph of plain nodes, topological by construction.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ir/attrs.h"
#include "ir/error.h"
#include "ir/expr.h"
#include "ir/op.h"
#include "ir/type.h"

namespace taper::ir {

struct ValueId {
  std::uint32_t index = 0xffffffffu;
  auto operator<=>(const ValueId&) const = default;
};
inline constexpr ValueId kNoValue{};

using Operands = InlineVector<ValueId, 4>;

// An operation and the (first) value it produces. Multi-result nodes list all result types in their
// attributes and are read through `result` nodes.
struct Node {
  Op op = Op::input;
  TensorType type;
  Operands operands = {};  // the op's own, then the epilogue's extra ones
  Attrs attrs = {};
  Expr epilogue = {};  // empty, or applied to the op's result (conv2d*, matmul, pool2d*, reduce)
  Location location{};

  bool operator==(const Node& other) const;  // locations do not count
};

bool is_variable(const Node& node);            // a parameter or state
const std::string& name_of(const Node& node);  // of an input or a variable

struct Output {
  std::string name;
  ValueId value;
  bool operator==(const Output&) const = default;
};
// After a run, `variable` (a parameter or state node) holds `value`. All values are computed from
// the old contents.
struct Update {
  ValueId variable;
  ValueId value;
  bool operator==(const Update&) const = default;
};

class Graph {
 public:
  // Appends `node` as it is. Operands must already exist (asserted by verify()).
  ValueId append(Node node);
  void reserve(std::size_t nodes) { nodes_.reserve(nodes); }

  const Node& operator[](ValueId id) const { return nodes_[id.index]; }
  Node& operator[](ValueId id) { return nodes_[id.index]; }
  std::size_t size() const { return nodes_.size(); }
  const std::vector<Node>& nodes() const { return nodes_; }
  ValueId id(std::size_t index) const { return ValueId{static_cast<std::uint32_t>(index)}; }
  std::vector<ValueId> ids() const;  // all that there are now, in order

  std::vector<Output> outputs;
  std::vector<Update> updates;

  bool operator==(const Graph&) const = default;

 private:
  std::vector<Node> nodes_;
};

// Number of uses of each value by nodes, outputs and updates.
std::vector<int> use_counts(const Graph& graph);

// The nodes reachable from outputs and updates, numbered depth-first from the outputs (operands in
// order), then the updates; inputs, parameters and states that are reachable keep their names.
// Unreachable nodes are dropped. print() and every pass use this order.
Graph canonical(Graph graph);

// Result type of `op`. Throws taper::Error naming the op, the operand types and `where`.
TensorType infer(Op op, const std::vector<TensorType>& operands, const Attrs& attrs,
                 const Location& where = {});

// NumPy broadcasting of two shapes; the batch symbol equals itself and 1 only. Throws taper::Error.
Shape broadcast(const Shape& a, const Shape& b, std::string_view op, const Location& where = {});

// The result types of all results of a node (one for most ops).
std::vector<TensorType> result_types(const Graph& graph, const Node& node);

// What a run checks before it starts: that all elements of an operand, an input, are in a range.
struct ElementCheck {
  std::size_t operand;
  RangeAttrs range;
};
std::optional<ElementCheck> element_check(const Graph& graph, const Node& node);

// Checks every rule listed at the top of verify.cpp; throws taper::Error naming the node.
enum class Stage { recorded, differentiated, laid_out, selected };
void verify(const Graph& graph, Stage stage);

// The text form; parse(print(g)) == canonical(g). With locations, a node ends in
// loc("FILE":LINE) or loc("FILE":LINE:COLUMN), which parse() gives back to it.
struct PrintOptions {
  bool locations = false;
};
std::string print(const Graph& graph, const PrintOptions& options = {});
// Throws taper::Error with `name`:line:column and what was expected. A node without loc(...) has
// its place in this text, so that passes and the verifier point there.
Graph parse(std::string_view text, std::string_view name = "<text>");

}  // namespace taper::ir
