#include "codegen/reduce_code.h"

#include <array>
#include <cstddef>
#include <limits>
#include <memory>
#include <vector>

#include "codegen/masm.h"
#include "codegen/maximum.h"
#include "codegen/routine.h"
#include "codegen/sizes.h"
#include "ir/attrs.h"

namespace taper::codegen {
namespace {

constexpr int kChains = 4;

class AccumulateEmitter {
 public:
  AccumulateEmitter(const ir::Isa& isa, ir::ReduceKind kind, std::int64_t stride, bool with_tail)
      : masm_(make_masm(isa)), m_(*masm_), kind_(kind), stride_(stride), with_tail_(with_tail) {}

  Routine emit() {
    m_.begin("reduce_accumulate");
    source_ = m_.gp();
    m_.load(source_, {m_.args(), offsetof(AccumulateArgs, source)});
    x_ = m_.vec();
    scratch_ = m_.vec();
    for (auto& chain : chains_) {
      for (int h = 0; h < halves(); ++h) {
        chain.push_back(m_.vec());
        m_.constant(chain.back(), kind_ == ir::ReduceKind::max ? kLowest : 0.0f);
      }
    }
    emit_rows();
    if (with_tail_) emit_tail();
    emit_total();
    m_.end();
    return finish_routine(m_, "reduce_accumulate");
  }

 private:
  int halves() const { return m_.isa().vectors_per_block(); }
  std::int64_t bytes() const { return m_.isa().lanes * kF32; }

  void combine(Vec acc, Vec x) {
    if (kind_ == ir::ReduceKind::max) {
      maximum_into(m_, acc, x, scratch_);
    } else {
      m_.add(acc, acc, x);
    }
  }

  void emit_row(int chain, std::int64_t offset) {
    for (int h = 0; h < halves(); ++h) {
      m_.load(x_, {source_, offset + h * bytes()});
      combine(chains_[static_cast<std::size_t>(chain)][static_cast<std::size_t>(h)], x_);
    }
  }

  void emit_rows() {
    const Gp rows = m_.gp();
    m_.load(rows, {m_.args(), offsetof(AccumulateArgs, rows)});
    const Label main = m_.label(), rest = m_.label(), one = m_.label(), done = m_.label();
    m_.jump_if(Condition::less, rows, kChains, rest);
    m_.bind(main);
    for (int c = 0; c < kChains; ++c) emit_row(c, c * stride_);
    m_.add(source_, kChains * stride_);
    m_.add(rows, -kChains);
    m_.jump_if(Condition::greater_equal, rows, kChains, main);
    m_.bind(rest);
    m_.jump_if(Condition::less_equal, rows, 0, done);
    m_.bind(one);
    emit_row(0, 0);
    m_.add(source_, stride_);
    m_.loop(rows, one);
    m_.bind(done);
    m_.release(rows);
  }

  void emit_tail() {
    const Gp tail = m_.gp();
    m_.load(tail, {m_.args(), offsetof(AccumulateArgs, tail)});
    const Label done = m_.label();
    m_.jump_if(Condition::less_equal, tail, 0, done);
    const Vec identity = m_.vec();
    m_.constant(identity, kind_ == ir::ReduceKind::max ? kLowest : 0.0f);
    for (int h = 0; h < halves(); ++h) {
      m_.set_tail(tail);
      m_.load_tail(x_, {source_, h * bytes()});
      m_.select_tail(x_, x_, identity);
      combine(chains_[0][static_cast<std::size_t>(h)], x_);
      m_.add(tail, -m_.isa().lanes);
    }
    m_.bind(done);
    m_.release(identity);
    m_.release(tail);
  }

  void emit_total() {
    const Gp totals = m_.gp();
    m_.load(totals, {m_.args(), offsetof(AccumulateArgs, totals)});
    for (int h = 0; h < halves(); ++h) {
      const auto i = static_cast<std::size_t>(h);
      combine(chains_[0][i], chains_[1][i]);
      combine(chains_[2][i], chains_[3][i]);
      combine(chains_[0][i], chains_[2][i]);
      m_.load(x_, {totals, h * bytes()});
      combine(x_, chains_[0][i]);
      m_.store({totals, h * bytes()}, x_);
    }
    m_.release(totals);
  }

  std::unique_ptr<Masm> masm_;
  Masm& m_;
  ir::ReduceKind kind_;
  std::int64_t stride_;
  bool with_tail_;
  Gp source_;
  Vec x_, scratch_;
  std::array<std::vector<Vec>, kChains> chains_;
};

}  // namespace

Routine emit_reduce_accumulate(const ir::Isa& isa, ir::ReduceKind kind, std::int64_t stride,
                               bool with_tail) {
  return AccumulateEmitter(isa, kind, stride * kF32, with_tail).emit();
}

Routine emit_reduce_finish(const ir::Isa& isa, const ir::ReduceSpec& spec) {
  const std::unique_ptr<Masm> masm = make_masm(isa);
  Masm& m = *masm;
  m.begin("reduce_finish");
  const Gp totals = m.gp(), result = m.gp(), lanes = m.gp();
  m.load(totals, {m.args(), offsetof(FinishArgs, totals)});
  m.load(result, {m.args(), offsetof(FinishArgs, result)});
  m.load(lanes, {m.args(), offsetof(FinishArgs, lanes)});
  const Vec acc = m.vec();
  for (int lane = 0; lane < kLanes; lane += isa.lanes) {
    m.set_tail(lanes);
    m.load(acc, {totals, lane * kF32});
    if (spec.kind == ir::ReduceKind::mean) {
      const Vec count = m.vec();
      m.broadcast(count, {m.args(), offsetof(FinishArgs, count)});
      m.div(acc, acc, count);
      m.release(count);
    }
    const Address operands{m.args(), offsetof(FinishArgs, operands)};
    emit_epilogue(m, spec.epilogue, acc,
                  {.pointers = operands, .element = {}, .offset = 0, .lane = lane, .tail = true});
    m.store_tail({result, lane * kF32}, acc);
    m.add(lanes, -isa.lanes);
  }
  m.end();
  return finish_routine(m, "reduce_finish");
}

}  // namespace taper::codegen
