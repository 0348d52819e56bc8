#include "codegen/copy_part.h"

#include <array>
#include <cstring>
#include <functional>

#include "codegen/copy_transpose.h"
#include "codegen/routine_emitter.h"
#include "codegen/sizes.h"
#include "ir/error.h"

namespace taper::codegen {
namespace {

// Contiguous runs of this many bytes are left to memcpy, which is as fast as code can be there.
constexpr std::int64_t kBlockCopy = 1024;
constexpr int kUnroll = 16;
constexpr std::size_t kMaxLoops = 16;
constexpr std::int64_t kLeastTransposed = 4;  // rows and columns that are worth a tile of registers

struct TileArgs {
  const void* source;
  void* result;
  std::int64_t rows;
};

class CopyEmitter : RoutineEmitter {
 public:
  CopyEmitter(CopyLoop inner, CopyLoop rows, const ir::Isa& isa)
      : RoutineEmitter(isa), inner_(inner), rows_(rows) {}

  Routine emit() {
    begin("copy_tile");
    source_ = argument(offsetof(TileArgs, source));
    result_ = argument(offsetof(TileArgs, result));
    const Gp rows = argument(offsetof(TileArgs, rows));
    for (Vec& v : data_) v = m_.vec();
    const int tail = static_cast<int>(inner_.size % m_.isa().lanes);
    if (by_vectors() && tail != 0) m_.set_tail(tail);
    loop(rows, [&] {
      emit_row(tail);
      m_.add(source_, rows_.source * kSize);
      m_.add(result_, rows_.result * kSize);
    });
    return end();
  }

 private:
  static constexpr std::int64_t kSize = 4;

  bool repeats() const { return inner_.source == 0; }
  bool by_vectors() const { return inner_.result == 1 && (inner_.source == 1 || repeats()); }

  void emit_row(int tail) {
    if (!by_vectors()) {
      repeat(inner_.size, inner_.source * kSize, inner_.result * kSize, 0,
             [&](Vec v, Address from, Address to) {
               m_.load_scalar(v, from);
               m_.store_scalar(to, v);
             });
      return;
    }
    if (repeats()) m_.broadcast(data_[0], {source_, 0});
    const std::int64_t lanes = m_.isa().lanes;
    repeat(inner_.size / lanes, inner_.source * lanes * kSize, lanes * kSize, tail,
           [&](Vec v, Address from, Address to) {
             if (repeats()) {
               m_.store(to, data_[0]);
             } else {
               m_.load(v, from);
               m_.store(to, v);
             }
           });
  }

  // Emits `count` steps, a loop when there are many, then the tail; the pointers come back.
  void repeat(std::int64_t count, std::int64_t source_step, std::int64_t result_step, int tail,
              const std::function<void(Vec, Address, Address)>& step) {
    const auto unrolled = [&](std::int64_t steps) {
      for (std::int64_t i = 0; i < steps; ++i)
        step(data_[static_cast<std::size_t>(i) % data_.size()], {source_, i * source_step},
             {result_, i * result_step});
    };
    const std::int64_t looped = count < 2 * kUnroll ? 0 : count / kUnroll * kUnroll;
    if (looped != 0) {
      const auto turn = [&] {
        unrolled(kUnroll);
        m_.add(source_, kUnroll * source_step);
        m_.add(result_, kUnroll * result_step);
      };
      loop(looped / kUnroll, turn);
    }
    const std::int64_t rest = count - looped;
    unrolled(rest);
    if (tail != 0) {
      if (!repeats()) m_.load_tail(data_[0], {source_, rest * source_step});
      m_.store_tail({result_, rest * result_step}, data_[0]);
    }
    if (looped != 0) {
      m_.add(source_, -looped * source_step);
      m_.add(result_, -looped * result_step);
    }
  }

