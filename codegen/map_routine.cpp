#include "codegen/map_routine.h"

#include <algorithm>
#include <cstddef>

#include "codegen/expr.h"
#include "codegen/routine_emitter.h"
#include "codegen/sizes.h"
#include "ir/ahead.h"
#include "ir/error.h"

namespace taper::codegen {
namespace {

using ir::DType;

class MapEmitter : RoutineEmitter {
 public:
  MapEmitter(const ir::Expr& expr, const std::vector<MapAccess>& streams, const ir::Isa& isa)
      : RoutineEmitter(isa),
        expr_(expr),
        streams_(streams),
        inputs_(static_cast<std::size_t>(expr.inputs)),
        pointers_(streams.size()) {
    for (std::size_t i = 0; i < inputs_; ++i) types_.push_back(streams[i].dtype);
    for (const ir::ExprInstr& instr : expr.instrs) random_ |= instr.op == ir::Op::random;
  }

  Routine emit(const std::string& name) {
    begin(name);
    count_ = m_.gp();
    temp_ = m_.gp();
    keep_pointers();
    keep_values();
    const Label row = m_.label();
    m_.bind(row);
    emit_row();
    next_row(row);
    return end();
  }

 private:
  // Element `i` of the array at `offset`, or what is there.
  Address arg(std::int64_t offset, std::size_t i = 0) const {
    return Address{m_.args(), offset} + static_cast<std::int64_t>(i * sizeof(std::int64_t));
  }
  Address row_pointer(std::size_t i) const { return arg(offsetof(MapCall, pointers), i); }
  Address current(std::size_t i) const { return arg(offsetof(MapCall, current), i); }
  bool in_register(std::size_t i) const { return !(pointers_[i] == Gp{}); }
  bool has_blocks() const { return std::ranges::any_of(streams_, &MapAccess::block); }
  static std::size_t index(int i) { return static_cast<std::size_t>(i); }
  bool moves(std::size_t i) const { return streams_[i].stride != 0 && !streams_[i].block; }
  std::int64_t bytes_per_element(std::size_t i) const {
    return static_cast<std::int64_t>(ir::byte_size(streams_[i].dtype)) * streams_[i].stride;
  }

  // Moving pointers live in registers as far as those go, the others in the call.
  void keep_pointers() {
    std::size_t left = kPointerRegisters;
    for (std::size_t i = 0; i < streams_.size() && left > 0; ++i) {
      if (!moves(i)) continue;
      pointers_[i] = m_.gp();
      --left;
    }
  }

  // Inputs that a row repeats, then constants, as far as registers go: loading them again for each
  // vector would leave the processor fewer vectors to look ahead to.
  void keep_values() {
    const int vectors = has_blocks() ? m_.isa().vectors_per_block() : 1;
    int left = m_.free_vecs() - max_registers(expr_) - (random_ ? 2 : 0);
    kept_.assign(index(vectors), std::vector<Vec>(inputs_ + expr_.instrs.size()));
    for (std::size_t i = 0; i < inputs_; ++i) {
      const int needed = streams_[i].block ? vectors : 1;
      if (moves(i) || left < needed) continue;
      left -= needed;
      for (int v = 0; v < vectors; ++v) kept_[index(v)][i] = v < needed ? m_.vec() : kept_[0][i];
    }
    for (std::size_t i = 0; i < expr_.instrs.size(); ++i) {
      if (expr_.instrs[i].op != ir::Op::constant || left-- <= 0) continue;
      const Vec constant = m_.vec();
      for (std::vector<Vec>& kept : kept_) kept[inputs_ + i] = constant;
      emit_constant(m_, constant, expr_.instrs[i]);
    }
  }

  void emit_row() {
    m_.load(count_, arg(offsetof(MapCall, n)));
    for (std::size_t i = 0; i < streams_.size(); ++i) {
      const Gp p = in_register(i) ? pointers_[i] : temp_;
      m_.load(p, row_pointer(i));
      if (!in_register(i)) m_.store(current(i), p);
    }
    for (std::size_t i = 0; i < inputs_; ++i)
      for (std::size_t v = 0; v < (streams_[i].block ? kept_.size() : 1); ++v)
        if (const Vec kept = kept_[v][i]; !(kept == Vec{}))
          load_input(kept, i, static_cast<int>(v) * m_.isa().lanes, false);
    const int least = has_blocks() ? kLanes : m_.isa().lanes;
    const int most = std::max(least, unroll_factor() * m_.isa().lanes);
    if (most > least) emit_loop(most);
    emit_loop(least);
    if (has_blocks()) return;
    const Label done = m_.label();
    m_.jump_if(Condition::less_equal, count_, 0, done);
    m_.set_tail(count_);
    emit_vector(0, true);
    advance_index(count_);
    m_.bind(done);
  }

  // Whole groups of `elements` while there are as many.
  void emit_loop(int elements) {
    const int lanes = m_.isa().lanes;
    const Label top = m_.label(), done = m_.label();
    m_.jump_if(Condition::less, count_, elements, done);
    m_.bind(top);
    for (int first = 0; first < elements; first += lanes) emit_vector(first, false);
    advance(elements);
    m_.add(count_, -elements);
    m_.jump_if(Condition::greater_equal, count_, elements, top);
    m_.bind(done);
  }

