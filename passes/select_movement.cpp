// Data movement: every op is a CopySpec over the physical dims of the result.
#include <algorithm>
#include <numeric>

#include "passes/select.h"

namespace taper::passes {
namespace {

using namespace ir;
using Strides = Indices;

// The same copy in the fewest dims.
CopyPart collapsed(CopyPart part) {
  const Collapsed c = collapse(part.dims, {part.source, part.result});
  part.dims = c.dims;
  part.source = c.streams[0];
  part.result = c.streams[1];
  return part;
}

// A tensor as the dims that hold its elements, in memory order, and the axis of each; movement that
// keeps blocks whole sees blocks as elements of the axis.
struct Dense {
  Walk walk;
  Strides strides;
};
Dense dense(const TensorType& type) {
  Dense d{walk_of(type), {}};
  d.strides = strides_along(d.walk, type, type.shape);
  return d;
}

// Elements to skip for `offsets`, one per logical axis; along a blocked axis whole blocks.
std::int64_t offset_along(const Dense& d, const Indices& offsets) {
  std::int64_t offset = 0;
  for (std::size_t i = 0; i < d.strides.size(); ++i) {
    if (d.walk.lanes[i]) continue;
    const bool blocked = d.walk.lanes.back() && d.walk.axes.back() == d.walk.axes[i];
    const std::int64_t steps = offsets[static_cast<std::size_t>(d.walk.axes[i])];
    offset += (blocked ? steps / kBlock : steps) * d.strides[i];
  }
  return offset;
}

class Relayout {
 public:
  Relayout(const TensorType& from, const TensorType& to)
      : type_(to), from_(physical(from)), to_(physical(to)) {}

  std::vector<CopyPart> parts() {
    combine(0, {});
    return parts_;
  }

 private:
  bool blocked(int axis) const { return axis == from_.blocked_axis || axis == to_.blocked_axis; }

  static std::int64_t block_step(const PhysicalShape& p, std::size_t axis) {
    const bool in_blocks = p.blocked_axis == static_cast<int>(axis);
    return in_blocks ? p.strides[axis] : p.strides[axis] * kBlock;
  }
  static std::int64_t lane_step(const PhysicalShape& p, std::size_t axis) {
    return p.blocked_axis == static_cast<int>(axis) ? 1 : p.strides[axis];
  }

  // A logical axis as dims of copies: whole blocks and lanes, and what is left.
  std::vector<CopyPart> pieces(std::size_t axis) const {
    const Dim dim = type_.shape[axis];
    if (!blocked(static_cast<int>(axis)))
      return {{0, {dim}, {from_.strides[axis]}, {to_.strides[axis]}}};
    const Strides source{block_step(from_, axis), lane_step(from_, axis)};
    const Strides result{block_step(to_, axis), lane_step(to_, axis)};
    const Dim whole = dim / kBlock;
    std::vector<CopyPart> pieces;
    if (whole > 0) pieces.push_back({0, {whole, kBlock}, source, result});
    if (dim % kBlock != 0) {
      pieces.push_back(
          {0, {dim % kBlock}, {source[1]}, {result[1]}, whole * source[0], whole * result[0]});
    }
    return pieces;
  }

  void combine(std::size_t axis, const CopyPart& outer) {
    if (axis == type_.shape.size()) return parts_.push_back(in_result_order(outer));
    for (const CopyPart& piece : pieces(axis)) {
      CopyPart joined = outer;
      joined.dims.insert(joined.dims.end(), piece.dims.begin(), piece.dims.end());
      joined.source.insert(joined.source.end(), piece.source.begin(), piece.source.end());
      joined.result.insert(joined.result.end(), piece.result.begin(), piece.result.end());
      joined.source_offset += piece.source_offset;
      joined.result_offset += piece.result_offset;
      combine(axis + 1, joined);
    }
  }

  // Outermost first by the result, so that it is written front to back.
  static CopyPart in_result_order(const CopyPart& piece) {
    std::vector<std::size_t> order(piece.dims.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return piece.result[a] > piece.result[b];
    });
    CopyPart sorted{.source_offset = piece.source_offset, .result_offset = piece.result_offset};
    for (const std::size_t i : order) {
      sorted.dims.push_back(piece.dims[i]);
      sorted.source.push_back(piece.source[i]);
      sorted.result.push_back(piece.result[i]);
    }
    return collapsed(std::move(sorted));
  }

  const TensorType& type_;
  const PhysicalShape from_, to_;
  std::vector<CopyPart> parts_;
};

CopySpec copy_to(const TensorType& type) {
  return {.dtype = type.dtype,
          .operands = 1,
          .result_size = byte_size(type, 1) / static_cast<std::int64_t>(byte_size(type.dtype)),
          .result_batched = type.has_batch()};
}

}  // namespace

