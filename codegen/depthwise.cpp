#include <algorithm>
#include <cstddef>
#include <limits>

#include "codegen/batch_kernel.h"
#include "codegen/depthwise_walk.h"
#include "codegen/element_epilogue.h"
#include "codegen/expr.h"
#include "codegen/routine_emitter.h"
#include "codegen/sizes.h"
#include "ir/error.h"

namespace taper::codegen {
namespace {

// One plane: 16 channels of one image.
struct DepthwiseArgs {
  const void* source = nullptr;
  const void* weights = nullptr;
  void* result = nullptr;
  OperandPointers operands{};
  MomentPointers moments{};
};

// Emits one plane. Each result element is one FMA chain from zero over the taps (kh, then kw) that
// meet the source, then the epilogue.
class PlaneEmitter : RoutineEmitter {
 public:
  PlaneEmitter(const ir::ConvSpec& spec, const ir::Isa& isa)
      : RoutineEmitter(isa), spec_(spec), rows_(conv_rows(spec)), columns_(conv_columns(spec)) {}

  Routine emit() {
    begin("depthwise");
    if (rows_.results * columns_.results == 0) return end();
    source_ = argument(offsetof(DepthwiseArgs, source));
    weights_ = argument(offsetof(DepthwiseArgs, weights));
    result_ = argument(offsetof(DepthwiseArgs, result));
    for (Gp* r : {&element_, &row_, &pieces_left_}) *r = m_.gp();
    m_.move(element_, 0);
    pieces_ = depthwise_pieces(columns_, most_pixels());
    for (std::int64_t phase = 0; phase < std::min(rows_.period(), rows_.results); ++phase)
      emit_phase(phase);
    return end();
  }

 private:
  // Weights and a source vector take turns with the epilogue's registers beside the accumulators.
  std::int64_t most_pixels() const {
    const int weights = static_cast<int>(std::min<std::int64_t>(spec_.kw, 4));
    const int beside = std::max(weights + 1, epilogue_registers());
    const int most = std::min(m_.free_vecs() - beside, m_.isa().vector_registers / 2);
    if (most < 1) throw Error("depthwise: the epilogue of " + ir::to_string(spec_) + " is too big");
    return most;
  }
  int epilogue_registers() const {
    const ir::Epilogue& epilogue = spec_.epilogue;
    const int result = epilogue.expr.empty() ? 0 : max_registers(epilogue.expr) + 1;
    return std::max(result, max_registers(epilogue.moments)) +
           static_cast<int>(epilogue.moments.outputs.size());
  }

  // The rows phase, phase + period, ...: they share their taps.
  void emit_phase(std::int64_t phase) {
    const std::int64_t period = rows_.period(), step = rows_.source_step();
    const std::int64_t count = divide_up(rows_.results - phase, period);
    go_to(phase, 0, 0, 0);
    m_.move(row_, 0);
    const Label top = m_.label();
    m_.bind(top);
    emit_row(phase, count);
    go_to(phase + period, 0, step, 0);
    m_.add(row_, step);
    m_.jump_if(Condition::less, row_, count * step, top);
    at_.result_row = phase + count * period;
    at_.source_row = count * step;
  }

  void emit_row(std::int64_t phase, std::int64_t count) {
    for (const DepthwisePieces& pieces : pieces_) {
      go_to(at_.result_row, pieces.first, at_.source_row, pieces.source_first);
      const Label top = m_.label();
      if (pieces.count > 1) {
        m_.move(pieces_left_, pieces.count);
        m_.bind(top);
      }
      // All parts of a piece before the next one: lines that are streamed must soon be whole.
      for (part_ = 0; part_ < m_.isa().vectors_per_block(); ++part_)
        emit_piece(pieces, phase, count);
      if (pieces.count > 1) {
        go_to(at_.result_row, pieces.first + pieces.pixels, at_.source_row,
              pieces.source_first + pieces.source_step);
        m_.loop(pieces_left_, top);
        at_.result_column = pieces.first + pieces.count * pieces.pixels;
        at_.source_column = pieces.source_first + pieces.count * pieces.source_step;
      }
    }
  }

