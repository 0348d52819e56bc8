#include "codegen/tile.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <limits>

#include "codegen/routine_emitter.h"
#include "codegen/sizes.h"
#include "codegen/tile_epilogue.h"
#include "ir/ahead.h"
#include "ir/error.h"

namespace taper::codegen {
namespace {

constexpr int kUnrolledFmas = 256;  // FMAs of an unrolled loop: it has to fit the decoded-op cache
constexpr int kKeptByMasm = 1;      // vector registers that the emitter does not hand out
constexpr int kMostBlocks = 8;      // more would only lengthen the code
// b streams from the second-level cache. Its lines are asked for this many steps ahead, or an entry
// ahead, where there are so many FMAs in a step that the loads are free.
constexpr int kStepsAhead = 16;
constexpr int kFewestRowsAhead = 4;

// Two ways to hold a step's operands beside the accumulators: all vectors of b and one broadcast
// of a at a time, or all broadcasts and one vector at a time.
struct StepRegisters {
  bool broadcasts_kept = false;
  int count = 0;
};
StepRegisters step_registers(const ir::Isa& isa, int rows, int vectors) {
  const int vectors_kept = vectors + (vectors == 1 ? isa.broadcast_registers : 1);
  if (rows + 1 < vectors_kept) return {true, rows + 1};
  return {false, vectors_kept};
}

class TileEmitter : RoutineEmitter {
 public:
  TileEmitter(const TileShape& shape, const ir::Isa& isa)
      : RoutineEmitter(isa), shape_(shape), vectors_(tile_vectors(shape, isa)) {}

  Routine emit(const std::string& name, const ir::Epilogue& epilogue) {
    begin(name);
    const Label top = m_.label();
    m_.bind(top);
    if (shape_.result_ahead) ask_for_result(epilogue);
    take_accumulators();
    take_registers();
    if (shape_.uniform) {
      m_.load(a_, {m_.args(), offsetof(TileCall, a)});
      m_.load(b_, {m_.args(), offsetof(TileCall, b)});
      emit_uniform(offsetof(TileCall, count), shape_.steps);
      emit_uniform(offsetof(TileCall, tail_count), 1);
    } else {
      emit_table(offsetof(TileCall, entries), offsetof(TileCall, count), shape_.steps);
      emit_table(offsetof(TileCall, tail_entries), offsetof(TileCall, tail_count),
                 shape_.tail_steps);
    }
    release_registers();
    emit_tile_epilogue(m_, shape_, vectors_, epilogue, std::move(accumulators_));
    go_down(epilogue, top);
    return end();
  }

 private:
  int width() const { return static_cast<int>(vectors_.size()); }
  Vec accumulator(int row, int v) const {
    return accumulators_[static_cast<std::size_t>(row * width() + v)];
  }

  // To the next tile, if there is one.
  void go_down(const ir::Epilogue& epilogue, Label top) {
    const Gp value = m_.gp();
    const auto advance = [&](std::int64_t field, std::int64_t by) {
      m_.load(value, {m_.args(), field});
      m_.add(value, by);
      m_.store({m_.args(), field}, value);
    };
    const std::int64_t c = shape_.rows * shape_.c_row;
    const Label done = m_.label();
    m_.load(value, {m_.args(), offsetof(TileCall, tiles)});
    m_.jump_if(Condition::less_equal, value, 1, done);
    advance(offsetof(TileCall, tiles), -1);
    advance(offsetof(TileCall, a), shape_.rows * shape_.a_row);
    advance(offsetof(TileCall, c), c);
    for (std::size_t i = 0; i < epilogue.operands.size(); ++i) {
      const auto size = static_cast<std::int64_t>(ir::byte_size(epilogue.operands[i].dtype));
      if (epilogue.operands[i].access == ir::EpilogueAccess::same)
        advance(operand_pointer(i), c / shape_.result_size * size);
    }
    m_.jump(top);
    m_.bind(done);
    m_.release(value);
  }

  // The memory answers while the products run.
  void ask_for_result(const ir::Epilogue& epilogue) {
    const Gp base = m_.gp();
    const auto ask = [&](std::int64_t field, std::int64_t size, Prefetch how) {
      m_.load(base, {m_.args(), field});
      for (int row = 0; row < shape_.rows; ++row) {
        for (const TileVector& v : vectors_) {
          const std::int64_t at = (row * shape_.c_row + v.c) / shape_.result_size * size;
          if (v.column % ir::kBlock != 0) continue;
          m_.prefetch({base, at}, how);
        }
      }
    };
    for (std::size_t i = 0; i < epilogue.operands.size(); ++i) {
      const auto size = static_cast<std::int64_t>(ir::byte_size(epilogue.operands[i].dtype));
      if (epilogue.operands[i].access == ir::EpilogueAccess::same)
        ask(operand_pointer(i), size, Prefetch::second_level);
    }
    if (!epilogue.streamed) ask(offsetof(TileCall, c), shape_.result_size, Prefetch::write);
    m_.release(base);
  }