  int unroll_factor() const {
    const std::size_t instrs = expr_.instrs.size();
    return instrs <= 4 ? 4 : instrs <= 12 ? 2 : 1;
  }

  void emit_vector(int first, bool tail) {
    const auto load = [&](Vec d, int i) {
      load_input(d, static_cast<std::size_t>(i), first, tail);
    };
    const Vec element = random_ ? load_index(first) : Vec{};
    const std::vector<Vec>& kept = kept_[index(first / m_.isa().lanes) % kept_.size()];
    const std::vector<Vec> outputs = emit_expr(m_, expr_, kept, load, element, types_);
    for (std::size_t o = 0; o < outputs.size(); ++o) {
      const std::size_t i = inputs_ + o;
      store_lanes(m_, address(i, first), outputs[o], streams_[i].dtype, tail);
      if (std::ranges::find(kept, outputs[o]) == kept.end()) m_.release(outputs[o]);
    }
    if (random_) m_.release(element);
  }

  Vec load_index(int first) {
    const Vec index = m_.vec(), lane = m_.vec();
    m_.broadcast(index, arg(offsetof(MapCall, index)));
    m_.iota(lane);
    m_.add_i32(index, index, lane);
    m_.constant_i32(lane, static_cast<std::uint32_t>(first));
    m_.add_i32(index, index, lane);
    m_.release(lane);
    return index;
  }

  // Valid until the temporary is used again.
  Address address(std::size_t i, int first) {
    const std::int64_t offset = (streams_[i].block ? first % kLanes : first) * bytes_per_element(i);
    if (in_register(i)) return {pointers_[i], offset};
    m_.load(temp_, current(i));
    return {temp_, offset};
  }

  void load_input(Vec d, std::size_t i, int first, bool tail) {
    const DType dtype = streams_[i].dtype;
    const Address a = address(i, first);
    if (streams_[i].stride == 1) {
      if (!tail && moves(i) && first * bytes_per_element(i) % ir::kCacheLine == 0)
        m_.prefetch(a + kBytesAhead, Prefetch::second_level);
      load_lanes(m_, d, a, dtype, tail);
    } else if (streams_[i].stride != 0) {
      gather(d, a, i, tail);
    } else if (dtype == DType::f32) {
      m_.broadcast(d, a);
    } else {
      load_lanes(m_, d, a, dtype, false);
      m_.broadcast(d, d);
    }
  }

  // Lane by lane through the frame. Each load reads a vector of which lane 0 counts; it stays
  // within the readable bytes past the buffer.
  void gather(Vec d, Address a, std::size_t i, bool tail) {
    const Label done = m_.label();
    for (int lane = 0; lane < m_.isa().lanes; ++lane) {
      if (tail) m_.jump_if(Condition::less_equal, count_, lane, done);
      load_lanes(m_, d, a + lane * bytes_per_element(i), streams_[i].dtype, false);
      m_.store_scalar(m_.stack(4 * lane), d);
    }
    m_.bind(done);
    m_.load(d, m_.stack(0));
  }

  void advance(int elements) {
    for (std::size_t i = 0; i < streams_.size(); ++i) {
      if (!moves(i)) continue;
      const Gp p = in_register(i) ? pointers_[i] : temp_;
      if (!in_register(i)) m_.load(p, current(i));
      m_.add(p, elements * bytes_per_element(i));
      if (!in_register(i)) m_.store(current(i), p);
    }
    if (!random_) return;
    m_.move(temp_, elements);
    advance_index(temp_);
  }

  // Clobbers `count`.
  void advance_index(Gp count) {
    if (!random_) return;
    const Gp index = m_.gp();
    m_.load(index, arg(offsetof(MapCall, index)));
    m_.add(index, count);
    m_.store(arg(offsetof(MapCall, index)), index);
    m_.release(index);
  }

  void next_row(Label row) {
    const Label done = m_.label();
    m_.load(count_, arg(offsetof(MapCall, rows)));
    m_.add(count_, -1);
    m_.store(arg(offsetof(MapCall, rows)), count_);
    m_.jump_if(Condition::less_equal, count_, 0, done);
    for (std::size_t i = 0; i < streams_.size(); ++i) {
      m_.load(temp_, row_pointer(i));
      m_.load(count_, arg(offsetof(MapCall, row_bytes), i));
      m_.add(temp_, count_);
      m_.store(row_pointer(i), temp_);
    }
    m_.jump(row);
    m_.bind(done);
  }

  static constexpr std::size_t kPointerRegisters = 7;
  static constexpr std::int64_t kBytesAhead = 2048;  // as far as memory takes to answer

  const ir::Expr& expr_;
  const std::vector<MapAccess>& streams_;
  const std::size_t inputs_;
  std::vector<DType> types_;  // of the inputs
  bool random_ = false;
  std::vector<Gp> pointers_;
  // By vector of a block, where there are blocks, and value of the expression.
  std::vector<std::vector<Vec>> kept_;
  Gp count_, temp_;
};

}  // namespace

Routine make_map_routine(const ir::Expr& expr, const std::vector<MapAccess>& streams,
                         const ir::Isa& isa, const std::string& name) {
  if (streams.size() > kMaxMapStreams)
    throw Error("map: {} tensors, but at most {} are supported", streams.size(), kMaxMapStreams);
  return MapEmitter(expr, streams, isa).emit(name);
}

}  // namespace taper::codegen
