// The steps of `fuse`, in the order in which it runs them, and what they share. A step that finds
// nothing to do gives its graph back.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "ir/graph.h"
#include "passes/rewrite.h"

namespace taper::passes {

// Convolutions with 1 < groups that are not depthwise become a slice, a convolution and a concat
// per group; softmax and log_softmax over another axis than the last become reductions.
ir::Graph expand_structured(ir::Graph);

// The mean over the batch and planes, and the variance about it, are made of those of each image,
// which take one walk while the image is in the caches and wait for no other image.
ir::Graph fuse_moments(ir::Graph);

// cross_entropy and a cross_entropy_backward of the same operands become cross_entropy_fused,
// unless the gradient that flows in depends on the loss.
ir::Graph fuse_losses(ir::Graph);

// Max pooling whose gradient is computed too says where the maxima were, and the gradient goes
// there without another look at the input: max_pool2d_with_indices and max_unpool2d, for windows of
// at most 255 taps. A ReLU's mask of the gradient becomes one of the indices.
ir::Graph fuse_pools(ir::Graph);

// Elementwise ops read the operand of a broadcast_to instead of its result: a map repeats it.
ir::Graph bypass_broadcasts(ir::Graph);

// What cheap ops make of one stored tensor, such as x - mean, is computed again for each of its
// readers if reductions are among them, so that nothing else than the tensor need be stored.
ir::Graph recompute_for_reductions(ir::Graph);

// The elementwise ops that alone use the result of a contraction, pooling or reduction become its
// epilogue. Limits: kMaxEpilogueOperands extra operands, kMaxEpilogueInstrs instructions.
ir::Graph fuse_epilogues(ir::Graph);

// Cheap elementwise ops that only a reduction reads become its prologue.
ir::Graph fuse_prologues(ir::Graph);

// Two reductions that walk alike and share a tensor become one with two results.
ir::Graph pair_reductions(ir::Graph);

// Sums and means over the batch and planes are made of those of each image, which are taken while
// the image is in the caches.
ir::Graph split_reductions(ir::Graph);

// The remaining elementwise, cast, random and broadcast_to nodes become single-segment maps:
// producers join their consumers of the same shape as long as the group stays convex.
ir::Graph fuse_maps(ir::Graph);

// Maps with the same expression whose results only end up in outputs and updates become one map
// with a segment for each.
ir::Graph merge_maps(ir::Graph);

// ---- Shared ----

// Copies a graph in the old order; a rule may replace a value, and may use values that come later
// in the old order as long as the result has no cycle.
class DemandCopy : public Rewriter {
 public:
  // Returns the new value of `old`, or nothing to copy its node as it is.
  using Rule = std::function<std::optional<ir::ValueId>(DemandCopy&, ir::ValueId old)>;

  DemandCopy(const ir::Graph& from, Rule rule) : Rewriter(from), rule_(std::move(rule)) {}
  ir::Graph run();  // the whole graph, canonical

  ir::ValueId operator()(ir::ValueId old);  // the new value
  ir::Operands operator()(const ir::Operands& old);

 private:
  Rule rule_;
};

// Replaces each value that `known` has something for by replace(copy, value, that).
template <class T, class Replace>
ir::Graph replace_each(const ir::Graph& graph, const std::map<ir::ValueId, T>& known,
                       const Replace& replace) {
  if (known.empty()) return graph;
  const auto rule = [&](DemandCopy& copy, ir::ValueId old) -> std::optional<ir::ValueId> {
    const auto it = known.find(old);
    if (it == known.end()) return std::nullopt;
    return replace(copy, old, it->second);
  };
  return DemandCopy(graph, rule).run();
}

// Adds the instructions and outputs of `from`, whose input i is the value inputs[i] of `to`.
void append(ir::Expr& to, const ir::Expr& from, std::span<const std::int16_t> inputs);

// Who uses each value: nodes (each once, ascending), and whether an output or update does.
struct Users {
  std::vector<std::vector<ir::ValueId>> nodes;
  std::vector<bool> escapes;

  bool all_among(const std::set<ir::ValueId>& members, ir::ValueId value) const {
    const auto inside = [&](ir::ValueId user) { return members.contains(user); };
    return !escapes[value.index] && std::ranges::all_of(nodes[value.index], inside);
  }
};
Users users_of(const ir::Graph&);

// The value of a constant whose elements are all the same, of dtype f32 or bool.
std::optional<double> splat_value(const ir::Node&);

// `results` computed from `members`; what else the members read are the inputs, numbered by their
// first use in depth-first order, so that equal computations have equal expressions. Splat
// constants become instructions. `acc`, when valid, is input 0 and not among the operands.
struct FusedExpr {
  ir::Expr expr;
  ir::Operands operands;
};
FusedExpr build_expr(const ir::Graph&, const std::set<ir::ValueId>& members,
                     const std::vector<ir::ValueId>& results, ir::ValueId acc = ir::kNoValue);

// Most values that are alive at once: inputs from their first to their last use (`acc`, input 0 of
// an epilogue, from the start), and what instructions make.
int max_live(const ir::Expr&, bool has_acc);
// Instructions other than constants.
int computations(const ir::Expr&);

// An expression must fit the 16 registers of the smallest ISA, where an op takes up to 5 of its
// own.
inline constexpr int kMaxEpilogueOperands = 4;
inline constexpr int kMaxEpilogueInstrs = 12;
inline constexpr int kMaxEpilogueLive = 6;
inline constexpr int kMaxLiveWithMoments = 7;  // their sums among them
inline constexpr std::size_t kMaxPrologueOperands = 4;
inline constexpr std::size_t kMaxPrologueTensors = 2;
inline constexpr int kMaxPrologueInstrs = 8;
inline constexpr int kMaxPrologueLive = 4;
inline constexpr int kMaxRecomputedInstrs = 4;
inline constexpr int kMaxMapInputs = 12;
inline constexpr int kMaxMapInstrs = 28;
inline constexpr int kMaxMapLive = 9;

// How the epilogue of `root` reads an operand of this type; nothing when it cannot.
std::optional<ir::EpilogueAccess> epilogue_access(const ir::Node& root,
                                                  const ir::TensorType& operand);

}  // namespace taper::passes
