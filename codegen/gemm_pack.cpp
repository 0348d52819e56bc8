#include "codegen/gemm_pack.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "codegen/routine_emitter.h"
#include "codegen/sizes.h"

namespace taper::codegen {
namespace {

using ir::kBatch;
using ir::kBlock;
// The rows of a tile do not fit the few sets of a cache that rows this far apart share.
constexpr std::int64_t kConflict = 1024 / kF32;
// A copy has to pay for itself: fewest rows for b, fewest columns for a, whose rows or whose pieces
// are copied. Steps of b that are no further apart than this are found fast enough as they are.
constexpr std::int64_t kFewestRows = 64, kFewestColumns = 96, kFewestColumnsOfPieces = 256;
constexpr std::int64_t kNearSteps = 128;
constexpr std::int64_t kLine = 16;
constexpr int kUnrolledCopies = 4;

struct StripArgs {
  const float* from;
  float* to;
  std::int64_t rounds, rest;  // of kUnrolledCopies steps, of one
};

class StripEmitter : RoutineEmitter {
 public:
  explicit StripEmitter(const ir::Isa& isa) : RoutineEmitter(isa) {}

  Routine emit(const StripShape& shape) {
    begin("pack");
    from_ = argument(offsetof(StripArgs, from));
    to_ = argument(offsetof(StripArgs, to));
    steps_ = m_.gp();
    v_ = m_.vec();
    emit_loop(shape, offsetof(StripArgs, rounds), kUnrolledCopies);
    emit_loop(shape, offsetof(StripArgs, rest), 1);
    return end();
  }

 private:
  void emit_loop(const StripShape& shape, std::int64_t field, int unrolled) {
    const Label top = m_.label(), done = m_.label();
    m_.load(steps_, {m_.args(), field});
    m_.jump_if(Condition::less_equal, steps_, 0, done);
    m_.bind(top);
    std::int64_t stored = 0;
    for (int step = 0; step < unrolled; ++step) {
      for (std::int64_t i = 0; i < shape.blocks * shape.width; i += m_.isa().lanes) {
        const std::int64_t at = step * shape.step + i / shape.width * shape.block + i % shape.width;
        m_.load(v_, {from_, at * kF32});
        m_.store({to_, stored}, v_);
        stored += m_.isa().lanes * kF32;
      }
    }
    m_.add(from_, unrolled * shape.step * kF32);
    m_.add(to_, stored);
    m_.loop(steps_, top);
    m_.bind(done);
  }

  Gp from_, to_, steps_;
  Vec v_;
};

}  // namespace

GemmPacking::GemmPacking(const ir::GemmSpec& spec) {
  rows = spec.a_k == 1 && spec.k != kBatch && spec.k > 0 && spec.a_m % kConflict == 0 &&
         spec.n >= kFewestColumns;
  const bool across = spec.m != kBatch && spec.a_m == 1 && spec.a_k >= kBlock;
  piece = across && (spec.n >= kFewestColumnsOfPieces || spec.a_k % kConflict == 0);
  b = spec.m >= kFewestRows && spec.b_k > kNearSteps;
}

std::int64_t packed_piece_pitch(std::int64_t rows) {
  return rows <= kLine / 2 ? kLine / 2 : kLine;
}

std::int64_t packed_row_pitch(const ir::GemmSpec& spec) {
  const std::int64_t padded = divide_up(spec.k, kLine) * kLine;
  return padded % kConflict == 0 ? padded + kLine : padded;
}

void pack_rows(const ir::GemmSpec& spec, const float* a, std::int64_t begin, std::int64_t end,
               float* to) {
  const std::int64_t pitch = packed_row_pitch(spec);
  for (std::int64_t row = begin; row < end; ++row) {
    std::memcpy(to + (row - begin) * pitch, a + row * spec.a_m,
                static_cast<std::size_t>(spec.k * kF32));
  }
}

std::int64_t packed_piece_elements(std::int64_t k, std::int64_t pitch) {
  return divide_up(k * pitch, kLine) * kLine + kLine;
}

StripCopy::StripCopy(const StripShape& shape, const ir::Isa& isa)
    : routine(StripEmitter(isa).emit(shape)) {}

void StripCopy::run(const float* from, float* to, std::int64_t steps) const {
  const StripArgs args{from, to, steps / kUnrolledCopies, steps % kUnrolledCopies};
  routine(&args);
}

// A few steps of all pieces at a time: neighbours share cache lines of a. Whole steps are copied:
// what follows the last piece is readable, and no row of the tile reads it.
void pack_pieces(const ir::GemmSpec& spec, const StripCopy& copy, const float* a,
                 const std::vector<Piece>& pieces, std::size_t begin, std::size_t end,
                 std::int64_t k, std::int64_t pitch, float* to) {
  constexpr auto kSteps = std::int64_t{4} * kUnrolledCopies;
  const std::int64_t elements = packed_piece_elements(k, pitch);
  for (std::int64_t step = 0; step < k; step += kSteps) {
    float* piece = to + step * pitch;
    for (std::size_t i = begin; i < end; ++i, piece += elements)
      copy.run(a + step * spec.a_k + pieces[i].first, piece, std::min(kSteps, k - step));
  }
}

}  // namespace taper::codegen
