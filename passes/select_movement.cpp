// Data movement: every op is a CopySpec over the physical dims of the result.
#include <algorithm>
#include <functional>
#include <utility>

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

// A copy, its dims in any order.
struct Piece {
  struct Loop {
    Dim size;
    std::int64_t source, result;
  };
  std::vector<Loop> loops = {};
  std::int64_t source_offset = 0, result_offset = 0;
};

// A logical axis as dims of copies: whole blocks and lanes, and what is left.
std::vector<Piece> pieces_of(const PhysicalShape& from, const PhysicalShape& to, std::size_t axis,
                             Dim dim) {
  const auto blocked = [&](const PhysicalShape& p) {
    return p.blocked_axis == static_cast<int>(axis);
  };
  if (!blocked(from) && !blocked(to)) return {{{{dim, from.strides[axis], to.strides[axis]}}}};
  const auto block_step = [&](const PhysicalShape& p) {
    return blocked(p) ? p.strides[axis] : p.strides[axis] * kBlock;
  };
  const auto lane_step = [&](const PhysicalShape& p) { return blocked(p) ? 1 : p.strides[axis]; };
  const Piece::Loop blocks{dim / kBlock, block_step(from), block_step(to)};
  const Piece::Loop lanes{kBlock, lane_step(from), lane_step(to)};
  const Piece::Loop rest{dim % kBlock, lanes.source, lanes.result};
  std::vector<Piece> pieces;
  if (blocks.size > 0) pieces.push_back({{blocks, lanes}});
  if (rest.size > 0)
    pieces.push_back({{rest}, blocks.size * blocks.source, blocks.size * blocks.result});
  return pieces;
}

// Outermost first by the result, so that it is written front to back.
CopyPart in_result_order(Piece piece) {
  std::ranges::stable_sort(piece.loops, std::greater{}, &Piece::Loop::result);
  CopyPart part{.source_offset = piece.source_offset, .result_offset = piece.result_offset};
  for (const auto& [size, source, result] : piece.loops) {
    part.dims.push_back(size);
    part.source.push_back(source);
    part.result.push_back(result);
  }
  return collapsed(std::move(part));
}

// Every combination of pieces of the axes.
std::vector<CopyPart> relayout_parts(const TensorType& from_type, const TensorType& to_type) {
  const PhysicalShape from = physical(from_type), to = physical(to_type);
  std::vector<Piece> pieces{{}};
  for (std::size_t axis = 0; axis < to_type.shape.size(); ++axis) {
    std::vector<Piece> joined;
    for (const Piece& outer : pieces)
      for (const Piece& inner : pieces_of(from, to, axis, to_type.shape[axis])) {
        Piece& both = joined.emplace_back(outer);
        both.loops.insert(both.loops.end(), inner.loops.begin(), inner.loops.end());
        both.source_offset += inner.source_offset;
        both.result_offset += inner.result_offset;
      }
    pieces = std::move(joined);
  }
  std::vector<CopyPart> parts;
  for (Piece& piece : pieces) parts.push_back(in_result_order(std::move(piece)));
  return parts;
}

CopySpec copy_to(const TensorType& type) {
  return {.dtype = type.dtype,
          .operands = 1,
          .result_size = byte_size(type, 1) / static_cast<std::int64_t>(byte_size(type.dtype)),
          .result_batched = type.has_batch()};
}

}  // namespace

std::optional<KernelSpec> select_relayout(const Lowering& lowering) {
  CopySpec spec = copy_to(lowering.node.type);
  spec.parts = relayout_parts(lowering.operands[0], lowering.node.type);
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