std::optional<KernelSpec> select_relayout(const Lowering& lowering) {
  CopySpec spec = copy_to(lowering.node.type);
  spec.parts = Relayout(lowering.operands[0], lowering.node.type).parts();
  // Without a partial block nothing is padded, and equal strides mean equal places.
  if (spec.parts.size() == 1 && spec.parts[0].source == spec.parts[0].result &&
      byte_size(lowering.operands[0], 1) == byte_size(lowering.node.type, 1))
    return std::nullopt;
  return spec;
}

KernelSpec select_transpose(const Lowering& lowering) {
  const auto& axes = std::get<AxesAttrs>(lowering.node.attrs).axes;
  const Dense from = dense(lowering.operands[0]);
  const Dense to = dense(lowering.node.type);
  Strides source;
  for (const std::int64_t axis : axes)
    source.push_back(from.strides[static_cast<std::size_t>(axis)]);
  CopySpec spec = copy_to(lowering.node.type);
  spec.parts.push_back(collapsed({0, to.walk.dims, source, to.strides}));
  return spec;
}

KernelSpec select_slice(const Lowering& lowering) {
  const auto& attrs = std::get<SliceAttrs>(lowering.node.attrs);
  const Dense from = dense(lowering.operands[0]);
  const Dense to = dense(lowering.node.type);
  Strides source = from.strides;
  for (std::size_t i = 0; i < source.size(); ++i)
    source[i] *= attrs.step[static_cast<std::size_t>(from.walk.axes[i])];
  CopySpec spec = copy_to(lowering.node.type);
  spec.parts.push_back(
      collapsed({0, to.walk.dims, source, to.strides, offset_along(from, attrs.begin)}));
  return spec;
}

KernelSpec select_pad(const Lowering& lowering) {
  const auto& attrs = std::get<PadAttrs>(lowering.node.attrs);
  const Dense from = dense(lowering.operands[0]);
  const Dense to = dense(lowering.node.type);
  CopySpec spec = copy_to(lowering.node.type);
  spec.has_fill = true;
  spec.fill = attrs.value;
  CopyPart kept;  // what negative padding does not crop
  for (std::size_t i = 0; i < to.strides.size(); ++i) {
    const Dim dim = from.walk.dims[i];
    const auto axis = static_cast<std::size_t>(to.walk.axes[i]);
    const std::int64_t step = 1 + attrs.interior[axis];
    const std::int64_t low = to.walk.lanes[i] ? 0 : attrs.low[axis];
    const std::int64_t begin = std::max<std::int64_t>(0, -divide_down(low, step));
    const std::int64_t last = std::min(dim - 1, divide_down(to.walk.dims[i] - 1 - low, step));
    if (dim != kBatch && last < begin) return spec;
    kept.dims.push_back(dim == kBatch ? dim : last - begin + 1);
    kept.source.push_back(from.strides[i]);
    kept.result.push_back(to.strides[i] * step);
    kept.source_offset += begin * from.strides[i];
    kept.result_offset += (begin * step + low) * to.strides[i];
  }
  spec.parts.push_back(collapsed(std::move(kept)));
  return spec;
}

KernelSpec select_concat(const Lowering& lowering) {
  const std::int64_t axis = std::get<AxisAttrs>(lowering.node.attrs).axis;
  const Dense to = dense(lowering.node.type);
  std::size_t along_dim = 0;
  while (to.walk.axes[along_dim] != axis) ++along_dim;
  CopySpec spec = copy_to(lowering.node.type);
  spec.operands = static_cast<std::int64_t>(lowering.operands.size());
  std::int64_t offset = 0;
  for (std::size_t i = 0; i < lowering.operands.size(); ++i) {
    const Dense from = dense(lowering.operands[i]);
    spec.parts.push_back(collapsed(
        {static_cast<std::int64_t>(i), from.walk.dims, from.strides, to.strides, 0, offset}));
    offset += from.walk.dims[along_dim] * to.strides[along_dim];
  }
  return spec;
}

KernelSpec select_gather(const Lowering& lowering) {
  const TensorType& indices = lowering.operands[1];
  const bool backward = lowering.node.op == Op::gather_backward;
  const Shape& table = backward ? lowering.node.type.shape : lowering.operands[0].shape;
  const std::int64_t rows = element_count(indices.shape, 1);
  const bool batched = indices.has_batch();
  return GatherSpec{.backward = backward,
                    .rows = batched ? kBatch : rows,
                    .rows_per_image = batched ? rows : 1,
                    .entries = table[0],
                    .columns = table[1]};
}

}  // namespace taper::passes
