#include "tools/drawing_place.h"

#include <algorithm>
#include <limits>

namespace taper::tools {
namespace {

constexpr int kSweeps = 8;

using Layers = std::vector<std::vector<std::size_t>>;

// As far up as the operands allow; what has none goes down to its first user.
void choose_layers(Drawing& drawing) {
  auto& boxes = drawing.boxes;
  std::vector<bool> root(boxes.size(), true);
  std::vector<int> first_user(boxes.size(), std::numeric_limits<int>::max());
  std::vector<std::vector<std::size_t>> operands(boxes.size());
  for (const Edge& edge : drawing.edges) operands[edge.to].push_back(edge.from);
  for (std::size_t b = 0; b < boxes.size(); ++b)
    for (const std::size_t operand : operands[b]) {
      root[b] = false;
      boxes[b].layer = std::max(boxes[b].layer, boxes[operand].layer + 1);
    }
  for (const Edge& edge : drawing.edges)
    first_user[edge.from] = std::min(first_user[edge.from], boxes[edge.to].layer);
  for (std::size_t b = 0; b < boxes.size(); ++b)
    if (root[b] && first_user[b] != std::numeric_limits<int>::max())
      boxes[b].layer = first_user[b] - 1;
}

Layers layers_of(const Drawing& drawing) {
  Layers layers;
  for (std::size_t b = 0; b < drawing.boxes.size(); ++b) {
    const auto layer = static_cast<std::size_t>(drawing.boxes[b].layer);
    if (layer >= layers.size()) layers.resize(layer + 1);
    layers[layer].push_back(b);
  }
  return layers;
}

// Lays the boxes of a layer side by side in the order of the positions that they would like.
void settle(Drawing& drawing, const std::vector<std::size_t>& layer, std::vector<double>& wish) {
  std::vector<std::size_t> order = layer;
  std::ranges::stable_sort(order, {}, [&](std::size_t b) { return wish[b]; });
  double wished = 0, width = 0;
  for (const std::size_t b : order) {
    wished += wish[b];
    width += drawing.boxes[b].width + kBoxGap;
  }
  double x = wished / static_cast<double>(order.size()) - width / 2;
  for (const std::size_t b : order) {
    Box& box = drawing.boxes[b];
    x = std::max(x, std::min(wish[b] - box.width / 2, x + kBoxGap));
    box.x = x;
    x += box.width + kBoxGap;
  }
}

// Each box towards the middle of its neighbours, from above, then from below, and so on.
void choose_positions(Drawing& drawing, const Layers& layers) {
  const auto middle = [&](std::size_t b) {
    return drawing.boxes[b].x + drawing.boxes[b].width / 2;
  };
  std::vector<double> wish(drawing.boxes.size());
  for (const auto& layer : layers) settle(drawing, layer, wish);
  for (int sweep = 0; sweep < kSweeps; ++sweep) {
    const bool down = sweep % 2 == 0;
    for (std::size_t l = 0; l < layers.size(); ++l) {
      const auto& layer = layers[down ? l : layers.size() - 1 - l];
      std::vector<double> sums(drawing.boxes.size());
      std::vector<int> counts(drawing.boxes.size());
      for (const Edge& edge : drawing.edges) {
        const std::size_t self = down ? edge.to : edge.from, other = down ? edge.from : edge.to;
        sums[self] += middle(other);
        ++counts[self];
      }
      for (const std::size_t b : layer) wish[b] = counts[b] > 0 ? sums[b] / counts[b] : middle(b);
      settle(drawing, layer, wish);
    }
  }
}

}  // namespace

void place(Drawing& drawing) {
  choose_layers(drawing);
  const Layers layers = layers_of(drawing);
  choose_positions(drawing, layers);
  double left = std::numeric_limits<double>::max(), right = 0;
  for (const Box& box : drawing.boxes) left = std::min(left, box.x);
  for (Box& box : drawing.boxes) {
    box.x += kMargin - left;
    box.y = kMargin + box.layer * (kBoxHeight + kLayerGap);
    right = std::max(right, box.x + box.width);
  }
  drawing.width = right + kMargin;
  drawing.height = 2 * kMargin + static_cast<double>(layers.size()) * (kBoxHeight + kLayerGap);
}

}  // namespace taper::tools