  void emit_piece(const DepthwisePieces& pieces, std::int64_t phase, std::int64_t count) {
    accumulators_.clear();
    for (std::int64_t p = 0; p < pieces.pixels; ++p) {
      accumulators_.push_back(m_.vec());
      m_.zero(accumulators_.back());
    }
    for (std::int64_t kh = 0; kh < spec_.kh; ++kh) {
      const std::optional<std::int64_t> source = rows_.source(phase, kh);
      if (!source) continue;
      const Label skip = m_.label();
      const std::int64_t last = *source + (count - 1) * rows_.source_step();
      if (last < 0 || *source >= rows_.sources) continue;
      if (*source < 0) m_.jump_if(Condition::less, row_, -*source, skip);
      if (last >= rows_.sources)
        m_.jump_if(Condition::greater_equal, row_, rows_.sources - *source, skip);
      emit_taps(pieces, kh, *source);
      m_.bind(skip);
    }
    finish_piece();
  }

  // As many taps at a time as there are registers for their weights; each source is loaded once.
  void emit_taps(const DepthwisePieces& pieces, std::int64_t kh, std::int64_t source_row) {
    const Vec value = m_.vec();
    const std::int64_t at_once = std::min<std::int64_t>(spec_.kw, m_.free_vecs());
    std::vector<Vec> weights;
    for (std::int64_t i = 0; i < at_once; ++i) weights.push_back(m_.vec());
    for (std::int64_t first = 0; first < spec_.kw; first += at_once) {
      const std::int64_t end = std::min(spec_.kw, first + at_once);
      for (std::int64_t k = first; k < end; ++k) {
        m_.load(weights[static_cast<std::size_t>(k - first)],
                {weights_, (kh * spec_.kw + k) * kPixel + lane_bytes()});
      }
      std::optional<std::int64_t> loaded;
      for (const DepthwiseUse& use : pieces.uses) {
        if (use.tap < first || use.tap >= end) continue;
        if (loaded != use.source) {
          m_.load(value, source_address(source_row, use.source));
          if (kh == spec_.kh - 1 && part_ == 0) ask_below(source_row, use.source);
        }
        loaded = use.source;
        m_.fma(accumulators_[static_cast<std::size_t>(use.pixel)], value,
               weights[static_cast<std::size_t>(use.tap - first)]);
      }
    }
    for (const Vec w : weights) m_.release(w);
    m_.release(value);
  }

  // What the next row of results reads first. Gradients were made just before: caches have them.
  void ask_below(std::int64_t row, std::int64_t column) {
    if (spec_.pass != ir::ConvPass::forward) return;
    for (std::int64_t below = 1; below <= rows_.source_step(); ++below)
      m_.prefetch(source_address(row + below, column), Prefetch::second_level);
  }

  Address source_address(std::int64_t row, std::int64_t column) const {
    return {source_, (row * columns_.sources + column) * kPixel + lane_bytes()};
  }
  std::int64_t lane_bytes() const { return std::int64_t{part_} * m_.isa().lanes * 4; }

  void finish_piece() {
    MomentSums sums(m_, spec_.epilogue, {m_.args(), offsetof(DepthwiseArgs, moments)},
                    part_ * m_.isa().lanes);
    for (std::size_t p = 0; p < accumulators_.size(); ++p) {
      const auto pixel = static_cast<std::int64_t>(p);
      const Vec result = accumulators_[p];
      const ElementPlace place{{m_.args(), offsetof(DepthwiseArgs, operands)},
                               element_,
                               pixel * ir::kBlock,
                               part_ * m_.isa().lanes};
      emit_epilogue(m_, spec_.epilogue, result, place);
      const Address where{result_, pixel * kPixel + lane_bytes()};
      spec_.epilogue.streamed ? m_.store_streamed(where, result) : m_.store(where, result);
      sums.add(result, [&](Vec d, int i) { load_moment_input(d, i, place); });
      m_.release(result);
    }
    sums.store();
  }

  void load_moment_input(Vec d, int i, const ElementPlace& place) {
    if (i > 1) return load_operand(m_, d, spec_.epilogue, static_cast<std::size_t>(i - 2), place);
    const Gp first = argument(offsetof(DepthwiseArgs, result));
    m_.load(d, {first, lane_bytes()});
    m_.release(first);
  }

