// The generated part of a map: rows of n contiguous elements through one expression.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "codegen/kernel.h"

namespace taper::codegen {

inline constexpr std::size_t kMaxMapStreams = 48;

// What a map routine is called with; the routine writes to it. Of the arrays only what belongs to
// the streams is set: clearing them whole would cost every short row.
struct MapCall {
  std::int64_t rows = 0, n = 0;
  std::int64_t index = 0;                              // of the first element, for random ops
  std::array<std::byte*, kMaxMapStreams> pointers;     // inputs, then outputs: the row's start
  std::array<std::byte*, kMaxMapStreams> current;      // the routine's own
  std::array<std::int64_t, kMaxMapStreams> row_bytes;  // from one row to the next
};

// How the innermost dim walks a stream: 0 repeats, 1 is contiguous, others are strided; or `block`,
// the same 16 contiguous elements over and over.
struct MapAccess {
  ir::DType dtype = ir::DType::f32;
  std::int64_t stride = 1;
  bool block = false;
  bool operator==(const MapAccess&) const = default;
};

// `streams` holds inputs, then outputs; outputs have stride 1. With blocks, rows are whole ones.
Routine make_map_routine(const ir::Expr& expr, const std::vector<MapAccess>& streams,
                         const ir::Isa& isa, const std::string& name);

}  // namespace taper::codegen
