// Softmax and cross entropy, row by row. Per row: m = max, then s = sum of exp(x - m) over 16
// virtual lanes (column j in lane j % 16), then
//   softmax        exp(x - m) / s          log_softmax  (x - m) - log(s)
//   cross entropy  (m - x[label]) + log(s)
//   its gradient   (exp(x - m) / s) * dloss, at the label (exp(x - m) / s - 1) * dloss
// The max ignores NaN; the sum does not, so that a NaN reaches all results of its row.
#include <cstddef>
#include <functional>
#include <vector>

#include "codegen/batch_kernel.h"
#include "codegen/math.h"
#include "codegen/maximum.h"
#include "codegen/routine_emitter.h"
#include "codegen/sizes.h"

namespace taper::codegen {
namespace {

using ir::RowKind;

// Rows of at most this many full blocks are unrolled.
constexpr std::int64_t kUnrolledBlocks = 4;

struct RowArgs {  // pointers to the first row's entries; those that the kind lacks are null
  const float* x;
  const std::int32_t* labels;
  const float* dloss;
  float* loss;
  float* result;
  std::int64_t rows;
};

// All steps of a row, row after row.
class RowEmitter : RoutineEmitter {
 public:
  RowEmitter(const ir::RowSpec& spec, const ir::Isa& isa)
      : RoutineEmitter(isa),
        kind_(spec.kind),
        full_(spec.columns / kLanes),
        tail_(static_cast<int>(spec.columns % kLanes)),
        math_(m_) {}

  Routine emit() {
    begin("row");
    x_ = argument(offsetof(RowArgs, x));
    result_ = argument(offsetof(RowArgs, result));
    const Gp rows = argument(offsetof(RowArgs, rows));
    row_bytes_ = m_.gp();
    m_.move(row_bytes_, 0);
    loop(rows, [&] {
      emit_row();
      const std::int64_t bytes = (full_ * kLanes + tail_) * kF32;
      m_.add(x_, bytes);
      if (writes_matrix()) m_.add(result_, bytes);
      m_.add(row_bytes_, kF32);
    });
    return end();
  }

 private:
  bool has_loss() const {
    return kind_ == RowKind::cross_entropy || kind_ == RowKind::cross_entropy_fused;
  }
  bool has_gradient() const {
    return kind_ == RowKind::cross_entropy_backward || kind_ == RowKind::cross_entropy_fused;
  }
  bool writes_matrix() const { return kind_ != RowKind::cross_entropy; }

  void emit_row() {
    const Vec max = emit_max();
    const Vec sum = emit_sum(max);
    if (kind_ == RowKind::log_softmax) emit_log_softmax(max, sum);
    if (kind_ == RowKind::softmax) {
      each_vector([&](std::int64_t offset, bool tail, std::size_t) {
        with_result(
            offset, tail, [&](Vec v) { m_.div(v, v, sum); });
      });
    }
    if (has_loss()) emit_loss(max, sum);
    if (has_gradient()) emit_gradient(sum);
    m_.release(max);
    m_.release(sum);
  }

  // Calls body(byte offset, is the tail set, half) for all vectors of the row, the full blocks in a
  // loop when there are many: x_ and result_ are then moved and moved back.
  void each_vector(const std::function<void(std::int64_t, bool, std::size_t)>& body) {
    const std::int64_t vector_bytes = m_.isa().lanes * kF32, block = kLanes * kF32;
    const auto block_body = [&](std::int64_t offset) {
      for (int h = 0; h < halves(); ++h)
        body(offset + h * vector_bytes, false, static_cast<std::size_t>(h));
    };
    const bool looped = full_ > kUnrolledBlocks;
    if (looped) {
      const auto turn = [&] {
        block_body(0);
        m_.add(x_, block);
        m_.add(result_, block);
      };
      loop(full_, turn);
    } else {
      for (std::int64_t b = 0; b < full_; ++b) block_body(b * block);
    }
    const std::int64_t tail_offset = looped ? 0 : full_ * block;
    for (int h = 0; h * m_.isa().lanes < tail_; ++h) {
      const int lanes = tail_ - h * m_.isa().lanes;
      if (lanes < m_.isa().lanes) m_.set_tail(lanes);
      body(tail_offset + h * vector_bytes, lanes < m_.isa().lanes, static_cast<std::size_t>(h));
    }
    if (looped) {
      m_.add(x_, -full_ * block);
      m_.add(result_, -full_ * block);
    }
  }

  void load(Vec d, Address a, bool tail) { tail ? m_.load_tail(d, a) : m_.load(d, a); }
  void store(Address a, Vec s, bool tail) { tail ? m_.store_tail(a, s) : m_.store(a, s); }

  void with_result(std::int64_t offset, bool tail, const std::function<void(Vec)>& change) {
    const Vec v = m_.vec();
    load(v, {result_, offset}, tail);
    change(v);
    store({result_, offset}, v, tail);
    m_.release(v);
  }

  std::vector<Vec> accumulators(float start) {
    std::vector<Vec> v;
    for (int h = 0; h < halves(); ++h) {
      v.push_back(m_.vec());
      m_.constant(v.back(), start);
    }
    return v;
  }

  // Lane 0 of v[0] to all lanes of the register that is returned; the others are released.
  Vec splat(const std::vector<Vec>& v) {
    m_.broadcast(v[0], v[0]);
    for (std::size_t i = 1; i < v.size(); ++i) m_.release(v[i]);
    return v[0];
  }

