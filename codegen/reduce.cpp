// Reductions of f32. The order of every sum, whatever the ISA and the cut into units:
//  - The walk is over rows of 16 lanes: 16 kept neighbours, or, when the contiguous dim is reduced,
//    its elements by steps of 16 (the rest of the last row is left out).
//  - Along the innermost reduced dim, pieces of kPiece rows: row r of a piece joins chain r % 4,
//    except for the last rows % 4 rows and the tail, which join chain 0; then (0+1)+(2+3).
//  - Pieces are added to the lanes' totals in order, outer reduced dims in order.
//  - Reduced lanes at last: lane i with i + 8, then + 4, + 2, + 1.
// The mean divides that sum by the count.
#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

#include "codegen/element_epilogue.h"
#include "codegen/kernel.h"
#include "codegen/maximum.h"
#include "codegen/reduce_code.h"
#include "codegen/sizes.h"
#include "ir/attrs.h"
#include "ir/error.h"

namespace taper::codegen {
namespace {

constexpr std::int64_t kPiece = 512;

struct Loop {
  ir::Dim size = 1;
  std::int64_t result = 0;
  bool reduced = false;
  std::vector<std::int64_t> sources = {};  // stride of each input
};

// The dims of `spec` without extents of one, neighbours merged where they are walked as one.
std::vector<Loop> merged_loops(const ir::ReduceSpec& spec) {
  std::vector<ir::Indices> streams{spec.result.strides};
  for (std::size_t i = 0; i < spec.dims.size(); ++i)
    if (spec.reduced[i]) streams[0][i] = 0;
  for (const ir::Stream& input : spec.inputs) streams.push_back(input.strides);
  const ir::Collapsed merged = ir::collapse(spec.dims, streams, [&](std::size_t i, std::size_t j) {
    return spec.reduced[i] == spec.reduced[j];
  });
  std::vector<Loop> loops;
  for (std::size_t i = 0; i < merged.dims.size(); ++i) {
    if (merged.dims[i] == 1) continue;
    Loop& loop = loops.emplace_back(
        Loop{merged.dims[i], merged.streams[0][i], spec.reduced[merged.keep[i]]});
    for (std::size_t s = 1; s < streams.size(); ++s) loop.sources.push_back(merged.streams[s][i]);
  }
  return loops;
}

// How many elements into each input.
using Offsets = std::array<std::int64_t, kMaxReduceInputs>;

void step(Offsets& offsets, const Loop& loop, std::int64_t steps) {
  for (std::size_t i = 0; i < loop.sources.size(); ++i) offsets[i] += steps * loop.sources[i];
}

void check_inputs(const ir::ReduceSpec& spec) {
  if (spec.inputs.empty() || spec.inputs.size() > kMaxReduceInputs)
    throw Error("reduce: a prologue of {} inputs, but at most {} are supported", spec.inputs.size(),
                kMaxReduceInputs);
  const bool fused = spec.prologue != ir::Expr{};
  const std::size_t terms = spec.prologue.outputs.size();
  if (terms > kMaxReduceTerms || (terms > 1 && !spec.epilogue.expr.empty()))
    throw Error("reduce: {} results, but at most {}, without an epilogue, are supported", terms,
                kMaxReduceTerms);
  if ((!fused && (spec.inputs.size() != 1 || spec.inputs[0].dtype != ir::DType::f32)) ||
      spec.result.dtype != ir::DType::f32)
    throw Error("reduce: only f32 is supported");
  for (const ir::Stream& input : spec.inputs) {
    if (input.strides == spec.inputs[0].strides) continue;
    for (std::size_t i = 0; i < spec.dims.size(); ++i)
      if (spec.reduced[i] && spec.dims[i] != 1 && input.strides[i] != 0)
        throw Error("reduce: input with strides of its own along a reduced dim");
  }
}

class ReduceKernel final : public Kernel {
 public:
  ReduceKernel(const ir::ReduceSpec& spec, const ir::Isa& isa) : spec_(spec) {
    check_epilogue(spec.epilogue, "reduce", false);
    check_inputs(spec);
    plan(merged_loops(spec));
    accumulate_ = emit_reduce_accumulate(
        isa, {spec.kind, row_stride(), lanes_reduced_, sources(), spec.prologue});
    finish_ = emit_reduce_finish(isa, spec);
  }

