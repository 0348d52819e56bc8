// Mean and variance over the batch and planes from those of each image.
#include <map>

#include "ir/builder.h"
#include "passes/fuse.h"

namespace taper::passes {
namespace {

using namespace ir;

class Moments2d {
 public:
  explicit Moments2d(const Graph& graph) : graph_(graph) {
    for (const ValueId v : graph.ids())
      if (const ValueId mean = centre_of(v); mean != kNoValue) planes_[mean];
  }

  Graph run() {
    if (planes_.empty()) return graph_;
    const auto rule = [&](DemandCopy& copy, ValueId old) -> std::optional<ValueId> {
      const Node& node = graph_[old];
      if (const auto it = planes_.find(old); it != planes_.end()) {
        const ValueId x = copy(node.operands[0]);
        Builder b(copy.to(), node.location);
        it->second = moments_of(b, x);
        return b.reshape(over_images(b, it->second.mean), node.type.shape);
      }
      const ValueId centre = centre_of(old);
      if (centre == kNoValue) return std::nullopt;
      const ValueId mean = copy(centre);
      Builder b(copy.to(), node.location);
      return b.reshape(variance(b, planes_.at(centre), mean), node.type.shape);
    };
    return DemandCopy(graph_, rule).run();
  }

 private:
  struct Planes {
    ValueId mean, variance;  // [N,C]
  };

  // Whole blocks of channels: see pair_reductions.
  bool is_mean(const Node& node) const {
    if (node.op != Op::reduce) return false;
    const auto& attrs = std::get<ReduceAttrs>(node.attrs);
    const Shape& shape = graph_[node.operands[0]].type.shape;
    return attrs.kind == ReduceKind::mean && attrs.prologue == Expr{} && shape.size() == 4 &&
           shape[0] == kBatch && attrs.axes == Indices{0, 2, 3} && shape[1] % kBlock == 0;
  }

  // Of a variance, the mean of (x - mean)^2: that mean.
  ValueId centre_of(ValueId v) const {
    if (!is_mean(graph_[v])) return kNoValue;
    const Node& square = graph_[graph_[v].operands[0]];
    if (square.op != Op::mul || square.operands[0] != square.operands[1]) return kNoValue;
    const Node& difference = graph_[square.operands[0]];
    if (difference.op != Op::sub) return kNoValue;
    const Node& mean = graph_[difference.operands[1]];
    const bool same = is_mean(mean) && mean.operands[0] == difference.operands[0] &&
                      std::get<ReduceAttrs>(mean.attrs).keep_dims;
    return same ? difference.operands[1] : kNoValue;
  }

  static ValueId over_images(Builder& b, ValueId planes) {
    return b.reduce(planes, ReduceKind::mean, {0}, false);
  }

  // Both in one walk, while the image is in the caches; about the first value of the plane, because
  // the mean is not known yet.
  static Planes moments_of(Builder& b, ValueId x) {
    const Shape shape = b.type(x).shape;
    const ValueId pivot =
        b.slice(x, {.begin = {0, 0, 0, 0}, .end = {kBatch, shape[1], 1, 1}, .step = {1, 1, 1, 1}});
    const Expr prologue{
        .inputs = 2,
        .instrs = {{.op = Op::sub, .args = {0, 1, -1}}, {.op = Op::mul, .args = {2, 2, -1}}},
        .outputs = {2, 3}};
    const ReduceAttrs both{ReduceKind::mean, {2, 3}, false, prologue};
    const ValueId walk = b.add_node(Op::reduce, {x, pivot}, both);
    const ValueId mean = b.result(walk, 0);
    const ValueId squares = b.result(walk, 1);
    const ValueId rest = b.sub(squares, b.mul(mean, mean));
    const ValueId origin = b.reshape(pivot, {kBatch, shape[1]});
    return {b.add(mean, origin), b.maximum(rest, b.scalar(0))};
  }

  // Of the whole batch (Chan, Golub and LeVeque 1979).
  static ValueId variance(Builder& b, const Planes& planes, ValueId mean) {
    const ValueId centre = b.reshape(mean, {b.type(planes.mean).shape[1]});
    const ValueId difference = b.sub(planes.mean, centre);
    return over_images(b, b.add(planes.variance, b.mul(difference, difference)));
  }

  const Graph& graph_;
  std::map<ValueId, Planes> planes_;  // by mean of those that a variance is about
};

}  // namespace

Graph fuse_moments(Graph graph) {
  return Moments2d(graph).run();
}

}  // namespace taper::passes
