// The product of one row with a matrix that lies transposed: a dot product for each column. Lane l
// of 16 sums the steps l, l + 16, ... up in one FMA chain; then lane i with i + 8, + 4, + 2, + 1.
#include <algorithm>
#include <cstddef>
#include <limits>
#include <numeric>
#include <vector>

#include "codegen/element_epilogue.h"
#include "codegen/expr.h"
#include "codegen/kernel.h"
#include "codegen/routine_emitter.h"
#include "codegen/sizes.h"
#include "ir/error.h"

namespace taper::codegen {
namespace {

struct DotsArgs {
  std::intptr_t a = 0, b = 0, result = 0;
  OperandPointers operands;  // as far as there are any
};

class DotsEmitter : RoutineEmitter {
 public:
  DotsEmitter(const ir::GemmSpec& spec, const ir::Isa& isa)
      : RoutineEmitter(isa), spec_(spec), lanes_(isa.lanes) {}

  // Results of `columns` columns, at most 16.
  Routine emit(std::int64_t columns) {
    begin("dots");
    a_ = m_.gp();
    b_ = m_.gp();
    steps_ = m_.gp();
    for (std::int64_t first = 0; first < columns; first += lanes_) emit_vector(first, columns);
    return end();
  }

 private:
  // One vector of results. Columns past the last one are those of the last one again.
  void emit_vector(std::int64_t first, std::int64_t columns) {
    int group = lanes_;
    while (group * halves() + 2 + lanes_ - group > m_.free_vecs()) group /= 2;
    std::vector<Vec> sums;
    for (int at = 0; at < lanes_; at += group) {
      std::vector<std::int64_t> of(static_cast<std::size_t>(group));
      std::iota(of.begin(), of.end(), first + at);
      for (std::int64_t& column : of) column = std::min(column, columns - 1);
      for (const Vec sum : emit_chains(of)) sums.push_back(sum);
    }
    while (sums.size() > 1) sums = added_in_pairs(sums);
    const bool tail = first + lanes_ > columns;
    if (tail) m_.set_tail(static_cast<int>(columns - first));
    const Address operands{m_.args(), offsetof(DotsArgs, operands)};
    const int lane = static_cast<int>(first);
    emit_epilogue(m_, spec_.epilogue, sums[0], {.pointers = operands, .lane = lane, .tail = tail});
    const ir::DType dtype = spec_.epilogue.result;
    const std::int64_t at = first * static_cast<std::int64_t>(ir::byte_size(dtype));
    m_.load(b_, {m_.args(), offsetof(DotsArgs, result)});
    store_lanes(m_, {b_, at}, sums[0], dtype, tail);
    m_.release(sums[0]);
  }

  // For each column the sums of all steps, the 16 lanes folded to those of a vector.
  std::vector<Vec> emit_chains(const std::vector<std::int64_t>& columns) {
    std::vector<std::vector<Vec>> chains(static_cast<std::size_t>(halves()));
    for (auto& of_vector : chains) {
      for (std::size_t i = 0; i < columns.size(); ++i) {
        of_vector.push_back(m_.vec());
        m_.zero(of_vector.back());
      }
    }
    m_.load(a_, {m_.args(), offsetof(DotsArgs, a)});
    m_.load(b_, {m_.args(), offsetof(DotsArgs, b)});
    if (const std::int64_t whole = spec_.k / kLanes; whole > 0) {
      m_.move(steps_, whole);
      loop(steps_, [&] {
        emit_steps(chains, columns, kLanes);
        m_.add(a_, kPixel);
        m_.add(b_, spec_.b_block * kF32);
      });
    }
    emit_steps(chains, columns, spec_.k % kLanes);
    for (std::size_t width = chains.size() / 2; width > 0; width /= 2) {
      for (std::size_t v = 0; v < width; ++v) {
        for (std::size_t i = 0; i < columns.size(); ++i) {
          m_.add(chains[v][i], chains[v][i], chains[v + width][i]);
          m_.release(chains[v + width][i]);
        }
      }
    }
    return chains[0];
  }

