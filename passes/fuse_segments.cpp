#include <map>

#include "ir/builder.h"
#include "passes/fuse.h"

namespace taper::passes {
namespace {

using namespace ir;

// Where a map went: the segment of a merged map.
struct Segment {
  std::size_t bucket = 0;
  std::size_t index = 0;
};

class SegmentMerger {
 public:
  explicit SegmentMerger(const Graph& graph) : graph_(graph), users_(users_of(graph)) {}

  Graph run() {
    for (const ValueId v : graph_.ids())
      if (is_sink(v)) place(v);
    return DemandCopy(graph_, std::bind_front(&SegmentMerger::replace, this)).run();
  }

 private:
  const MapAttrs& attrs(ValueId map) const { return std::get<MapAttrs>(graph_[map].attrs); }

  bool is_sink(ValueId v) const {
    const Node& node = graph_[v];
    if (node.op != Op::map || attrs(v).segments != 1) return false;
    const std::vector<ValueId>& users = users_.nodes[v.index];
    if (attrs(v).results.size() == 1) return users.empty();
    for (const ValueId user : users)
      if (!users_.nodes[user.index].empty()) return false;
    return true;
  }

  bool alike(ValueId a, ValueId b) const {
    if (attrs(a).expr != attrs(b).expr) return false;
    for (std::size_t i = 0; i < attrs(a).results.size(); ++i)
      if (attrs(a).results[i].dtype != attrs(b).results[i].dtype) return false;
    for (std::size_t i = 0; i < graph_[a].operands.size(); ++i) {
      const TensorType& x = graph_[graph_[a].operands[i]].type;
      const TensorType& y = graph_[graph_[b].operands[i]].type;
      if (x.dtype != y.dtype) return false;
    }
    return true;
  }

  void place(ValueId map) {
    for (std::size_t b = 0; b < buckets_.size(); ++b) {
      if (!alike(buckets_[b].front(), map)) continue;
      segments_[map] = {b, buckets_[b].size()};
      buckets_[b].push_back(map);
      return;
    }
    segments_[map] = {buckets_.size(), 0};
    buckets_.push_back({map});
  }

  std::optional<ValueId> replace(DemandCopy& copy, ValueId old) {
    const bool through_result = graph_[old].op == Op::result;
    const ValueId map = through_result ? graph_[old].operands[0] : old;
    const auto it = segments_.find(map);
    if (it == segments_.end()) return std::nullopt;
    const auto [bucket, segment] = it->second;
    if (buckets_[bucket].size() < 2) return std::nullopt;
    const ValueId merged = merged_map(copy, bucket);
    if (!through_result && attrs(map).results.size() > 1) return merged;
    const std::int64_t output = through_result ? std::get<ResultAttrs>(graph_[old].attrs).index : 0;
    const auto outputs = static_cast<std::int64_t>(attrs(map).results.size());
    return Builder(copy.to(), graph_[old].location)
        .result(merged, static_cast<std::int64_t>(segment) * outputs + output);
  }

  ValueId merged_map(DemandCopy& copy, std::size_t bucket) {
    if (const auto it = merged_.find(bucket); it != merged_.end()) return it->second;
    const std::vector<ValueId>& maps = buckets_[bucket];
    Node node = graph_[maps.front()];
    MapAttrs all{.expr = attrs(maps.front()).expr,
                 .segments = static_cast<std::int64_t>(maps.size())};
    node.operands.clear();
    for (const ValueId map : maps) {
      const Operands operands = copy(graph_[map].operands);
      node.operands.insert(node.operands.end(), operands.begin(), operands.end());
      all.results.insert(all.results.end(), attrs(map).results.begin(), attrs(map).results.end());
    }
    node.attrs = std::move(all);
    const ValueId merged = copy.to().append(std::move(node));
    merged_[bucket] = merged;
    return merged;
  }

  const Graph& graph_;
  const Users users_;
  std::vector<std::vector<ValueId>> buckets_;
  std::map<ValueId, Segment> segments_;
  std::map<std::size_t, ValueId> merged_;
};

}  // namespace

Graph merge_maps(Graph graph) {
  return SegmentMerger(graph).run();
}

}  // namespace taper::passes
