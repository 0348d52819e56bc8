#include "frontend/quantize_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "ir/eval.h"

namespace taper::quantize {
namespace {

// Values of a call that go into the sample. They are drawn at random: an even step could meet the
// same pixel of every plane.
constexpr std::size_t kSampled = 16384;

std::string refusal_of(const ir::Graph& graph, const ir::Node& node) {
  if (const auto* conv = std::get_if<ir::ConvAttrs>(&node.attrs))
    return conv->groups == 1 ? "" : fmt::format("it has {} groups", conv->groups);
  const ir::Dim depth = graph[node.operands[1]].type.shape[1];
  return depth % ir::kGroup == 0 ? "" : fmt::format("its depth {} is no multiple of 4", depth);
}

bool is_product(const ir::Node& node) {
  if (node.op == ir::Op::conv2d) return true;
  if (node.op != ir::Op::matmul) return false;
  const auto& attrs = std::get<ir::MatmulAttrs>(node.attrs);
  return attrs.transpose_b && !attrs.transpose_a;
}

}  // namespace

bool keeps_bytes(const ir::Graph& graph, ir::ValueId value) {
  const ir::Node& node = graph[value];
  if (node.op == ir::Op::reshape) return true;
  return node.op == ir::Op::pool2d && std::get<ir::PoolAttrs>(node.attrs).kind == ir::PoolKind::max;
}

std::vector<Candidate> candidates(const ir::Graph& graph) {
  std::vector<Candidate> found;
  for (const ir::ValueId v : graph.ids()) {
    const ir::Node& node = graph[v];
    if (!is_product(node) || node.type.dtype != ir::DType::f32) continue;
    if (graph[node.operands[1]].op != ir::Op::parameter) continue;
    Candidate candidate{v, node.operands[1], node.operands[0], refusal_of(graph, node)};
    while (keeps_bytes(graph, candidate.source))
      candidate.source = graph[candidate.source].operands[0];
    found.push_back(std::move(candidate));
  }
  return found;
}

void Observed::add(std::span<const float> values) {
  for (const float value : values) {
    finite_ = finite_ && std::isfinite(value);
    low_ = std::min(low_, static_cast<double>(value));
    high_ = std::max(high_, static_cast<double>(value));
  }
  if (values.size() <= kSampled) {
    sample_.insert(sample_.end(), values.begin(), values.end());
    return;
  }
  for (std::size_t i = 0; i < kSampled; ++i) {
    const std::uint64_t word = ir::philox(sample_.size(), 0, 0, 0);
    sample_.push_back(values[static_cast<std::size_t>(word * values.size() >> 32)]);
  }
}

std::pair<double, double> Observed::range(double percentile) const {
  if (percentile >= 100 || sample_.empty()) return {low_, high_};
  std::vector<float> sorted = sample_;
  const auto last = static_cast<double>(sorted.size() - 1);
  const auto at = [&](double fraction) {
    const auto nth = sorted.begin() + static_cast<std::ptrdiff_t>(std::llround(fraction * last));
    std::nth_element(sorted.begin(), nth, sorted.end());
    return static_cast<double>(*nth);
  };
  const double high = at(percentile / 100);
  const double low = at(1 - percentile / 100);
  return {std::min(low, 0.0), std::max(high, 0.0)};
}

ByteRange byte_range(double low, double high) {
  const double span = high - low;
  if (!(span > 0)) return {};
  ByteRange range{static_cast<double>(static_cast<float>(span / 255)), 0};
  range.zero = static_cast<int>(std::lround(-low / range.scale));
  return range;
}

QuantizedWeight quantize_weight(const std::vector<float>& weight, std::size_t outputs) {
  QuantizedWeight q;
  const std::size_t depth = outputs == 0 ? 0 : weight.size() / outputs;
  for (std::size_t o = 0; o < outputs; ++o) {
    const std::span<const float> row = std::span(weight).subspan(o * depth, depth);
    float largest = 0;
    for (const float w : row) largest = std::max(largest, std::fabs(w));
    const float scale = largest > 0 ? largest / 127 : 1;
    float sum = 0;
    for (const float w : row) {
      q.values.push_back(std::clamp(std::nearbyint(w / scale), -127.0f, 127.0f));
      sum += q.values.back();
    }
    q.scales.push_back(scale);
    q.sums.push_back(sum);
  }
  return q;
}

}  // namespace taper::quantize
