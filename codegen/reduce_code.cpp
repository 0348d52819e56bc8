#include "codegen/reduce_code.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

#include "codegen/expr.h"
#include "codegen/maximum.h"
#include "codegen/routine_emitter.h"
#include "codegen/sizes.h"
#include "ir/attrs.h"
#include "ir/error.h"

namespace taper::codegen {
namespace {

constexpr int kChains = 4;

class AccumulateEmitter : RoutineEmitter {
 public:
  AccumulateEmitter(const ir::Isa& isa, const AccumulateSpec& spec)
      : RoutineEmitter(isa), spec_(spec) {}

  // As many vectors of a row together as there are registers for, then the next ones.
  Routine emit() {
    begin("reduce_accumulate");
    for (std::size_t i = 0; i < spec_.sources.size(); ++i) sources_[i] = m_.gp();
    if (compares()) scratch_ = m_.vec();
    const int others = std::max(1, max_registers(spec_.prologue)) + (spec_.with_tail ? 1 : 0);
    group_ = std::min(halves(), (m_.free_vecs() - others) / (kChains * terms()));
    if (group_ < 1) throw Error("reduce: the prologue needs more vector registers than there are");
    while (halves() % group_ != 0) --group_;
    for (auto& chain : chains_)
      for (int i = 0; i < terms() * group_; ++i) chain.push_back(m_.vec());
    for (first_ = 0; first_ < halves(); first_ += group_) emit_group();
    return end();
  }

 private:
  int terms() const { return std::max(1, static_cast<int>(spec_.prologue.outputs.size())); }
  bool compares() const { return spec_.kind == ir::ReduceKind::max; }
  float start() const { return compares() ? kLowest : 0.0f; }

  void emit_group() {
    for (std::size_t i = 0; i < spec_.sources.size(); ++i) {
      const auto at = static_cast<std::int64_t>(i * sizeof(void*));
      m_.load(sources_[i], Address{m_.args(), offsetof(AccumulateArgs, sources)} + at);
    }
    for (const auto& chain : chains_)
      for (const Vec acc : chain) m_.constant(acc, start());
    emit_rows();
    if (spec_.with_tail) emit_tail();
    emit_total();
  }

  void combine(Vec acc, Vec x) {
    if (compares())
      maximum_into(m_, acc, x, scratch_);
    else
      m_.add(acc, acc, x);
  }

  Vec chain(int chain, int term, int vector) const {
    return chains_[static_cast<std::size_t>(chain)]
                  [static_cast<std::size_t>(term * group_ + vector)];
  }

  // What is reduced, for a vector of the group, of the row `row` rows ahead; the caller releases
  // it.
  std::vector<Vec> emit_values(int vector, int row, bool tail) {
    const auto load = [&](Vec d, int i) {
      const auto k = static_cast<std::size_t>(i);
      const ReduceSource& source = spec_.sources[k];
      const auto size = static_cast<std::int64_t>(ir::byte_size(source.dtype));
      if (source.splat) return m_.broadcast(d, {sources_[k], 0});
      const std::int64_t lane = (first_ + vector) * m_.isa().lanes;
      const std::int64_t element = lane + (source.walked ? row * spec_.stride : 0);
      load_lanes(m_, d, {sources_[k], element * size}, source.dtype, tail);
    };
    if (spec_.prologue == ir::Expr{}) {
      const Vec x = m_.vec();
      load(x, 0);
      return {x};
    }
    std::vector<ir::DType> types;
    for (const ReduceSource& source : spec_.sources) types.push_back(source.dtype);
    return emit_expr(m_, spec_.prologue, {}, load, {}, types);
  }

  // `identity`, when valid, stands for the lanes that the tail leaves out.
  void emit_row(int to, int vector, int row, Vec identity = {}) {
    const bool tail = !(identity == Vec{});
    const std::vector<Vec> values = emit_values(vector, row, tail);
    for (int term = 0; term < terms(); ++term) {
      const Vec x = values[static_cast<std::size_t>(term)];
      if (tail) m_.select_tail(x, x, identity);
      combine(chain(to, term, vector), x);
      m_.release(x);
    }
  }