  CopyLoop inner_, rows_;
  Gp source_, result_;
  std::array<Vec, 4> data_;
};

std::vector<CopyLoop> merged_loops(const ir::CopyPart& part) {
  const ir::Collapsed merged = ir::collapse(part.dims, {part.source, part.result});
  std::vector<CopyLoop> loops;
  for (std::size_t i = 0; i < merged.dims.size(); ++i)
    loops.push_back({merged.dims[i], merged.streams[0][i], merged.streams[1][i]});
  // One long run is cut so that it can be shared among threads.
  constexpr std::int64_t kRun = 1024;
  if (loops.size() == 1 && loops[0].size > kRun && loops[0].size % kRun == 0) {
    const CopyLoop run = loops[0];
    loops = {{run.size / kRun, run.source * kRun, run.result * kRun},
             {kRun, run.source, run.result}};
  }
  return loops;
}

// Elements of one or two bytes that are not neighbours: moving them is bound by the scalar loads
// and stores, which the compiler emits as well as Masm would.
template <class Element>
void copy_scalars(const std::byte* source, std::byte* result, std::int64_t rows, CopyLoop row,
                  CopyLoop inner) {
  const auto* from = reinterpret_cast<const Element*>(source);
  auto* to = reinterpret_cast<Element*>(result);
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t i = 0; i < inner.size; ++i)
      to[r * row.result + i * inner.result] = from[r * row.source + i * inner.source];
}

}  // namespace

CopyPartKernel::CopyPartKernel(const ir::CopyPart& part, ir::DType dtype, const ir::Isa& isa)
    : size_(ir::byte_size(dtype)),
      source_offset_(part.source_offset),
      result_offset_(part.result_offset),
      loops_(merged_loops(part)) {
  choose_tile();
  const bool run = inner_.source == 1 && inner_.result == 1;
  const std::int64_t bytes = inner_.size * static_cast<std::int64_t>(size_);
  if (run && (bytes >= kBlockCopy || size_ != 4)) {
    method_ = Method::block;
  } else if (transposes()) {
    method_ = Method::transpose;
    const bool by_source = inner_.source == 1;  // the inner dim walks along the source's rows
    const CopyLoop& row = by_source ? rows_ : inner_;
    const CopyLoop& column = by_source ? inner_ : rows_;
    routine_ = emit_transpose({row.size, column.size, row.source, column.result}, isa);
  } else if (size_ == 4) {
    method_ = Method::generated;
    routine_ = CopyEmitter(inner_, rows_, isa).emit();
  }
  for (std::size_t d = 0; d < loops_.size(); ++d)
    if (d != inner_at_ && d != rows_at_) walked_.push_back(d);
  if (walked_.size() > kMaxLoops) throw Error("copy: more than 16 loops are not supported");
}

// The inner dim is one with neighbours on both sides; else, of the two dims with neighbours on one
// side, the shorter is the inner one and the longer the rows: each cache line of either side is
// then used up while it is near.
void CopyPartKernel::choose_tile() {
  const std::size_t none = loops_.size();
  inner_at_ = rows_at_ = none;
  const auto find = [&](auto&& wanted) {
    for (std::size_t i = loops_.size(); i-- > 0;) {
      // The outermost loop is cut into steps, the inner dim is not.
      const bool may_be_inner = i > 0 || (loops_.size() == 1 && loops_[0].size != ir::kBatch);
      if (may_be_inner && wanted(loops_[i])) return i;
    }
    return none;
  };
  inner_at_ = find([](const CopyLoop& l) { return l.source == 1 && l.result == 1; });
  if (inner_at_ == none)
    inner_at_ = find([](const CopyLoop& l) { return l.source == 0 && l.result == 1; });
  if (inner_at_ == none) {
    const std::size_t a = find([](const CopyLoop& l) { return l.result == 1; });
    const std::size_t b = find([](const CopyLoop& l) { return l.source == 1; });
    inner_at_ = a != none && (b == none || loops_[a].size <= loops_[b].size) ? a : b;
    if (a != none && b != none) rows_at_ = inner_at_ == a ? b : a;
  }
  if (inner_at_ == none) inner_at_ = find([](const CopyLoop&) { return true; });
  if (rows_at_ == none) {
    for (std::size_t i = 0; i < loops_.size(); ++i)
      if (i != inner_at_) rows_at_ = i;
  }
  if (inner_at_ != none) inner_ = loops_[inner_at_];
  if (rows_at_ != none) rows_ = loops_[rows_at_];
}