  void take_accumulators() {
    const Gp c = m_.gp();
    if (shape_.accumulate) m_.load(c, {m_.args(), offsetof(TileCall, c)});
    for (int i = 0; i < shape_.rows * width(); ++i) {
      const Vec acc = m_.vec();
      accumulators_.push_back(acc);
      if (shape_.accumulate)
        m_.load(acc, {c, i / width() * shape_.c_row + vectors_[index(i % width())].c});
      else
        m_.zero(acc);
    }
    m_.release(c);
  }

  void take_registers() {
    const StepRegisters step = step_registers(m_.isa(), shape_.rows, width());
    broadcasts_kept_ = step.broadcasts_kept;
    const int count = embedded() ? width() : step.count;
    for (int i = 0; i < count; ++i) operands_.push_back(m_.vec());
    for (Gp* r : {&a_, &b_, &count_, &inner_}) *r = m_.gp();
    if (!shape_.uniform) b_ahead_ = m_.gp();
  }

  void release_registers() {
    for (const Vec v : operands_) m_.release(v);
    for (const Gp r : {a_, b_, count_, inner_}) m_.release(r);
    if (!shape_.uniform) m_.release(b_ahead_);
  }

  void emit_uniform(std::int64_t count_field, int steps) {
    const Label done = m_.label();
    const Label top = m_.label();
    m_.load(count_, {m_.args(), count_field});
    m_.jump_if(Condition::less_equal, count_, 0, done);
    m_.bind(top);
    for (int k = 0; k < steps; ++k) emit_step(k * shape_.a_step, k * shape_.b_step, shape_.taps[0]);
    m_.add(a_, steps * shape_.a_step);
    m_.add(b_, steps * shape_.b_step);
    m_.loop(count_, top);
    m_.bind(done);
  }

  void emit_table(std::int64_t table_field, std::int64_t count_field, int steps) {
    if (steps == 0 || shape_.taps.empty()) return;
    const Gp table = m_.gp();
    const Gp a_base = m_.gp();
    const Gp b_base = m_.gp();
    const Label done = m_.label();
    const Label top = m_.label();
    m_.load(count_, {m_.args(), count_field});
    m_.jump_if(Condition::less_equal, count_, 0, done);
    m_.load(table, {m_.args(), table_field});
    m_.load(a_base, {m_.args(), offsetof(TileCall, a)});
    m_.load(b_base, {m_.args(), offsetof(TileCall, b)});
    m_.bind(top);
    m_.load(a_, {table, offsetof(TileEntry, a)});
    m_.load(b_, {table, offsetof(TileEntry, b)});
    m_.add(a_, a_base);
    m_.add(b_, b_base);
    m_.load(b_ahead_, {table, offsetof(TileEntry, b_ahead)});
    m_.add(b_ahead_, b_base);
    if (rows_ahead()) {
      m_.load(inner_, {table, offsetof(TileEntry, a_ahead)});
      m_.add(inner_, a_base);
      for (int row = 0; row < shape_.rows; ++row)
        m_.prefetch({inner_, row * shape_.a_row}, Prefetch::first_level);
    }
    emit_entry(steps);
    m_.add(table, sizeof(TileEntry));
    m_.loop(count_, top);
    m_.bind(done);
    m_.release(b_base);
    m_.release(a_base);
    m_.release(table);
  }

  // Largest power of two that keeps the code of all taps small.
  int unrolled(int steps) const {
    int fmas = 0;
    for (const TileTap& tap : shape_.taps) fmas += (tap.end_row - tap.first_row) * width();
    int unroll = 1;
    while (unroll < steps && 2 * unroll * fmas <= kUnrolledFmas) unroll *= 2;
    return std::min(unroll, steps);
  }

  void emit_entry(int steps) {
    const int unroll = unrolled(steps);
    const int rounds = steps / unroll;
    int moved = 0;  // steps that a_ and b_ have advanced by
    for (const TileTap& tap : shape_.taps) {
      const Label top = m_.label();
      if (rounds > 1) {
        m_.move(inner_, rounds);
        m_.bind(top);
      }
      emit_steps(0, unroll, moved, tap);
      if (rounds > 1) {
        m_.add(a_, unroll * shape_.a_step);
        m_.add(b_, unroll * shape_.b_step);
        m_.add(b_ahead_, unroll * shape_.b_step);
        m_.loop(inner_, top);
        moved += unroll * rounds;
      }
      emit_steps(unroll * rounds, steps, moved, tap);
    }
  }

  void emit_steps(int first, int end, int moved, const TileTap& tap) {
    for (int k = first; k < end; ++k)
      emit_step((k - moved) * shape_.a_step, (k - moved) * shape_.b_step, tap);
  }

  void emit_step(std::int64_t a_offset, std::int64_t b_offset, const TileTap& tap) {
    const Address a{a_, a_offset + tap.a};
    const Address b{b_, b_offset + tap.b};
    if (shape_.b_ahead && tap.end_row - tap.first_row >= kFewestRowsAhead)
      prefetch(shape_.uniform ? b + kStepsAhead * shape_.b_step
                              : Address{b_ahead_, b_offset + tap.b});
    if (broadcasts_kept_)
      emit_rows_first(a, b, tap);
    else
      emit_vectors_first(a, b, tap);
  }