  Vec emit_max() {
    const std::vector<Vec> acc = accumulators(kLowest);
    const Vec v = m_.vec(), low = m_.vec();
    m_.constant(low, kLowest);
    each_vector([&](std::int64_t offset, bool tail, std::size_t h) {
      load(v, {x_, offset}, tail);
      if (tail) m_.select_tail(v, v, low);
      m_.max(acc[h], v, acc[h]);
    });
    m_.release(v);
    m_.release(low);
    m_.fold_lanes(acc, true);
    return splat(acc);
  }

  // Leaves exp(x - max) in the result where the last step wants it.
  Vec emit_sum(Vec max) {
    const std::vector<Vec> acc = accumulators(0.0f);
    const bool keep = kind_ == RowKind::softmax || has_gradient();
    each_vector([&](std::int64_t offset, bool tail, std::size_t h) {
      const Vec v = m_.vec(), e = m_.vec();
      load(v, {x_, offset}, tail);
      m_.sub(v, v, max);
      math_.exp(e, v);
      if (keep) store({result_, offset}, e, tail);
      if (tail) {
        m_.zero(v);
        m_.select_tail(e, e, v);
      }
      m_.add(acc[h], acc[h], e);
      m_.release(v);
      m_.release(e);
    });
    m_.fold_lanes(acc, false);
    return splat(acc);
  }

  void emit_log_softmax(Vec max, Vec sum) {
    const Vec log = m_.vec();
    math_.log(log, sum);
    const Vec v = m_.vec();
    each_vector([&](std::int64_t offset, bool tail, std::size_t) {
      load(v, {x_, offset}, tail);
      m_.sub(v, v, max);
      m_.sub(v, v, log);
      store({result_, offset}, v, tail);
    });
    m_.release(v);
    m_.release(log);
  }

  // d = base pointer of args at `field` + byte offset of this row's entry.
  void row_entry(Gp d, std::int64_t field) {
    m_.load(d, {m_.args(), field});
    m_.add(d, row_bytes_);
  }
  // d = address of the label's column in the row at `row`.
  void label_entry(Gp d, Gp row) {
    row_entry(d, offsetof(RowArgs, labels));
    m_.load_i32(d, {d, 0});
    m_.shift_left(d, 2);
    m_.add(d, row);
  }

  void emit_loss(Vec max, Vec sum) {
    const Vec log = m_.vec();
    math_.log(log, sum);
    const Gp at = m_.gp();
    label_entry(at, x_);
    const Vec v = m_.vec();
    m_.broadcast(v, {at, 0});
    m_.sub(v, max, v);
    m_.add(v, v, log);
    row_entry(at, offsetof(RowArgs, loss));
    m_.store_scalar({at, 0}, v);
    m_.release(v);
    m_.release(at);
    m_.release(log);
  }

  void emit_gradient(Vec sum) {
    const Gp at = m_.gp();
    row_entry(at, offsetof(RowArgs, dloss));
    const Vec dloss = m_.vec(), label = m_.vec(), one = m_.vec();
    m_.broadcast(dloss, {at, 0});
    // The label's element is taken before the row is overwritten: (p - 1) * dloss has one rounding
    // of p - 1, where p * dloss - dloss would lose the gradient of a row that is almost right.
    label_entry(at, result_);
    m_.broadcast(label, {at, 0});
    m_.div(label, label, sum);
    m_.constant(one, 1.0f);
    m_.sub(label, label, one);
    m_.mul(label, label, dloss);
    m_.release(one);
    each_vector([&](std::int64_t offset, bool tail, std::size_t) {
      with_result(offset, tail, [&](Vec v) {
        m_.div(v, v, sum);
        m_.mul(v, v, dloss);
      });
    });
    m_.store_scalar({at, 0}, label);
    m_.release(label);
    m_.release(dloss);
    m_.release(at);
  }

  RowKind kind_;
  std::int64_t full_;
  int tail_;
  Math math_;
  Gp x_, result_, row_bytes_;
};

class RowKernel final : public BatchKernel {
 public:
  RowKernel(const ir::RowSpec& spec, const ir::Isa& isa)
      : BatchKernel(spec.rows, spec.rows == ir::kBatch ? spec.rows_per_image : 1),
        spec_(spec),
        routine_(RowEmitter(spec, isa).emit()) {}

  std::vector<const Routine*> routines() const override { return {&routine_}; }

  void run(const Call& call) const override {
    const std::int64_t first = call.begin * each(), rows = (call.end - call.begin) * each();
    if (rows <= 0) return;
    RowArgs args{};
    args.x = at<const float>(call, 0, first * spec_.columns);
    args.rows = rows;
    std::size_t next = 1;
    if (spec_.kind != RowKind::softmax && spec_.kind != RowKind::log_softmax) {
      args.labels = at<const std::int32_t>(call, next++, first);
      if (spec_.kind != RowKind::cross_entropy) args.dloss = at<const float>(call, next++, first);
      if (spec_.kind != RowKind::cross_entropy_backward) args.loss = at<float>(call, next++, first);
    }
    if (spec_.kind != RowKind::cross_entropy)
      args.result = at<float>(call, next, first * spec_.columns);
    routine_(&args);
  }

 private:
  template <class T>
  static T* at(const Call& call, std::size_t buffer, std::int64_t element) {
    return static_cast<T*>(call.buffers[buffer]) + element;
  }

  ir::RowSpec spec_;
  Routine routine_;
};

}  // namespace

std::shared_ptr<const Kernel> compile_row(const ir::RowSpec& spec, const ir::Isa& isa) {
  return std::make_shared<RowKernel>(spec, isa);
}

}  // namespace taper::codegen
