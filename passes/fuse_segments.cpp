#include <algorithm>
#include <functional>
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

// Maps that become one.
struct Bucket {
  std::vector<ValueId> maps = {};
  ValueId merged = kNoValue;  // once it is made
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
    return std::ranges::all_of(users,
                               [&](ValueId user) { return users_.nodes[user.index].empty(); });
  }

  bool alike(ValueId a, ValueId b) const {
    const auto dtype = [&](ValueId v) { return graph_[v].type.dtype; };
    const auto& x = attrs(a).results;
    const auto& y = attrs(b).results;
    return attrs(a).expr == attrs(b).expr &&
           std::ranges::equal(x, y, {}, &TensorType::dtype, &TensorType::dtype) &&
           std::ranges::equal(graph_[a].operands, graph_[b].operands, {}, dtype, dtype);
  }

  void place(ValueId map) {
    const auto fits = [&](const Bucket& bucket) { return alike(bucket.maps.front(), map); };
    const auto bucket =
        static_cast<std::size_t>(std::ranges::find_if(buckets_, fits) - buckets_.begin());
    if (bucket == buckets_.size()) buckets_.emplace_back();
    segments_[map] = {bucket, buckets_[bucket].maps.size()};
    buckets_[bucket].maps.push_back(map);
  }

  std::optional<ValueId> replace(DemandCopy& copy, ValueId old) {
    const bool through_result = graph_[old].op == Op::result;
    const ValueId map = through_result ? graph_[old].operands[0] : old;
    const auto it = segments_.find(map);
    if (it == segments_.end()) return std::nullopt;
    const auto [bucket, segment] = it->second;
    if (buckets_[bucket].maps.size() < 2) return std::nullopt;
    const ValueId merged = merged_map(copy, buckets_[bucket]);
    if (!through_result && attrs(map).results.size() > 1) return merged;
    const std::int64_t output = through_result ? std::get<ResultAttrs>(graph_[old].attrs).index : 0;
    const auto outputs = static_cast<std::int64_t>(attrs(map).results.size());
    return Builder(copy.to(), graph_[old].location)
        .result(merged, static_cast<std::int64_t>(segment) * outputs + output);
  }

  ValueId merged_map(DemandCopy& copy, Bucket& bucket) {
    if (bucket.merged != kNoValue) return bucket.merged;
    Node node = graph_[bucket.maps.front()];
    MapAttrs all{.expr = attrs(bucket.maps.front()).expr, .segments = std::ssize(bucket.maps)};
    node.operands.clear();
    for (const ValueId map : bucket.maps) {
      const Operands operands = copy(graph_[map].operands);
      node.operands.insert(node.operands.end(), operands.begin(), operands.end());
      all.results.insert(all.results.end(), attrs(map).results.begin(), attrs(map).results.end());
    }
    node.attrs = std::move(all);
    return bucket.merged = copy.to().append(std::move(node));
  }

  const Graph& graph_;
  const Users users_;
  std::vector<Bucket> buckets_;
  std::map<ValueId, Segment> segments_;
};

}  // namespace

Graph merge_maps(Graph graph) {
  return SegmentMerger(graph).run();
}

}  // namespace taper::passes
