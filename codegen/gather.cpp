// Rows of a table, and the gradient of the table.
//   forward   row by row, a copy
//   backward  per block of 16 columns: zeros, then the rows of the gradient in order, each added to
//             the row of its index; so that every sum has one order, whoever owns the block
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "codegen/kernel.h"
#include "codegen/routine_emitter.h"
#include "codegen/sizes.h"

namespace taper::codegen {
namespace {

// Rows of at most this many vectors are unrolled.
constexpr std::int64_t kUnrolled = 8;

struct GatherArgs {
  const float* table;
  const std::int32_t* indices;
  float* result;
  std::int64_t rows;
};

struct ScatterArgs {  // of one block: pointers to its first column
  const float* gradient;
  const std::int32_t* indices;
  float* result;
  std::int64_t rows, entries, lanes;
};

// row = base + index * bytes, for the index at `indices`.
void load_row(Masm& m, Gp row, Gp indices, Gp bytes, Gp base) {
  m.load_i32(row, {indices});
  m.mul(row, bytes);
  m.add(row, base);
}

class GatherEmitter : RoutineEmitter {
 public:
  explicit GatherEmitter(const ir::Isa& isa) : RoutineEmitter(isa) {}

  Routine emit(std::int64_t columns) {
    begin("gather");
    const Gp table = argument(offsetof(GatherArgs, table));
    const Gp indices = argument(offsetof(GatherArgs, indices));
    const Gp result = argument(offsetof(GatherArgs, result));
    const Gp rows = argument(offsetof(GatherArgs, rows));
    const Gp row = m_.gp(), bytes = m_.gp();
    m_.move(bytes, columns * kF32);
    m_.set_tail(static_cast<int>(columns % m_.isa().lanes));
    loop(rows, [&] {
      load_row(m_, row, indices, bytes, table);
      copy_row(row, result, columns);
      m_.add(indices, kF32);
      m_.add(result, bytes);
    });
    return end();
  }

 private:
  void copy_row(Gp from, Gp to, std::int64_t columns) {
    const std::int64_t lanes = m_.isa().lanes;
    const std::int64_t vectors = columns / lanes, step = lanes * kF32;
    const Vec v = m_.vec();
    std::int64_t done = 0;
    if (vectors > kUnrolled) {
      const Gp target = m_.gp();
      m_.move(target, to);
      loop(vectors, [&] {
        m_.load(v, {from});
        m_.store({target}, v);
        m_.add(from, step);
        m_.add(target, step);
      });
      m_.add(from, -vectors * step);
      m_.release(target);
      done = vectors;
    }
    for (; done < vectors; ++done) {
      m_.load(v, {from, done * step});
      m_.store({to, done * step}, v);
    }
    if (columns % lanes != 0) {
      m_.load_tail(v, {from, vectors * step});
      m_.store_tail({to, vectors * step}, v);
    }
    m_.release(v);
  }
};

// The gradient of one block of columns.
class ScatterEmitter : RoutineEmitter {
 public:
  ScatterEmitter(const ir::GatherSpec& spec, const ir::Isa& isa)
      : RoutineEmitter(isa), spec_(spec) {}

  Routine emit() {
    begin("scatter");
    for (Gp* g : {&result_, &bytes_, &lanes_, &at_, &count_, &indices_, &row_}) *g = m_.gp();
    sum_ = m_.vec();
    term_ = m_.vec();
    m_.load(result_, {m_.args(), offsetof(ScatterArgs, result)});
    m_.load(lanes_, {m_.args(), offsetof(ScatterArgs, lanes)});
    m_.move(bytes_, spec_.columns * kF32);
    for (std::int64_t lane = 0; lane < kLanes; lane += m_.isa().lanes) {
      m_.set_tail(lanes_);
      emit_zeros(lane * kF32);
      emit_sums(lane * kF32);
      m_.add(lanes_, -m_.isa().lanes);
    }
    return end();
  }

 private:
  void emit_zeros(std::int64_t offset) {
    m_.move(at_, result_);
    m_.load(count_, {m_.args(), offsetof(ScatterArgs, entries)});
    m_.zero(sum_);
    loop(count_, [&] {
      m_.store_tail({at_, offset}, sum_);
      m_.add(at_, bytes_);
    });
  }

  void emit_sums(std::int64_t offset) {
    m_.load(at_, {m_.args(), offsetof(ScatterArgs, gradient)});
    m_.load(indices_, {m_.args(), offsetof(ScatterArgs, indices)});
    m_.load(count_, {m_.args(), offsetof(ScatterArgs, rows)});
    const Label top = m_.label(), done = m_.label();
    m_.jump_if(Condition::less_equal, count_, 0, done);
    m_.bind(top);
    load_row(m_, row_, indices_, bytes_, result_);
    m_.load_tail(sum_, {row_, offset});
    m_.load_tail(term_, {at_, offset});
    m_.add(sum_, sum_, term_);
    m_.store_tail({row_, offset}, sum_);
    m_.add(at_, bytes_);
    m_.add(indices_, kF32);
    m_.loop(count_, top);
    m_.bind(done);
  }

  const ir::GatherSpec& spec_;
  Gp result_, bytes_, lanes_, at_, count_, indices_, row_;
  Vec sum_, term_;
};

class GatherKernel final : public Kernel {
 public:
  GatherKernel(const ir::GatherSpec& spec, const ir::Isa& isa)
      : spec_(spec),
        routine_(spec.backward ? ScatterEmitter(spec, isa).emit()
                               : GatherEmitter(isa).emit(spec.columns)) {}

  std::int64_t units(std::int64_t batch) const override {
    if (spec_.backward) return spec_.entries == 0 ? 0 : blocks_of(spec_.columns);
    return batched() ? batch : spec_.rows;
  }
  Partition partition() const override {
    return batched() && !spec_.backward ? Partition::images : Partition::units;
  }
  std::vector<const Routine*> routines() const override { return {&routine_}; }

  void run(const Call& call) const override { spec_.backward ? scatter(call) : gather(call); }

 private:
  bool batched() const { return spec_.rows == ir::kBatch; }

  void gather(const Call& call) const {
    const std::int64_t each = batched() ? spec_.rows_per_image : 1;
    const std::int64_t first = call.begin * each;
    const GatherArgs args{static_cast<const float*>(call.buffers[0]),
                          static_cast<const std::int32_t*>(call.buffers[1]) + first,
                          static_cast<float*>(call.buffers[2]) + first * spec_.columns,
                          call.end * each - first};
    if (args.rows > 0) routine_(&args);
  }

  void scatter(const Call& call) const {
    const std::int64_t rows = batched() ? call.batch * spec_.rows_per_image : spec_.rows;
    for (std::int64_t block = call.begin; block < call.end; ++block) {
      const std::int64_t column = block * kLanes;
      const ScatterArgs args{static_cast<const float*>(call.buffers[0]) + column,
                             static_cast<const std::int32_t*>(call.buffers[1]),
                             static_cast<float*>(call.buffers[2]) + column,
                             rows,
                             spec_.entries,
                             std::min(kLanes, spec_.columns - column)};
      routine_(&args);
    }
  }

  ir::GatherSpec spec_;
  Routine routine_;
};

}  // namespace

std::shared_ptr<const Kernel> compile_gather(const ir::GatherSpec& spec, const ir::Isa& isa) {
  return std::make_shared<GatherKernel>(spec, isa);
}

}  // namespace taper::codegen
