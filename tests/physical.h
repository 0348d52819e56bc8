// Physical buffers of doubles for tests: packed and unpacked by the layout of a type, with NaN in
// the padding lanes and past the end.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

#include "ir/eval.h"
#include "ir/type.h"

namespace taper::testing {

using Buffer = std::vector<double>;

inline std::int64_t extent(ir::Dim dim, ir::Dim batch) {
  return dim == ir::kBatch ? batch : dim;
}

// Calls visit(coordinates) for every point of `dims`, the last dim fastest.
inline void for_each_point(const ir::Indices& dims, ir::Dim batch,
                           const std::function<void(const ir::Indices&)>& visit) {
  ir::Indices at(dims.size(), 0);
  for (const ir::Dim dim : dims) {
    if (extent(dim, batch) == 0) return;
  }
  for (;;) {
    visit(at);
    std::size_t i = dims.size();
    while (i > 0 && ++at[i - 1] == extent(dims[i - 1], batch)) at[--i] = 0;
    if (i == 0) return;
  }
}

inline std::size_t offset(const ir::Indices& at, const ir::Indices& strides) {
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < at.size(); ++i) sum += at[i] * strides[i];
  return static_cast<std::size_t>(sum);
}

// With the slack that kernels may read.
inline Buffer new_buffer(const ir::TensorType& type, ir::Dim batch) {
  const auto elements =
      static_cast<std::size_t>(ir::byte_size(type, batch)) / ir::byte_size(type.dtype);
  return Buffer(elements + ir::kBlock, std::numeric_limits<double>::quiet_NaN());
}

inline ir::Shape concrete(ir::Shape shape, ir::Dim batch) {
  for (ir::Dim& dim : shape) dim = extent(dim, batch);
  return shape;
}

inline Buffer pack(const std::vector<double>& data, const ir::TensorType& type, ir::Dim batch) {
  Buffer buffer = new_buffer(type, batch);
  const ir::PhysicalShape physical = ir::physical(type);
  std::size_t i = 0;
  for_each_point(type.shape, batch, [&](const auto& at) {
    buffer.at(static_cast<std::size_t>(ir::offset_of(physical, at))) = data.at(i++);
  });
  return buffer;
}

inline ir::Value unpack(const Buffer& buffer, const ir::TensorType& type, ir::Dim batch) {
  ir::Value value{{type.dtype, concrete(type.shape, batch), ir::Layout::plain}, {}};
  const ir::PhysicalShape physical = ir::physical(type);
  for_each_point(type.shape, batch, [&](const auto& at) {
    value.data.push_back(buffer.at(static_cast<std::size_t>(ir::offset_of(physical, at))));
  });
  return value;
}

}  // namespace taper::testing