  std::int64_t units(std::int64_t batch) const override { return images_ ? batch : per_image_; }
  Partition partition() const override { return images_ ? Partition::images : Partition::units; }
  std::int64_t planes() const override { return planes_; }
  std::vector<const Routine*> routines() const override { return {&accumulate_, &finish_}; }

  void run(const Call& call) const override {
    const std::int64_t each = images_ ? per_image_ / call.planes : 1;
    for (std::int64_t i = call.begin * each; i < call.end * each; ++i) reduce_block(call, i);
  }

 private:
  struct alignas(64) Lanes : std::array<float, kLanes> {};
  using Totals = std::array<Lanes, kMaxReduceTerms>;

  std::size_t terms() const { return std::max<std::size_t>(1, spec_.prologue.outputs.size()); }

  // Gives every loop its role.
  void plan(std::vector<Loop> loops) {
    images_ = !loops.empty() && loops[0].size == ir::kBatch && !loops[0].reduced;
    for (std::size_t i = loops.size(); i-- > 0;) {
      const bool kept_lanes = !loops[i].reduced && loops[i].result == 1 && loops[i].size > 0;
      if (loops[i].sources[0] != 1 || !(loops[i].reduced || kept_lanes)) continue;
      lanes_ = loops[i];
      lanes_reduced_ = lanes_.reduced;
      loops.erase(loops.begin() + static_cast<std::ptrdiff_t>(i));
      break;
    }
    for (const Loop& loop : loops) (loop.reduced ? outer_ : kept_).push_back(loop);
    if (!lanes_reduced_ && !outer_.empty()) {
      row_ = outer_.back();
      outer_.pop_back();
    }
    blocks_ = lanes_reduced_ ? 1 : blocks_of(lanes_.size);
    per_image_ = blocks_;
    for (const Loop& loop : kept_) per_image_ *= loop.size == ir::kBatch ? 1 : loop.size;
    std::vector<ir::Stream> streams = spec_.inputs;
    streams.push_back(spec_.result);
    if (images_ && in_planes(spec_.dims, streams) && !spec_.reduced[1] && kept_.size() > 1 &&
        kept_[1].size == spec_.dims[1])
      planes_ = spec_.dims[1];
  }

  // From one row of 16 lanes to the next.
  std::int64_t row_stride() const {
    if (lanes_reduced_) return kLanes;
    return row_.sources.empty() ? 0 : row_.sources[0];
  }

  std::vector<ReduceSource> sources() const {
    std::vector<ReduceSource> sources;
    for (std::size_t i = 0; i < spec_.inputs.size(); ++i) {
      const ir::Stream& input = spec_.inputs[i];
      const bool walked = input.strides == spec_.inputs[0].strides;
      const std::int64_t lane = lanes_.sources.empty() ? 0 : lanes_.sources[i];
      if (!walked && lane != 0 && lane != 1)
        throw Error("reduce: input with strides of its own along the lanes");
      sources.push_back({input.dtype, walked, !walked && lane == 0});
    }
    return sources;
  }

  static std::int64_t extent(const Loop& loop, std::int64_t batch) {
    return loop.size == ir::kBatch ? batch : loop.size;
  }

  // Takes the coordinate along `loop`, the innermost one, off the index.
  static std::int64_t walk(const Loop& loop, std::int64_t batch, std::int64_t& index,
                           Offsets& offsets) {
    const auto [rest, at] = divide(index, extent(loop, batch));
    step(offsets, loop, at);
    index = rest;
    return at;
  }

