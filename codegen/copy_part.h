// One part of a copy: which dims a routine walks, and the routine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "codegen/kernel.h"
#include "ir/isa.h"

namespace taper::codegen {

// A dim of a part; strides in elements.
struct CopyLoop {
  ir::Dim size = 1;
  std::int64_t source = 1, result = 1;
};

// A part as outer loops around a two-dimensional tile of `rows` by `inner` elements.
class CopyPartKernel {
 public:
  CopyPartKernel(const ir::CopyPart& part, ir::DType dtype, const ir::Isa& isa);

  // Steps that the part may be cut into: the extent of its outermost loop.
  std::int64_t steps(std::int64_t batch) const;
  // Copies steps [first, last) from the operand to the result, whose buffers start here.
  void run(const std::byte* source, std::byte* result, std::int64_t first, std::int64_t last,
           std::int64_t batch) const;
  const std::optional<Routine>& routine() const { return routine_; }

 private:
  enum class Method : std::uint8_t { block, transpose, generated, scalar };

  void choose_tile();
  bool transposes();
  void copy_tile(const std::byte* source, std::byte* result, std::int64_t rows) const;

  std::size_t size_;  // bytes of an element
  std::int64_t source_offset_, result_offset_;
  std::vector<CopyLoop> loops_;             // all, outermost first
  std::size_t inner_at_ = 0, rows_at_ = 0;  // of loops_; loops_.size(): none
  std::vector<std::size_t> walked_;         // the loops around a tile
  CopyLoop inner_{1, 1, 1}, rows_{1, 0, 0};
  Method method_ = Method::scalar;
  std::optional<Routine> routine_;
};

}  // namespace taper::codegen
