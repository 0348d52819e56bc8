#include "codegen/copy_transpose.h"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <vector>

#include "codegen/expr.h"
#include "codegen/routine_emitter.h"
#include "codegen/sizes.h"

namespace taper::codegen {
namespace {

class TransposeEmitter : RoutineEmitter {
 public:
  TransposeEmitter(const Transpose& shape, const ir::Isa& isa)
      : RoutineEmitter(isa), shape_(shape), lanes_(isa.lanes) {}

  Routine emit() {
    begin("transpose");
    source_ = argument(offsetof(TransposeArgs, source));
    result_ = argument(offsetof(TransposeArgs, result));
    for_each(shape_.rows, shape_.source_row * kF32, kF32, [&](int rows) {
      for_each(shape_.columns, kF32, shape_.result_row * kF32,
               [&](int columns) { emit_tile(rows, columns); });
    });
    return end();
  }

 private:
  // Emits a loop over the whole tiles of `count` rows or columns and the rest; the pointers move by
  // a step per row or column, and come back.
  void for_each(std::int64_t count, std::int64_t source_step, std::int64_t result_step,
                const std::function<void(int)>& tile) {
    const auto advance = [&](std::int64_t steps) {
      m_.add(source_, steps * source_step);
      m_.add(result_, steps * result_step);
    };
    const std::int64_t whole = count / lanes_;
    if (whole > 0) {
      const auto turn = [&] {
        tile(lanes_);
        advance(lanes_);
      };
      loop(whole, turn);
    }
    if (count % lanes_ != 0) tile(static_cast<int>(count % lanes_));
    if (whole > 0) advance(-whole * lanes_);
  }

  // Each stage pairs register i with i + lanes / 2: after log2(lanes) of them rows are columns.
  void emit_tile(int rows, int columns) {
    std::vector<Vec> tile;
    for (int i = 0; i < lanes_; ++i) {
      tile.push_back(m_.vec());
      // Lanes past the columns are read, but not stored.
      const std::int64_t row = std::min(i, rows - 1) * shape_.source_row;
      m_.load(tile.back(), {source_, row * kF32});
    }
    for (int width = 1; width < lanes_; width *= 2) tile = zipped(tile);
    const bool tail = rows < lanes_;
    if (tail) m_.set_tail(rows);
    for (int j = 0; j < columns; ++j) {
      const Address to{result_, j * shape_.result_row * kF32};
      store_lanes(m_, to, tile[static_cast<std::size_t>(j)], ir::DType::f32, tail);
    }
    for (const Vec v : tile) m_.release(v);
  }

  std::vector<Vec> zipped(const std::vector<Vec>& from) {
    std::vector<Vec> to;
    for (std::size_t i = 0; i < from.size() / 2; ++i) {
      const Vec low = m_.vec(), high = m_.vec();
      const Vec a = from[i], b = from[i + from.size() / 2];
      m_.zip(low, high, a, b);
      m_.release(a);
      m_.release(b);
      to.push_back(low);
      to.push_back(high);
    }
    return to;
  }

  Transpose shape_;
  int lanes_;
  Gp source_, result_;
};

}  // namespace

Routine emit_transpose(const Transpose& shape, const ir::Isa& isa) {
  return TransposeEmitter(shape, isa).emit();
}

}  // namespace taper::codegen
