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
#include <limits>
#include <vector>

#include "codegen/element_epilogue.h"
#include "codegen/kernel.h"
#include "codegen/reduce_code.h"
#include "codegen/sizes.h"
#include "ir/attrs.h"
#include "ir/error.h"

namespace taper::codegen {
namespace {

constexpr std::int64_t kPiece = 512;

struct Loop {
  ir::Dim size = 1;
  std::int64_t source = 0, result = 0;
  bool reduced = false;
};

// The dims of `spec` without extents of one, neighbours merged where they are walked as one.
std::vector<Loop> merged_loops(const ir::ReduceSpec& spec) {
  std::vector<Loop> loops;
  for (std::size_t i = 0; i < spec.dims.size(); ++i) {
    if (spec.dims[i] == 1) continue;
    const bool reduced = spec.reduced[i];
    const Loop loop{spec.dims[i], spec.input.strides[i], reduced ? 0 : spec.result.strides[i],
                    reduced};
    if (!loops.empty() && loops.back().size != ir::kBatch && loops.back().reduced == reduced &&
        loops.back().source == loop.source * loop.size &&
        loops.back().result == loop.result * loop.size) {
      loops.back() = {loops.back().size * loop.size, loop.source, loop.result, reduced};
    } else {
      loops.push_back(loop);
    }
  }
  return loops;
}

class ReduceKernel final : public Kernel {
 public:
  ReduceKernel(const ir::ReduceSpec& spec, const ir::Isa& isa) : spec_(spec) {
    check_epilogue(spec.epilogue, "reduce", false);
    if (spec.input.dtype != ir::DType::f32 || spec.result.dtype != ir::DType::f32) {
      throw Error("reduce: only f32 is supported");
    }
    plan(merged_loops(spec));
    const std::int64_t stride = lanes_reduced_ ? kLanes : row_.source;
    accumulate_ = emit_reduce_accumulate(isa, spec.kind, stride, lanes_reduced_);
    finish_ = emit_reduce_finish(isa, spec);
  }

  std::int64_t units(std::int64_t batch) const override {
    if (images_) return batch;
    return per_image_;
  }
  Partition partition() const override { return images_ ? Partition::images : Partition::units; }
  std::vector<const Routine*> routines() const override { return {&accumulate_, &finish_}; }

  void run(const Call& call) const override {
    const std::int64_t each = images_ ? per_image_ : 1;
    for (std::int64_t i = call.begin * each; i < call.end * each; ++i) reduce_block(call, i);
  }

 private:
  // Gives every loop its role.
  void plan(std::vector<Loop> loops) {
    images_ = !loops.empty() && loops[0].size == ir::kBatch && !loops[0].reduced;
    for (std::size_t i = loops.size(); i-- > 0;) {
      const bool kept_lanes = !loops[i].reduced && loops[i].result == 1 && loops[i].size > 0;
      if (loops[i].source != 1 || !(loops[i].reduced || kept_lanes)) continue;
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
    blocks_ = lanes_reduced_ ? 1 : (lanes_.size + kLanes - 1) / kLanes;
    per_image_ = blocks_;
    for (const Loop& loop : kept_) per_image_ *= loop.size == ir::kBatch ? 1 : loop.size;
  }

  static std::int64_t extent(const Loop& loop, std::int64_t batch) {
    return loop.size == ir::kBatch ? batch : loop.size;
  }

  void reduce_block(const Call& call, std::int64_t index) const {
    const auto [kept, block] = divide(index, blocks_);
    const std::int64_t first_lane = block * kLanes;
    index = kept;
    std::int64_t source = 0, result = 0;
    for (std::size_t i = kept_.size(); i-- > 0;) {
      const auto [rest, at] = divide(index, extent(kept_[i], call.batch));
      source += at * kept_[i].source;
      result += at * kept_[i].result;
      index = rest;
    }
    if (!lanes_reduced_) {
      source += first_lane;
      result += first_lane;
    }
    alignas(64) std::array<float, kLanes> totals;
    totals.fill(spec_.kind == ir::ReduceKind::max ? kLowest : 0.0f);
    walk_outer(call, static_cast<const float*>(call.buffers[0]) + source, totals.data());
    if (lanes_reduced_) combine_lanes(totals);
    finish(call, totals.data(), result, lanes_reduced_ ? 1 : lanes_.size - first_lane);
  }

  void walk_outer(const Call& call, const float* source, float* totals) const {
    std::int64_t count = 1;
    for (const Loop& loop : outer_) count *= extent(loop, call.batch);
    const Loop& along = lanes_reduced_ ? lanes_ : row_;
    const std::int64_t size = extent(along, call.batch);
    for (std::int64_t i = 0; i < count; ++i) {
      std::int64_t index = i, offset = 0;
      for (std::size_t d = outer_.size(); d-- > 0;) {
        const auto [rest, at] = divide(index, extent(outer_[d], call.batch));
        offset += at * outer_[d].source;
        index = rest;
      }
      accumulate(source + offset, totals, size);
    }
  }

  void accumulate(const float* source, float* totals, std::int64_t size) const {
    const std::int64_t rows = lanes_reduced_ ? size / kLanes : size;
    const std::int64_t tail = lanes_reduced_ ? size % kLanes : 0;
    const std::int64_t stride = lanes_reduced_ ? kLanes : row_.source;
    std::int64_t first = 0;
    do {
      const std::int64_t piece = std::min(kPiece, rows - first);
      const bool last = first + piece == rows;
      const AccumulateArgs args{source + first * stride, totals, piece, last ? tail : 0};
      accumulate_(&args);
      first += piece;
    } while (first < rows);
  }

  void combine_lanes(std::array<float, kLanes>& v) const {
    for (std::size_t width = kLanes / 2; width > 0; width /= 2) {
      for (std::size_t i = 0; i < width; ++i) {
        const float a = v[i], b = v[i + width];
        if (spec_.kind == ir::ReduceKind::max) {
          v[i] = a != a || a > b ? a : b;
        } else {
          v[i] = a + b;
        }
      }
    }
  }

  void finish(const Call& call, const float* totals, std::int64_t result,
              std::int64_t lanes) const {
    std::int64_t count =
        extent(row_, call.batch) * (lanes_reduced_ ? extent(lanes_, call.batch) : 1);
    for (const Loop& loop : outer_) count *= extent(loop, call.batch);
    const std::size_t operands = spec_.epilogue.operands.size();
    FinishArgs args{totals,
                    static_cast<float*>(call.buffers[1 + operands]) + result,
                    std::min(lanes, kLanes),
                    static_cast<float>(count),
                    {}};
    set_operand_pointers(args.operands, spec_.epilogue, call.buffers + 1, result, 0);
    finish_(&args);
  }

  ir::ReduceSpec spec_;
  std::vector<Loop> kept_, outer_;  // outer_: reduced, but row_ or lanes_
  Loop row_, lanes_;                // an absent one has extent 1
  bool lanes_reduced_ = false, images_ = false;
  std::int64_t blocks_ = 1, per_image_ = 1;
  Routine accumulate_, finish_;
};

}  // namespace

std::shared_ptr<const Kernel> compile_reduce(const ir::ReduceSpec& spec, const ir::Isa& isa) {
  return std::make_shared<ReduceKernel>(spec, isa);
}

}  // namespace taper::codegen