  // Where source_, result_ and element_ stand.
  struct Position {
    std::int64_t result_row = 0, result_column = 0, source_row = 0, source_column = 0;
  };

  void go_to(std::int64_t result_row, std::int64_t result_column, std::int64_t source_row,
             std::int64_t source_column) {
    const std::int64_t results =
        (result_row - at_.result_row) * columns_.results + result_column - at_.result_column;
    const std::int64_t sources =
        (source_row - at_.source_row) * columns_.sources + source_column - at_.source_column;
    if (sources != 0) m_.add(source_, sources * kPixel);
    if (results != 0) {
      m_.add(result_, results * kPixel);
      m_.add(element_, results * ir::kBlock);
    }
    at_ = {result_row, result_column, source_row, source_column};
  }

  const ir::ConvSpec& spec_;
  ConvAxis rows_, columns_;
  std::vector<DepthwisePieces> pieces_;
  Gp source_, weights_, result_, element_;
  Gp row_;  // source rows passed since the first result row of the phase
  Gp pieces_left_;
  std::vector<Vec> accumulators_;
  int part_ = 0;  // which vector of the block
  Position at_;
};

class DepthwiseKernel final : public BatchKernel {
 public:
  DepthwiseKernel(const ir::ConvSpec& spec, const ir::Isa& isa)
      : BatchKernel(spec.images, blocks_of(spec.oc)), spec_(spec) {
    const ConvAxis rows = conv_rows(spec), columns = conv_columns(spec);
    result_ = rows.results * columns.results;
    source_ = rows.sources * columns.sources;
    moments_ = {spec.epilogue, 3 + spec.epilogue.operands.size(), spec.oc, result_};
    check_epilogue(spec.epilogue, "depthwise", true);
    constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max() / kPixel;
    if (result_ > most || source_ > most) {
      throw Error("depthwise: 16 channels of one image of " + ir::to_string(spec) +
                  " take more than 2 GB");
    }
    routine_ = PlaneEmitter(spec_, isa).emit();
  }

  std::int64_t planes() const override { return each(); }
  std::vector<const Routine*> routines() const override { return {&routine_}; }

  void run(const Call& call) const override {
    const std::int64_t blocks = blocks_of(spec_.oc), unit = each() / call.planes;
    const std::size_t operands = spec_.epilogue.operands.size();
    const auto* source = static_cast<const float*>(call.buffers[0]);
    const auto* weights = static_cast<const float*>(call.buffers[1]);
    auto* result = static_cast<float*>(call.buffers[2 + operands]);
    for (std::int64_t plane = call.begin * unit; plane < call.end * unit; ++plane) {
      const std::int64_t block = plane % blocks, element = plane * result_ * ir::kBlock;
      DepthwiseArgs args{source + plane * source_ * ir::kBlock,
                         weights + block * spec_.kh * spec_.kw * ir::kBlock,
                         result + element,
                         {},
                         {}};
      set_operand_pointers(args.operands, spec_.epilogue, call.buffers + 2, element,
                           block * ir::kBlock);
      const std::int64_t image = plane / blocks, channel = block * ir::kBlock;
      moments_.start(call.buffers, image, channel, ir::kBlock);
      moments_.set_pointers(args.moments, call.buffers, image, channel);
      routine_(&args);
      moments_.finish(call.buffers, image, channel, ir::kBlock);
    }
    if (spec_.epilogue.streamed) fence_streamed();
  }

 private:
  ir::ConvSpec spec_;
  std::int64_t result_ = 0, source_ = 0;  // pixels of a plane
  ImageMoments moments_;
  Routine routine_;
};

}  // namespace

std::shared_ptr<const Kernel> compile_depthwise(const ir::ConvSpec& spec, const ir::Isa& isa) {
  if (spec.groups != spec.ic || spec.groups != spec.oc || spec.input != ir::Layout::c16) {
    throw Error("depthwise: groups, input and output channels differ or the input is not c16 in " +
                ir::to_string(spec));
  }
  if (spec.pass == ir::ConvPass::backward_weights) return compile_conv_weights(spec, isa);
  return std::make_shared<DepthwiseKernel>(spec, isa);
}

}  // namespace taper::codegen