// Whether the tile has neighbours on one side along each dim. Its size must be fixed: where its
// rows are the loop that is cut into steps, they become blocks of rows.
bool CopyPartKernel::transposes() {
  const bool across =
      (inner_.source == 1 && rows_.result == 1) || (inner_.result == 1 && rows_.source == 1);
  if (size_ != 4 || !across || rows_.size == ir::kBatch || inner_.size < kLeastTransposed ||
      rows_.size < kLeastTransposed)
    return false;
  if (rows_at_ > 0) return true;
  if (rows_.size % ir::kBlock != 0) return false;
  loops_[0] = {rows_.size / ir::kBlock, rows_.source * ir::kBlock, rows_.result * ir::kBlock};
  rows_.size = ir::kBlock;
  loops_.insert(loops_.begin() + 1, rows_);
  rows_at_ = 1;
  ++inner_at_;
  return true;
}

std::int64_t CopyPartKernel::steps(std::int64_t batch) const {
  if (loops_.empty() || inner_at_ == 0) return 1;
  return loops_[0].size == ir::kBatch ? batch : loops_[0].size;
}

void CopyPartKernel::copy_tile(const std::byte* source, std::byte* result,
                               std::int64_t rows) const {
  const auto size = static_cast<std::int64_t>(size_);
  switch (method_) {
    case Method::block:
      for (std::int64_t r = 0; r < rows; ++r) {
        std::memcpy(result + r * rows_.result * size, source + r * rows_.source * size,
                    static_cast<std::size_t>(inner_.size) * size_);
      }
      break;
    case Method::transpose: {
      const TransposeArgs args{source, result};
      (*routine_)(&args);
      break;
    }
    case Method::generated: {
      const TileArgs args{source, result, rows};
      (*routine_)(&args);
      break;
    }
    case Method::scalar: {
      const auto copy = size_ == 1 ? copy_scalars<std::uint8_t> : copy_scalars<std::uint16_t>;
      copy(source, result, rows, rows_, inner_);
      break;
    }
  }
}

void CopyPartKernel::run(const std::byte* source, std::byte* result, std::int64_t first,
                         std::int64_t last, std::int64_t batch) const {
  if (first >= last) return;
  const bool cut = !loops_.empty() && inner_at_ != 0;
  const auto extent = [&](std::size_t i) {
    if (i == 0 && cut) return last - first;
    return loops_[i].size == ir::kBatch ? batch : loops_[i].size;
  };
  std::int64_t from = source_offset_, to = result_offset_;
  if (cut) {
    from += first * loops_[0].source;
    to += first * loops_[0].result;
  }
  std::int64_t tiles = 1;
  for (const std::size_t d : walked_) tiles *= extent(d);
  const std::int64_t rows = rows_at_ < loops_.size() ? extent(rows_at_) : 1;
  const auto size = static_cast<std::int64_t>(size_);
  std::array<std::int64_t, kMaxLoops> at{};
  for (std::int64_t tile = 0; tile < tiles; ++tile) {
    copy_tile(source + from * size, result + to * size, rows);
    for (std::size_t i = walked_.size(); i-- > 0;) {
      const CopyLoop& loop = loops_[walked_[i]];
      from += loop.source;
      to += loop.result;
      if (++at[i] < extent(walked_[i])) break;
      from -= at[i] * loop.source;
      to -= at[i] * loop.result;
      at[i] = 0;
    }
  }
}

}  // namespace taper::codegen
