#include "ir/type.h"

#include <fmt/format.h>

#include "ir/error.h"
#include "ir/text.h"

namespace taper::ir {
namespace {

constexpr std::int64_t kMaxElements = std::int64_t{1} << 62;

[[noreturn]] void fail_overflow(const Shape& shape, Dim batch) {
  const std::string at = batch == 1 ? "" : fmt::format(" at N = {}", batch);
  throw Error("the size of a tensor of shape {}{} overflows", to_string(shape), at);
}

std::int64_t product(const Shape& extents, const Shape& shape, Dim batch) {
  std::int64_t count = 1;
  for (const Dim extent : extents) {
    const std::int64_t n = extent == kBatch ? batch : extent;
    if (__builtin_mul_overflow(count, n, &count) || count > kMaxElements)
      fail_overflow(shape, batch);
  }
  return count;
}

int blocked_axis_of(const TensorType& type) {
  if (type.layout == Layout::plain) return -1;
  const bool by_output = type.layout == Layout::o16 || type.layout == Layout::o16x4;
  const int axis = by_output ? 0 : 1;
  if (type.rank() <= (type.layout == Layout::o16x4 ? 1 : axis))
    throw Error("{} has no axis {} to block", to_string(type), axis);
  if (type.has_batch() && type.layout != Layout::c16)
    throw Error("{}: this layout is for static shapes only", to_string(type));
  return axis;
}

}  // namespace

std::size_t byte_size(DType dtype) {
  switch (dtype) {
    case DType::f32:
    case DType::i32:
      return 4;
    case DType::f16:
    case DType::bf16:
      return 2;
    case DType::i8:
    case DType::u8:
    case DType::boolean:
      return 1;
  }
  return 0;
}

TensorType concrete(const TensorType& type, Dim batch) {
  TensorType result{type.dtype, type.shape};
  if (result.has_batch()) result.shape.front() = batch;
  return result;
}

std::string to_string(const Shape& shape) {
  return fmt::format("[{}]", joined(shape, ",", extent_text));
}

std::string to_string(const TensorType& type) {
  std::string out = fmt::format("{}{}", name(type.dtype), to_string(type.shape));
  if (type.layout != Layout::plain) out += fmt::format("{{{}}}", name(type.layout));
  return out;
}

std::int64_t element_count(const Shape& shape, Dim batch) {
  return product(shape, shape, batch);
}

Shape with_ones(Shape shape, const Indices& axes) {
  for (const std::int64_t axis : axes) shape[static_cast<std::size_t>(axis)] = 1;
  return shape;
}

PhysicalShape physical(const TensorType& type) {
  PhysicalShape result;
  result.blocked_axis = blocked_axis_of(type);
  result.strides.resize(type.shape.size());
  const bool blocked = result.blocked_axis >= 0;
  if (type.layout == Layout::o16x4) {
    result.grouped_axis = 1;
    result.lane = kGroup;
  }
  std::int64_t stride = blocked ? kBlock * result.lane : 1;
  result.dims.resize(type.shape.size());
  for (std::size_t i = type.shape.size(); i-- > 0;) {
    // The logical axis of physical dimension i.
    const std::size_t axis = type.layout == Layout::i16 && i < 2 ? 1 - i : i;
    const bool is_blocked = static_cast<int>(axis) == result.blocked_axis;
    Dim extent = is_blocked ? blocks_of(type.shape[axis]) : type.shape[axis];
    if (static_cast<int>(axis) == result.grouped_axis) extent = divide_up(extent, kGroup);
    result.dims[i] = extent;
    result.strides[axis] = stride;
    if (extent != kBatch && __builtin_mul_overflow(stride, extent, &stride))
      fail_overflow(type.shape, 1);
  }
  if (blocked) result.dims.push_back(kBlock);
  if (result.grouped_axis >= 0) result.dims.push_back(kGroup);
  return result;
}

std::int64_t offset_of(const PhysicalShape& shape, const Indices& coordinates) {
  std::int64_t offset = 0;
  for (std::size_t i = 0; i < coordinates.size(); ++i)
    if (static_cast<int>(i) == shape.blocked_axis)
      offset += coordinates[i] / kBlock * shape.strides[i] + coordinates[i] % kBlock * shape.lane;
    else if (static_cast<int>(i) == shape.grouped_axis)
      offset += coordinates[i] / kGroup * shape.strides[i] + coordinates[i] % kGroup;
    else
      offset += coordinates[i] * shape.strides[i];
  return offset;
}

std::int64_t byte_size(const TensorType& type, Dim batch) {
  std::int64_t bytes = product(physical(type).dims, type.shape, batch);
  const auto size = static_cast<std::int64_t>(byte_size(type.dtype));
  if (__builtin_mul_overflow(bytes, size, &bytes)) fail_overflow(type.shape, batch);
  return bytes;
}

}  // namespace taper::ir
