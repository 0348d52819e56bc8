#include "codegen/tile_epilogue.h"

#include <algorithm>
#include <cstddef>
#include <optional>

#include "codegen/expr.h"
#include "codegen/sizes.h"

namespace taper::codegen {
namespace {

// Operand pointers that are kept in registers; further ones are loaded at each use.
constexpr std::size_t kPinned = 3;

class EpilogueEmitter {
 public:
  EpilogueEmitter(Masm& m, const TileShape& shape, const std::vector<TileVector>& vectors,
                  const ir::Epilogue& epilogue)
      : m_(m), shape_(shape), vectors_(vectors), epilogue_(epilogue) {
    if (shape.integers) input_types_.front() = ir::DType::i32;
    for (const ir::EpilogueOperand& o : epilogue.operands) input_types_.push_back(o.dtype);
  }

  void emit(std::vector<Vec> accumulators) {
    if (by_vectors()) accumulators = turned(accumulators);
    result_ = m_.gp();
    m_.load(result_, {m_.args(), offsetof(TileCall, c)});
    set_tail();
    pin_operands();
    // Accumulators in excess of the expression's registers wait in scratch memory, not in the
    // result: an operand may share the result's buffer.
    const std::size_t kept = accumulators.size() - excess(accumulators.size());
    const Gp scratch = m_.gp();
    if (kept < accumulators.size()) m_.load(scratch, {m_.args(), offsetof(TileCall, scratch)});
    const std::int64_t bytes = m_.isa().lanes * kF32;
    for (std::size_t i = kept; i < accumulators.size(); ++i) {
      m_.store({scratch, static_cast<std::int64_t>(i - kept) * bytes}, accumulators[i]);
      m_.release(accumulators[i]);
    }
    for (std::size_t i = 0; i < accumulators.size(); ++i) {
      Vec acc = accumulators[i];
      if (i >= kept) {
        acc = m_.vec();
        m_.load(acc, {scratch, static_cast<std::int64_t>(i - kept) * bytes});
      }
      const std::size_t rows = accumulators.size() / vectors_.size();
      if (by_vectors())
        finish(acc, static_cast<int>(i % rows), vectors_[i / rows]);
      else
        finish(acc, static_cast<int>(i / vectors_.size()), vectors_[i % vectors_.size()]);
      m_.release(acc);
    }
    m_.release(scratch);
    for (const Gp p : pinned_) m_.release(p);
    m_.release(result_);
  }

 private:
  // Sums over rows stay in registers if a vector's rows follow one another.
  bool by_vectors() const { return !epilogue_.moments.outputs.empty(); }

  std::vector<Vec> turned(const std::vector<Vec>& accumulators) const {
    std::vector<Vec> result;
    for (std::size_t v = 0; v < vectors_.size(); ++v)
      for (std::size_t i = v; i < accumulators.size(); i += vectors_.size())
        result.push_back(accumulators[i]);
    return result;
  }

  std::size_t excess(std::size_t accumulators) const {
    if (epilogue_.expr.empty() && !by_vectors()) return 0;
    const int result = epilogue_.expr.empty() ? 0 : 1;  // beside its accumulator
    const int needed =
        std::max(max_registers(epilogue_.expr), result + max_registers(epilogue_.moments)) +
        static_cast<int>(epilogue_.moments.outputs.size());
    const int missing = needed - m_.free_vecs();
    return std::min(accumulators, static_cast<std::size_t>(std::max(missing, 0)));
  }

  bool partial(const TileVector& v) const { return v.lanes < m_.isa().lanes; }

  void set_tail() {
    for (const TileVector& v : vectors_)
      if (partial(v)) m_.set_tail(v.lanes);
  }

  void pin_operands() {
    for (std::size_t i = 0; i < std::min(kPinned, epilogue_.operands.size()); ++i) {
      pinned_.push_back(m_.gp());
      m_.load(pinned_.back(), {m_.args(), operand_pointer(i)});
    }
  }

  void finish(Vec acc, int row, const TileVector& v) {
    if (by_vectors() && row == 0)
      sums_.emplace(m_, epilogue_, Address{m_.args(), offsetof(TileCall, moments)}, v.column);
    const Address where{result_, row * shape_.c_row + v.c};
    Vec value = acc;
    ir::DType stored = epilogue_.result;
    if (epilogue_.expr.empty()) {
      stored = ir::DType::f32;  // the accumulator's own bits
    } else {
      if (shape_.integers) m_.to_f32(acc, acc);
      std::vector<Vec> bound(static_cast<std::size_t>(epilogue_.expr.inputs));
      if (!bound.empty()) bound[0] = acc;
      const auto load = [&](Vec d, int i) {
        load_operand(d, static_cast<std::size_t>(i - 1), row, v);
      };
      value = emit_expr(m_, epilogue_.expr, bound, load, {}, input_types_).front();
    }
    if (epilogue_.streamed)
      m_.store_streamed(where, value);
    else
      store_lanes(m_, where, value, stored, partial(v));
    if (by_vectors()) add_moments(value, row, v);
    if (!(value == acc)) m_.release(value);
  }

  void add_moments(Vec value, int row, const TileVector& v) {
    sums_->add(value, [&](Vec d, int i) {
      if (i > 1) return load_operand(d, static_cast<std::size_t>(i - 2), row, v);
      const Gp first = m_.gp();
      m_.load(first, {m_.args(), offsetof(TileCall, first)});
      m_.load(d, {first, v.c});
      m_.release(first);
    });
    if (row + 1 == shape_.rows) sums_->store();
  }

  void load_operand(Vec d, std::size_t i, int row, const TileVector& v) {
    const ir::EpilogueOperand& operand = epilogue_.operands[i];
    const bool pinned = i < pinned_.size();
    const Gp base = pinned ? pinned_[i] : m_.gp();
    if (!pinned) m_.load(base, {m_.args(), operand_pointer(i)});
    const std::int64_t same = (row * shape_.c_row + v.c) / shape_.result_size;
    codegen::load_operand(m_, d, operand, base, same, v.column, partial(v));
    if (!pinned) m_.release(base);
  }

  Masm& m_;
  const TileShape& shape_;
  const std::vector<TileVector>& vectors_;
  const ir::Epilogue& epilogue_;
  Gp result_;
  std::vector<Gp> pinned_;
  std::optional<MomentSums> sums_;
  std::vector<ir::DType> input_types_{ir::DType::f32};
};

}  // namespace

std::vector<TileVector> tile_vectors(const TileShape& shape, const ir::Isa& isa) {
  std::vector<TileVector> vectors;
  for (int block = 0; block < shape.blocks; ++block) {
    const int columns = block + 1 == shape.blocks ? shape.last_columns : 16;
    for (int lane = 0; lane < columns; lane += isa.lanes) {
      const std::int64_t inside = lane * kF32;
      const std::int64_t inside_c = std::int64_t{lane} * shape.result_size;
      const int lanes = shape.whole_blocks ? isa.lanes : std::min(isa.lanes, columns - lane);
      vectors.push_back({block * shape.b_block + inside, block * shape.c_block + inside_c,
                         block * 16 + lane, lanes, 2 * (columns - lane) <= isa.lanes});
    }
  }
  return vectors;
}

void emit_tile_epilogue(Masm& m, const TileShape& shape, const std::vector<TileVector>& vectors,
                        const ir::Epilogue& epilogue, std::vector<Vec> accumulators) {
  EpilogueEmitter(m, shape, vectors, epilogue).emit(std::move(accumulators));
}

}  // namespace taper::codegen