  // The next `count` steps, at most one for each of the 16 lanes.
  void emit_steps(const std::vector<std::vector<Vec>>& chains,
                  const std::vector<std::int64_t>& columns, std::int64_t count) {
    const Vec a = m_.vec(), b = m_.vec();
    for (int v = 0; v < halves(); ++v) {
      const std::int64_t lane = std::int64_t{v} * lanes_;
      if (lane >= count) break;
      const bool tail = lane + lanes_ > count;
      if (tail) m_.set_tail(static_cast<int>(count - lane));
      load_lanes(m_, a, {a_, lane * kF32}, ir::DType::f32, tail);
      for (std::size_t i = 0; i < columns.size(); ++i) {
        const std::int64_t at = columns[i] * spec_.b_k + lane;
        load_lanes(m_, b, {b_, at * kF32}, ir::DType::f32, tail);
        m_.fma(chains[static_cast<std::size_t>(v)][i], a, b);
      }
    }
    m_.release(a);
    m_.release(b);
  }

  // Of each vector the upper half onto the lower one. Zipped with the vector half of all further
  // on: in the end lane i is that of vector i.
  std::vector<Vec> added_in_pairs(const std::vector<Vec>& from) {
    std::vector<Vec> to;
    for (std::size_t i = 0; i < from.size() / 2; ++i) {
      const Vec low = m_.vec(), high = m_.vec();
      m_.zip(low, high, from[i], from[i + from.size() / 2]);
      m_.add(low, low, high);
      for (const Vec v : {high, from[i], from[i + from.size() / 2]}) m_.release(v);
      to.push_back(low);
    }
    return to;
  }

  const ir::GemmSpec& spec_;
  const int lanes_;
  Gp a_, b_, steps_;
};

class DotsKernel final : public Kernel {
 public:
  DotsKernel(const ir::GemmSpec& spec, const ir::Isa& isa) : spec_(spec) {
    check_epilogue(spec.epilogue, "gemm", true);
    if (spec.m != 1) throw Error("gemm: dot products are of one row, in {}", ir::to_string(spec));
    // Displacements are 32 bits wide.
    if (kLanes * spec.b_k > std::numeric_limits<std::int32_t>::max() / kF32)
      throw Error("gemm: 16 rows of {} elements take more than 2 GB", spec.b_k);
    const std::int64_t last = spec.n - (blocks_of(spec.n) - 1) * kLanes;
    if (spec.n >= kLanes) routines_.push_back(DotsEmitter(spec, isa).emit(kLanes));
    if (last < kLanes) routines_.push_back(DotsEmitter(spec, isa).emit(last));
  }

  std::int64_t units(std::int64_t) const override { return blocks_of(spec_.n); }
  std::vector<const Routine*> routines() const override { return with_routines({routines_}); }

  void run(const Call& call) const override {
    const auto size = static_cast<std::int64_t>(ir::byte_size(spec_.epilogue.result));
    DotsArgs args;
    args.a = address(call.buffers[0]);
    for (std::int64_t block = call.begin; block < call.end; ++block) {
      const std::int64_t column = block * kLanes;
      args.b = address(call.buffers[1], column * spec_.b_k * kF32);
      args.result = address(call.buffers[2 + spec_.epilogue.operands.size()], column * size);
      set_operand_pointers(args.operands, spec_.epilogue, call.buffers + 2, column, column);
      (spec_.n - column < kLanes ? routines_.back() : routines_.front())(&args);
    }
  }

 private:
  ir::GemmSpec spec_;
  std::vector<Routine> routines_;  // of 16 columns, and of what is left
};

}  // namespace

std::shared_ptr<const Kernel> compile_gemm_dots(const ir::GemmSpec& spec, const ir::Isa& isa) {
  return std::make_shared<DotsKernel>(spec, isa);
}

}  // namespace taper::codegen
