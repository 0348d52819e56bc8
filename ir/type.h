// Tensor types: element type, shape with the batch symbol N, and physical layout.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "ir/inline_vector.h"

namespace taper::ir {

enum class DType : std::uint8_t { f32, f16, bf16, i8, u8, i32, boolean };

std::size_t byte_size(DType dtype);
std::string_view name(DType dtype);  // "f32", ..., "bool"

// A dimension is a non-negative extent or the batch symbol N, which only a leading dimension may
// be. One graph has one N; it is bound at run time to 1..CompileOptions::max_batch.
using Dim = std::int64_t;
inline constexpr Dim kBatch = -1;

// Short lists of integers: extents, axes, strides, coordinates.
using Indices = InlineVector<std::int64_t, 4>;
using Shape = Indices;

// Physical arrangement of a tensor in memory; it never changes what a value means.
//   plain  row-major.
//   c16    axis 1 in blocks of 16, the lane innermost:      [d0][d1/16][d2]...[16]
//   o16    axis 0 in blocks of 16, the lane innermost:      [d0/16][d1][d2]...[16]
//   i16    axis 1 in blocks of 16, the block index first:   [d1/16][d0][d2]...[16]
//   o16x4  axis 0 in blocks of 16, axis 1 in groups of 4:   [d0/16][d1/4][d2]...[16][4]
// Activations use plain or c16 (NCHW16c); weights plain, o16 (forward, gradient) or i16 (backward
// data), i8 weights o16x4, whose groups of 4 are what one integer dot product takes. A blocked axis
// is padded up to a multiple of 16 (a grouped one of 4); the values of padding lanes are
// unspecified and never reach a real element, but those of o16x4 are zero.
enum class Layout : std::uint8_t { plain, c16, o16, i16, o16x4 };
inline constexpr Dim kBlock = 16;
inline constexpr Dim kGroup = 4;

// a / b, rounded up, for a >= 0 and b > 0.
constexpr Dim divide_up(Dim a, Dim b) {
  return a / b + (a % b != 0);
}
// a / b, rounded down, for b > 0.
constexpr Dim divide_down(Dim a, Dim b) {
  return a / b - (a % b < 0);
}
// Blocks along an axis, the last of them padded.
constexpr Dim blocks_of(Dim extent) {
  return divide_up(extent, kBlock);
}

std::string_view name(Layout layout);

struct TensorType {
  DType dtype = DType::f32;
  Shape shape;
  Layout layout = Layout::plain;

  int rank() const { return static_cast<int>(shape.size()); }
  bool has_batch() const { return !shape.empty() && shape.front() == kBatch; }
  bool operator==(const TensorType&) const = default;
};

// `type` at N = batch, in plain layout.
TensorType concrete(const TensorType& type, Dim batch);

// "f32[N,32,28,28]", with "{c16}" appended for a layout other than plain.
std::string to_string(const TensorType& type);
std::string to_string(const Shape& shape);  // "[N,32,28,28]"

// Number of logical elements when N = batch. Throws taper::Error on overflow of 2^62 elements.
std::int64_t element_count(const Shape& shape, Dim batch);

// `shape` with an extent of 1 along `axes`.
Shape with_ones(Shape shape, const Indices& axes);

// The memory walk of a type: physical dimensions, outermost first (a leading N stays kBatch), and
// for each logical axis the stride in elements of one step along it. A blocked axis `a` steps by
// lane: element offset of coordinate c is (c / 16) * stride[a] + c % 16 * lane, and along a grouped
// axis g it is (c / 4) * stride[g] + c % 4. A stride that would depend
// on N never occurs, because N leads; i16 and o16 are for static shapes only.
struct PhysicalShape {
  Indices dims;
  Indices strides;
  int blocked_axis = -1;  // -1 for plain
  int grouped_axis = -1;  // 1 for o16x4
  std::int64_t lane = 1;
};
PhysicalShape physical(const TensorType& type);

// Element offset of logical coordinates under `physical`.
std::int64_t offset_of(const PhysicalShape& shape, const Indices& coordinates);

// Bytes of the buffer that holds `type` at N = batch, padding lanes included, before alignment.
std::int64_t byte_size(const TensorType& type, Dim batch);

}  // namespace taper::ir