  void advance(int rows) {
    for (std::size_t i = 0; i < spec_.sources.size(); ++i) {
      const ReduceSource& source = spec_.sources[i];
      const auto size = static_cast<std::int64_t>(ir::byte_size(source.dtype));
      if (source.walked) m_.add(sources_[i], rows * spec_.stride * size);
    }
  }

  void emit_rows() {
    const Gp rows = argument(offsetof(AccumulateArgs, rows));
    const Label main = m_.label(), rest = m_.label(), one = m_.label(), done = m_.label();
    m_.jump_if(Condition::less, rows, kChains, rest);
    m_.bind(main);
    for (int c = 0; c < kChains; ++c)
      for (int v = 0; v < group_; ++v) emit_row(c, v, c);
    advance(kChains);
    m_.add(rows, -kChains);
    m_.jump_if(Condition::greater_equal, rows, kChains, main);
    m_.bind(rest);
    m_.jump_if(Condition::less_equal, rows, 0, done);
    m_.bind(one);
    for (int v = 0; v < group_; ++v) emit_row(0, v, 0);
    advance(1);
    m_.loop(rows, one);
    m_.bind(done);
    m_.release(rows);
  }

  void emit_tail() {
    const Gp tail = argument(offsetof(AccumulateArgs, tail));
    if (first_ > 0) m_.add(tail, -first_ * m_.isa().lanes);
    const Label done = m_.label();
    m_.jump_if(Condition::less_equal, tail, 0, done);
    const Vec identity = m_.vec();
    m_.constant(identity, start());
    for (int v = 0; v < group_; ++v) {
      m_.set_tail(tail);
      emit_row(0, v, 0, identity);
      m_.add(tail, -m_.isa().lanes);
    }
    m_.bind(done);
    m_.release(identity);
    m_.release(tail);
  }

  void emit_total() {
    const Gp totals = argument(offsetof(AccumulateArgs, totals));
    const Vec x = m_.vec();
    for (int term = 0; term < terms(); ++term) {
      for (int v = 0; v < group_; ++v) {
        const std::int64_t lane = term * kLanes + (first_ + v) * m_.isa().lanes;
        const Vec acc = chain(0, term, v);
        combine(acc, chain(1, term, v));
        combine(chain(2, term, v), chain(3, term, v));
        combine(acc, chain(2, term, v));
        m_.load(x, {totals, lane * kF32});
        combine(x, acc);
        m_.store({totals, lane * kF32}, x);
      }
    }
    m_.release(x);
    m_.release(totals);
  }

  const AccumulateSpec& spec_;
  std::array<Gp, kMaxReduceInputs> sources_{};
  Vec scratch_{};
  std::array<std::vector<Vec>, kChains> chains_;  // by result, then vector of the group
  int first_ = 0, group_ = 0;                     // the vectors of a row that are added now
};

class FinishEmitter : RoutineEmitter {
 public:
  explicit FinishEmitter(const ir::Isa& isa) : RoutineEmitter(isa) {}

  Routine emit(const ir::ReduceSpec& spec) {
    begin("reduce_finish");
    const Gp totals = argument(offsetof(FinishArgs, totals));
    const Gp result = argument(offsetof(FinishArgs, result));
    const Gp lanes = argument(offsetof(FinishArgs, lanes));
    const Vec acc = m_.vec();
    for (int lane = 0; lane < kLanes; lane += m_.isa().lanes) {
      m_.set_tail(lanes);
      m_.load(acc, {totals, lane * kF32});
      if (spec.kind == ir::ReduceKind::mean) {
        const Vec count = m_.vec();
        m_.broadcast(count, {m_.args(), offsetof(FinishArgs, count)});
        m_.div(acc, acc, count);
        m_.release(count);
      }
      const Address operands{m_.args(), offsetof(FinishArgs, operands)};
      emit_epilogue(m_, spec.epilogue, acc, {.pointers = operands, .lane = lane, .tail = true});
      m_.store_tail({result, lane * kF32}, acc);
      m_.add(lanes, -m_.isa().lanes);
    }
    return end();
  }
};

}  // namespace

Routine emit_reduce_accumulate(const ir::Isa& isa, const AccumulateSpec& spec) {
  return AccumulateEmitter(isa, spec).emit();
}

Routine emit_reduce_finish(const ir::Isa& isa, const ir::ReduceSpec& spec) {
  return FinishEmitter(isa).emit(spec);
}

}  // namespace taper::codegen