  void reduce_block(const Call& call, std::int64_t index) const {
    const auto [kept, block] = divide(index, blocks_);
    const std::int64_t first_lane = block * kLanes;
    index = kept;
    Offsets offsets{};
    std::int64_t result = 0;
    for (std::size_t i = kept_.size(); i-- > 0;)
      result += walk(kept_[i], call.batch, index, offsets) * kept_[i].result;
    if (!lanes_reduced_) {
      step(offsets, lanes_, first_lane);
      result += first_lane;
    }
    Totals totals;
    for (auto& of_term : totals) of_term.fill(spec_.kind == ir::ReduceKind::max ? kLowest : 0.0f);
    walk_outer(call, offsets, totals);
    for (std::size_t term = 0; term < terms(); ++term) {
      if (lanes_reduced_) combine_lanes(totals[term]);
      finish(call, term, totals[term].data(), result,
             lanes_reduced_ ? 1 : lanes_.size - first_lane);
    }
  }

  void walk_outer(const Call& call, const Offsets& first, Totals& totals) const {
    std::int64_t count = 1;
    for (const Loop& loop : outer_) count *= extent(loop, call.batch);
    const Loop& along = lanes_reduced_ ? lanes_ : row_;
    const std::int64_t size = extent(along, call.batch);
    for (std::int64_t i = 0; i < count; ++i) {
      std::int64_t index = i;
      Offsets offsets = first;
      for (std::size_t d = outer_.size(); d-- > 0;) walk(outer_[d], call.batch, index, offsets);
      accumulate(call, offsets, totals, size);
    }
  }

  void accumulate(const Call& call, const Offsets& offsets, Totals& totals,
                  std::int64_t size) const {
    const std::int64_t rows = lanes_reduced_ ? size / kLanes : size;
    const std::int64_t tail = lanes_reduced_ ? size % kLanes : 0;
    AccumulateArgs args{};
    std::int64_t first = 0;
    do {
      args.rows = std::min(kPiece, rows - first);
      args.tail = first + args.rows == rows ? tail : 0;
      for (std::size_t i = 0; i < spec_.inputs.size(); ++i)
        args.sources[i] = source(call, i, offsets[i], first * row_stride());
      args.totals = totals.front().data();
      accumulate_(&args);
      first += args.rows;
    } while (first < rows);
  }

  const void* source(const Call& call, std::size_t i, std::int64_t offset,
                     std::int64_t along) const {
    const ir::Stream& input = spec_.inputs[i];
    const auto size = static_cast<std::int64_t>(ir::byte_size(input.dtype));
    if (input.strides == spec_.inputs[0].strides) offset += along;
    return static_cast<const std::byte*>(call.buffers[i]) + offset * size;
  }

  void combine_lanes(std::array<float, kLanes>& v) const {
    for (std::size_t width = kLanes / 2; width > 0; width /= 2) {
      for (std::size_t i = 0; i < width; ++i) {
        const float a = v[i], b = v[i + width];
        if (spec_.kind == ir::ReduceKind::max)
          v[i] = a != a || a > b ? a : b;
        else
          v[i] = a + b;
      }
    }
  }

  void finish(const Call& call, std::size_t term, const float* totals, std::int64_t result,
              std::int64_t lanes) const {
    std::int64_t count =
        extent(row_, call.batch) * (lanes_reduced_ ? extent(lanes_, call.batch) : 1);
    for (const Loop& loop : outer_) count *= extent(loop, call.batch);
    const std::size_t own = spec_.inputs.size();
    const std::size_t operands = spec_.epilogue.operands.size();
    FinishArgs args{totals,
                    static_cast<float*>(call.buffers[own + operands + term]) + result,
                    std::min(lanes, kLanes),
                    static_cast<float>(count),
                    {}};
    set_operand_pointers(args.operands, spec_.epilogue, call.buffers + own, result, 0);
    finish_(&args);
  }

  ir::ReduceSpec spec_;
  std::vector<Loop> kept_, outer_;  // outer_: reduced, but row_ or lanes_
  Loop row_, lanes_;                // an absent one has extent 1
  bool lanes_reduced_ = false, images_ = false;
  std::int64_t blocks_ = 1, per_image_ = 1, planes_ = 1;
  Routine accumulate_, finish_;
};

}  // namespace

std::shared_ptr<const Kernel> compile_reduce(const ir::ReduceSpec& spec, const ir::Isa& isa) {
  return std::make_shared<ReduceKernel>(spec, isa);
}

}  // namespace taper::codegen
