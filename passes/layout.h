// The parts of `layout`.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "ir/graph.h"

namespace taper::passes {

// One group of operands of a map with the results computed from it.
struct SegmentView {
  std::vector<ir::ValueId> operands;
  std::vector<ir::TensorType> results;
  std::vector<ir::ValueId> holders;  // of the results: the map itself or `result` nodes
  std::size_t first_operand = 0, first_result = 0;
};
using Maps = std::map<ir::ValueId, std::vector<SegmentView>>;
Maps maps_of(const ir::Graph&);

// The storage layout of each parameter and state (by value id; plain for other values). Preset
// layouts stay, and so do those of `placed`; a weight of conv2d or of matmul(.., transpose_b) gets
// o16, unless is_head(), and so does everything of the same shape that is updated with it.
std::vector<ir::Layout> variable_layouts(const ir::Graph&, const Maps&,
                                         const std::set<std::string>& placed);

// Values that are best produced as o16, because an update of an o16 variable consumes them.
std::vector<bool> wanted_o16(const ir::Graph&, const Maps&,
                             const std::vector<ir::Layout>& variables);

// How an operand that is broadcast along `shape` must lie when the iteration is blocked by
// `layout`.
enum class BlockedOperand {
  blocked,  // in the same layout
  plain,    // repeated along, or contiguous in, the blocked axis
  unfit,    // cannot be read: the whole map is plain
};
BlockedOperand blocked_operand(const ir::Shape& operand, const ir::Shape& shape, ir::Layout layout);

// The graph under construction: old values, their new ones, and relayouts made so far.
class LaidOut {
 public:
  explicit LaidOut(const ir::Graph& from) : now_(from.size(), ir::kNoValue) {}

  ir::Graph graph;
  void bind(ir::ValueId old, ir::ValueId now) { now_[old.index] = now; }
  // The new value in the layout it was produced in.
  ir::ValueId native(ir::ValueId old) const { return now_[old.index]; }
  ir::Layout native_layout(ir::ValueId old) const { return graph[native(old)].type.layout; }
  // The new value in `layout`; one relayout for each value and layout.
  ir::ValueId as(ir::ValueId old, ir::Layout layout) { return relayout(native(old), layout); }
  ir::ValueId relayout(ir::ValueId now, ir::Layout layout);

 private:
  std::vector<ir::ValueId> now_;
  std::map<std::pair<ir::ValueId, ir::Layout>, ir::ValueId> relayouts_;
};

// Whether `node` is a product with a transposed matrix that is less than a block, in a graph that
// updates variables: blocks would pad its gradient and update, too.
bool is_head(const ir::Graph&, const ir::Node& node);

// Per op: the layouts of the operands, in order, and of the result.
struct Choice {
  std::vector<ir::Layout> operands;
  ir::Layout result = ir::Layout::plain;
};
Choice choose_conv(const ir::Graph&, const ir::Node&, const LaidOut&);
Choice choose_matmul(const ir::Graph&, const ir::Node&, const LaidOut&, bool wants_o16);
Choice choose_movement(const ir::Graph&, const ir::Node&, const LaidOut&);

// Append what stands for a map or a reduction. `wanted`: wanted_o16().
ir::ValueId place_map(const ir::Graph&, ir::ValueId old, LaidOut&,
                      const std::vector<SegmentView>& segments, const std::vector<bool>& wanted);
ir::ValueId place_reduce(const ir::Graph&, ir::ValueId old, LaidOut&);

}  // namespace taper::passes
