// Elementwise results over images that were only kept for the backward pass are computed again.
#include <algorithm>
#include <vector>

#include "passes/fuse.h"
#include "passes/passes.h"
#include "passes/select.h"

namespace taper::passes {
namespace {

using namespace ir;

class Rematerializer {
 public:
  Rematerializer(const Graph& graph, const PassOptions& options)
      : graph_(graph), options_(options), users_(users_of(graph)), copy_(graph) {}

  Graph run() {
    std::vector<ValueId> again(graph_.size(), kNoValue);  // of a value, once it is computed again
    for (const ValueId id : graph_.ids()) {
      Node node = copy_.translated(id);
      for (std::size_t o = 0; o < node.operands.size(); ++o) {
        const ValueId value = graph_[id].operands[o];
        if (!is_gradient_of(id, value) || !pays(value)) continue;
        ValueId& clone = again[value.index];
        if (clone == kNoValue) clone = copy_.to().append(copy_.translated(value));
        node.operands[o] = clone;
      }
      copy_.map(id, copy_.to().append(std::move(node)));
    }
    return copy_.finish();
  }

 private:
  // Whether `user` is a gradient that runs image by image: one masked by `value`, or that of the
  // weights that `value` was convolved with.
  bool is_gradient_of(ValueId user, ValueId value) const {
    const Node& node = graph_[user];
    const auto operand = std::ranges::find(node.operands, value) - node.operands.begin();
    if (node.op == Op::conv2d_backward_data) return operand >= 2;
    return node.op == Op::conv2d_backward_weights && operand == 0 &&
           choose_lowering(select_conv(lowering_of(graph_, node)), options_, graph_.updates.empty())
               .each_image;
  }

  // Whether all that is kept of `value` for the backward pass are such gradients, and what it is
  // computed from is kept beyond them.
  bool pays(ValueId value) const {
    const ValueId source = image_of(value);
    if (source == kNoValue || users_.escapes[value.index]) return false;
    const std::vector<ValueId>& users = users_.nodes[value.index];
    const auto is_gradient = [&](ValueId user) { return is_gradient_of(user, value); };
    const auto first = std::ranges::find_if(users, is_gradient);
    return first != users.begin() && first != users.end() &&
           std::all_of(first, users.end(), is_gradient) &&
           std::any_of(first, users.end(),
                       [&](ValueId u) { return graph_[u].op == Op::conv2d_backward_data; }) &&
           users_.nodes[source.index].back() >= *first;
  }

  // Of a map of one tensor over images, and of others that are the same for all images: that one.
  ValueId image_of(ValueId value) const {
    const Node& node = graph_[value];
    const auto* map = std::get_if<MapAttrs>(&node.attrs);
    if (map == nullptr || map->results.size() != 1 || node.type.shape.size() != 4) return kNoValue;
    ValueId image = kNoValue;
    for (const ValueId operand : node.operands) {
      if (!graph_[operand].type.has_batch()) continue;
      if (image != kNoValue || graph_[operand].type != node.type) return kNoValue;
      image = operand;
    }
    return image;
  }

  const Graph& graph_;
  const PassOptions& options_;
  const Users users_;
  Rewriter copy_;
};

}  // namespace

Graph rematerialize(Graph graph, const PassOptions& options) {
  return Rematerializer(graph, options).run();
}

}  // namespace taper::passes
