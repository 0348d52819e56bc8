// Reductions over the planes of each image that the convolution before them takes along.
#include <algorithm>

#include "passes/fuse.h"
#include "passes/select.h"

namespace taper::passes {
namespace {

using namespace ir;

// Of whole blocks of channels, over the pixels of each image.
bool is_over_pixels(const Graph& graph, const Node& node) {
  if (node.op != Op::reduce || node.epilogue != Expr{}) return false;
  const auto& attrs = std::get<ReduceAttrs>(node.attrs);
  const Shape& shape = graph[node.operands[0]].type.shape;
  return attrs.kind != ReduceKind::max && attrs.axes == Indices{2, 3} && shape[0] == kBatch &&
         shape[1] % kBlock == 0;
}

// Of each plane of `image`.
bool is_first_pixel(const Graph& graph, ValueId v, ValueId image) {
  const Node& node = graph[v];
  return node.op == Op::slice && node.operands[0] == image &&
         std::get<SliceAttrs>(node.attrs).begin == Indices{0, 0, 0, 0} &&
         node.type.shape == Shape{kBatch, graph[image].type.shape[1], 1, 1};
}

// The same reduction in the epilogue of `conv`, if all else that it reads is there before.
std::optional<TakenMoments> moments_of(const Graph& graph, ValueId reduce, ValueId conv,
                                       const Epilogue& epilogue) {
  const Node& node = graph[reduce];
  const auto& attrs = std::get<ReduceAttrs>(node.attrs);
  TakenMoments moments{reduce, {}, epilogue};
  std::vector<std::int16_t> inputs;
  for (const ValueId v : node.operands) {
    const TensorType& type = graph[v].type;
    if (v == conv || is_first_pixel(graph, v, conv)) {
      inputs.push_back(v == conv ? 0 : 1);
      continue;
    }
    const auto access = epilogue_access(graph[conv], type);
    if (!access || type.dtype != DType::f32 || v.index > conv.index) return std::nullopt;
    if (*access == EpilogueAccess::same && type != graph[conv].type) return std::nullopt;
    moments.operands.push_back(v);
    moments.epilogue.operands.push_back({type.dtype, *access});
    inputs.push_back(static_cast<std::int16_t>(1 + moments.epilogue.operands.size()));
  }
  const Expr itself{.inputs = 1, .instrs = {}, .outputs = {0}};
  Expr& expr = moments.epilogue.moments;
  expr.inputs = 2 + std::ssize(moments.epilogue.operands);
  append(expr, attrs.prologue == Expr{} ? itself : attrs.prologue, inputs);
  moments.epilogue.mean = attrs.kind == ReduceKind::mean;
  const int live = epilogue.expr.empty() ? 0 : max_live(epilogue.expr, true);
  if (live + std::ssize(expr.outputs) > kMaxLiveWithMoments) return std::nullopt;
  return moments;
}

// Results that are read again only when all images have their moments are written past the caches,
// if they are larger: their lines need not be read first, and what is read sooner stays.
constexpr std::int64_t kStreamedBytes = std::int64_t{4} << 20;

// Whether all others that read `conv` need the reduction.
bool is_awaited(const Graph& graph, const Users& users, ValueId reduce, ValueId conv) {
  const std::vector<bool> after = dependents(graph, graph.id(graph.size() - 1), {reduce});
  return std::ranges::all_of(users.nodes[conv.index], [&](ValueId user) {
    return after[user.index] || is_first_pixel(graph, user, conv);
  });
}

// Those whose kernels finish an image pixel by pixel.
bool takes_moments(const ConvSpec& spec) {
  return (spec.pass == ConvPass::forward || spec.pass == ConvPass::backward_data) &&
         !by_columns(spec) && spec.winograd == 0 && !spec.integers && spec.images == kBatch &&
         spec.epilogue.result == DType::f32;
}

}  // namespace

std::optional<TakenMoments> select_moments(const Graph& graph, const Users& users, ValueId conv,
                                           const ConvSpec& spec, Dim max_batch) {
  if (!takes_moments(spec)) return std::nullopt;
  for (const ValueId user : users.nodes[conv.index]) {
    if (!is_over_pixels(graph, graph[user])) continue;
    auto moments = moments_of(graph, user, conv, spec.epilogue);
    if (!moments) continue;
    moments->epilogue.streamed = byte_size(graph[conv].type, max_batch) >= kStreamedBytes &&
                                 is_awaited(graph, users, user, conv);
    return moments;
  }
  return std::nullopt;
}

}  // namespace taper::passes