  // Broadcasts are operands of the multiplications: of one vector for each row, or of a block and
  // half of one, which would wait for broadcasts in registers.
  bool embedded() const {
    const bool and_a_half = width() == 2 && shape_.blocks == 2 && vectors_[1].half;
    return !broadcasts_kept_ && (width() == 1 || and_a_half) && !shape_.integers;
  }
  bool rows_ahead() const { return shape_.rows_ahead && shape_.rows >= kFewestRowsAhead; }

  void prefetch(Address b) {
    for (const TileVector& vector : vectors_)
      if (vector.b % ir::kCacheLine == 0) m_.prefetch(b + vector.b, Prefetch::first_level);
  }

  void emit_vectors_first(Address a, Address b, const TileTap& tap) {
    for (int v = 0; v < width(); ++v) m_.load(operand(v), b + vectors_[index(v)].b);
    for (int row = tap.first_row; row < tap.end_row; ++row) {
      const Address value = a + row * shape_.a_row;
      if (embedded()) {
        for (int v = 0; v < width(); ++v)
          if (vectors_[index(v)].half)
            m_.fma_half(accumulator(row, v), operand(v), value);
          else
            m_.fma_broadcast(accumulator(row, v), operand(v), value);
        continue;
      }
      m_.broadcast(operand(width()), value);
      for (int v = 0; v < width(); ++v) accumulate(row, v, operand(width()), operand(v));
    }
  }

  void emit_rows_first(Address a, Address b, const TileTap& tap) {
    for (int row = tap.first_row; row < tap.end_row; ++row)
      m_.broadcast(operand(row), a + row * shape_.a_row);
    for (int v = 0; v < width(); ++v) {
      m_.load(operand(shape_.rows), b + vectors_[index(v)].b);
      for (int row = tap.first_row; row < tap.end_row; ++row)
        accumulate(row, v, operand(row), operand(shape_.rows));
    }
  }

  void accumulate(int row, int v, Vec a, Vec b) {
    const Vec acc = accumulator(row, v);
    if (shape_.integers)
      m_.dot_u8_i8(acc, a, b);
    else if (vectors_[index(v)].half)
      m_.fma_half(acc, b, a);
    else
      m_.fma(acc, b, a);
  }

  static std::size_t index(int i) { return static_cast<std::size_t>(i); }
  Vec operand(int i) const { return operands_[index(i)]; }

  const TileShape& shape_;
  std::vector<TileVector> vectors_;
  std::vector<Vec> accumulators_, operands_;
  bool broadcasts_kept_ = false;
  Gp a_, b_, b_ahead_, count_, inner_;
};

void check_reach(const TileShape& s) {
  const auto steps = s.steps * static_cast<std::int64_t>(s.taps.size() + 1);
  std::int64_t a = s.rows * std::abs(s.a_row) + steps * std::abs(s.a_step);
  std::int64_t b = s.blocks * std::abs(s.b_block) + steps * std::abs(s.b_step);
  const std::int64_t c = s.rows * std::abs(s.c_row) + s.blocks * std::abs(s.c_block);
  for (const TileTap& tap : s.taps) {
    a += std::abs(tap.a);
    b += std::abs(tap.b);
  }
  if (std::max({a, b, c}) > std::numeric_limits<std::int32_t>::max())
    throw Error("contraction: a register tile spans more than 2 GB of an operand");
}

}  // namespace

TileSet::TileSet(const ir::Isa& isa, const ir::Epilogue& epilogue, std::string name)
    : isa_(isa), epilogue_(epilogue), name_(std::move(name)) {
  check_epilogue(epilogue, name_.c_str(), true);
  for (const ir::ExprInstr& instr : epilogue.expr.instrs)
    if (instr.op == ir::Op::random)
      throw Error("{}: random numbers in an epilogue are not supported", name_);
}

std::size_t TileSet::add(const TileShape& shape) {
  const auto [found, is_new] = index_.try_emplace(shape, routines_.size());
  if (!is_new) return found->second;
  check_reach(shape);
  const std::string name =
      fmt::format("{}_{}x{}_{}", name_, shape.rows, shape.blocks, routines_.size());
  routines_.push_back(TileEmitter(shape, isa_).emit(name, epilogue_));
  return found->second;
}

std::vector<const Routine*> TileSet::routines() const {
  return with_routines({routines_});
}

int max_tile_blocks(const ir::Isa& isa, TileLimits limits, int rows) {
  int blocks = 1;
  while (blocks < kMostBlocks) {
    const int vectors = (blocks + 1) * isa.vectors_per_block();
    const int registers = rows * vectors + step_registers(isa, rows, vectors).count;
    if (registers > isa.vector_registers - kKeptByMasm || rows * vectors > limits.vectors) break;
    ++blocks;
  }
  return blocks;
}

}  // namespace taper::codegen
