#include "codegen/expr.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "codegen/math.h"
#include "ir/error.h"

namespace taper::codegen {
namespace {

using ir::DType;
using ir::Op;

// Where the frame keeps lanes that are rounded to a narrower type.
constexpr int kRoundingStack = 256;

// Which instruction reads a value last: -1 none, the number of instructions for outputs.
std::vector<int> last_uses(const ir::Expr& expr) {
  std::vector<int> last(static_cast<std::size_t>(expr.inputs) + expr.instrs.size(), -1);
  const auto use = [&](int value, int at) {
    if (value >= static_cast<int>(last.size()))
      throw Error("an expression uses value {} of {}", value, last.size());
    if (value >= 0) last[static_cast<std::size_t>(value)] = at;
  };
  for (std::size_t i = 0; i < expr.instrs.size(); ++i)
    for (const int arg : expr.instrs[i].args) use(arg, static_cast<int>(i));
  for (const int output : expr.outputs) use(output, static_cast<int>(expr.instrs.size()));
  return last;
}

// Constants that are not bound are made where they are used, which keeps no register.
bool is_constant(const ir::Expr& expr, int value) {
  return value >= expr.inputs &&
         expr.instrs[static_cast<std::size_t>(value - expr.inputs)].op == Op::constant;
}

// How a comparison op is emitted: a `predicate` b, or the other way round.
struct Comparison {
  Predicate predicate;
  bool swapped = false;
};
constexpr std::pair<Op, Comparison> kComparisons[] = {
    {Op::eq, {Predicate::eq}}, {Op::ne, {Predicate::ne}},       {Op::lt, {Predicate::lt}},
    {Op::le, {Predicate::le}}, {Op::gt, {Predicate::lt, true}}, {Op::ge, {Predicate::le, true}}};

std::optional<Comparison> comparison(Op op) {
  for (const auto& [name, how] : kComparisons)
    if (name == op) return how;
  return std::nullopt;
}

// A gradient's mask, select(compare(a, b), x, 0), is one step: the comparison with x as a third
// argument. The comparison itself, which nothing else may read, is left as an unused constant.
ir::Expr with_masks(ir::Expr expr) {
  const auto at = [&](int value) -> ir::ExprInstr* {
    return value < expr.inputs ? nullptr
                               : &expr.instrs[static_cast<std::size_t>(value - expr.inputs)];
  };
  const auto is_zero = [&](int value) {
    const ir::ExprInstr* instr = at(value);
    return instr != nullptr && instr->op == Op::constant && instr->value == 0 &&
           !std::signbit(instr->value);
  };
  const auto uses = [&](std::int16_t value) {
    std::ptrdiff_t count = std::ranges::count(expr.outputs, value);
    for (const ir::ExprInstr& instr : expr.instrs) count += std::ranges::count(instr.args, value);
    return count;
  };
  for (ir::ExprInstr& instr : expr.instrs) {
    if (instr.op != Op::select || !is_zero(instr.args[2])) continue;
    ir::ExprInstr* compare = at(instr.args[0]);
    if (compare == nullptr || !comparison(compare->op) || uses(instr.args[0]) > 1) continue;
    instr.op = compare->op;
    instr.args = {compare->args[0], compare->args[1], instr.args[1]};
    *compare = {};
  }
  return expr;
}

class ExprEmitter {
 public:
  ExprEmitter(Masm& m, const ir::Expr& expr, const std::vector<Vec>& bound, const LoadInput& load,
              Vec index, const std::vector<DType>& input_types)
      : m_(m),
        math_(m),
        expr_(with_masks(expr)),
        bound_(bound),
        load_(load),
        index_(index),
        input_types_(input_types),
        last_(last_uses(expr_)),
        registers_(last_.size()) {}

  std::vector<Vec> emit() {
    for (std::size_t i = 0; i < expr_.instrs.size(); ++i)
      if (expr_.instrs[i].op != Op::constant) emit_instr(static_cast<int>(i));
    std::vector<Vec> outputs;
    for (const int output : expr_.outputs) {
      Vec r = value(output);
      if (std::ranges::find(outputs, r) != outputs.end()) {
        const Vec copy = m_.vec();
        m_.move(copy, r);
        r = copy;
      }
      outputs.push_back(r);
    }
    return outputs;
  }

 private:
  const ir::ExprInstr& instr(int i) const { return expr_.instrs[static_cast<std::size_t>(i)]; }
  int inputs() const { return static_cast<int>(expr_.inputs); }

  DType type(int value) const {
    if (value >= inputs()) return instr(value - inputs()).dtype;
    const auto i = static_cast<std::size_t>(value);
    return i < input_types_.size() ? input_types_[i] : DType::f32;
  }

  bool is_bound(int value) const {
    const auto i = static_cast<std::size_t>(value);
    return i < bound_.size() && !(bound_[i] == Vec{});
  }

  // The register of a value; loads inputs and makes constants.
  Vec value(int id) {
    if (is_bound(id)) return bound_[static_cast<std::size_t>(id)];
    Vec& r = registers_[static_cast<std::size_t>(id)];
    if (!(r == Vec{})) return r;
    r = m_.vec();
    if (id < inputs())
      load_(r, id);
    else
      emit_constant(m_, r, instr(id - inputs()));
    return r;
  }

  void emit_instr(int i) {
    const ir::ExprInstr& what = instr(i);
    Vec args[3];
    for (std::size_t k = 0; k < 3; ++k)
      if (what.args[k] >= 0) args[k] = value(what.args[k]);
    const Vec d = m_.vec();
    emit_op(d, what, args);
    // What only leaves the expression is rounded when it is stored.
    const auto reads = [&](const ir::ExprInstr& other) {
      return std::ranges::count(other.args, inputs() + i) > 0;
    };
    const bool narrow = what.dtype != DType::f32 && what.dtype != DType::boolean;
    if (narrow && std::ranges::any_of(expr_.instrs, reads)) round_to(d, what.dtype);
    for (const int arg : what.args) {
      const bool last =
          arg >= 0 && (last_[static_cast<std::size_t>(arg)] == i || is_constant(expr_, arg));
      if (last && !is_bound(arg)) drop(arg);
    }
    registers_[static_cast<std::size_t>(inputs() + i)] = d;
    if (last_[static_cast<std::size_t>(inputs() + i)] < 0) drop(inputs() + i);
  }

  void drop(int value) {
    Vec& r = registers_[static_cast<std::size_t>(value)];
    if (r == Vec{}) return;  // the same argument twice
    m_.release(r);
    r = Vec{};
  }

  void emit_op(Vec d, const ir::ExprInstr& what, const Vec (&args)[3]) {
    Masm& m = m_;
    Math& math = math_;
    const auto [a, b, c] = args;
    if (const auto compare = comparison(what.op); compare && what.args[2] >= 0)
      return m.mask(d, compare->predicate, compare->swapped ? b : a, compare->swapped ? a : b, c);
    switch (what.op) {
#define TAPER_ELEMENTWISE(name, arity, result, eval, vjp, emit) \
  case Op::name:                                                \
    emit;                                                       \
    return;
#define TAPER_STRUCTURAL(name, arity, attrs) case Op::name:
#include "ir/ops.def"
      break;
    }
    if (what.op == Op::cast) {
      cast(d, a, type(what.args[0]), what.dtype);
    } else if (what.op == Op::random) {
      if (index_ == Vec{}) throw Error("this kernel cannot draw random numbers");
      math.random(d, index_, a, what.seed, what.stream);
    } else {
      throw Error("{} cannot be part of a fused expression", ir::traits(what.op).name);
    }
  }

  void cast(Vec d, Vec a, DType from, DType to) {
    if ((from == DType::boolean) == (to == DType::boolean)) {
      m_.move(d, a);
    } else if (from == DType::boolean) {
      m_.constant(d, 1.0f);
      m_.bit_and(d, d, a);
    } else {
      m_.zero(d);
      m_.compare(d, Predicate::ne, a, d);
    }
  }

  void round_to(Vec d, DType dtype) {
    store_lanes(m_, m_.stack(kRoundingStack), d, dtype, false);
    load_lanes(m_, d, m_.stack(kRoundingStack), dtype, false);
  }

  Masm& m_;
  Math math_;
  const ir::Expr expr_;
  const std::vector<Vec>& bound_;
  const LoadInput& load_;
  const Vec index_;
  const std::vector<DType>& input_types_;
  const std::vector<int> last_;
  std::vector<Vec> registers_;  // by value
};

}  // namespace

std::vector<Vec> emit_expr(Masm& m, const ir::Expr& expr, const std::vector<Vec>& bound,
                           const LoadInput& load, Vec index,
                           const std::vector<ir::DType>& input_types) {
  return ExprEmitter(m, expr, bound, load, index, input_types).emit();
}

// Follows ExprEmitter with every input unbound.
int max_registers(const ir::Expr& original) {
  const ir::Expr expr = with_masks(original);
  const std::vector<int> last = last_uses(expr);
  std::vector<bool> held(last.size());
  const auto count = [&] { return static_cast<int>(std::ranges::count(held, true)); };
  int most = 0;
  for (std::size_t i = 0; i < expr.instrs.size(); ++i) {
    const ir::ExprInstr& what = expr.instrs[i];
    if (what.op == Op::constant) continue;
    for (const int arg : what.args)
      if (arg >= 0) held[static_cast<std::size_t>(arg)] = true;
    most = std::max(most, count() + 1 + Math::scratch(what.op));
    for (const int arg : what.args) {
      if (arg < 0) continue;
      const auto a = static_cast<std::size_t>(arg);
      if (last[a] == static_cast<int>(i) || is_constant(expr, arg)) held[a] = false;
    }
    const std::size_t result = static_cast<std::size_t>(expr.inputs) + i;
    held[result] = last[result] >= 0;
  }
  for (const int output : expr.outputs) held[static_cast<std::size_t>(output)] = true;
  std::vector<std::int16_t> distinct = expr.outputs;
  std::ranges::sort(distinct);
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  return std::max(most, count() + static_cast<int>(expr.outputs.size() - distinct.size()));
}

void emit_constant(Masm& m, Vec d, const ir::ExprInstr& constant) {
  if (constant.dtype == DType::boolean)
    m.constant_i32(d, constant.value != 0 ? 0xffffffffu : 0);
  else
    m.constant(d, static_cast<float>(constant.value));
}

#define TAPER_CONVERTED_LANES(access, ...) \
  case DType::f16:                         \
    return m.access##_f16(__VA_ARGS__);    \
  case DType::bf16:                        \
    return m.access##_bf16(__VA_ARGS__);   \
  case DType::i8:                          \
    return m.access##_i8(__VA_ARGS__);     \
  case DType::u8:                          \
    return m.access##_u8(__VA_ARGS__);     \
  case DType::i32:                         \
    return m.access##_i32(__VA_ARGS__);    \
  case DType::boolean:                     \
    return m.access##_bool(__VA_ARGS__);

void load_lanes(Masm& m, Vec d, Address a, DType dtype, bool tail) {
  switch (dtype) {
    case DType::f32:
      return tail ? m.load_tail(d, a) : m.load(d, a);
      TAPER_CONVERTED_LANES(load, d, a, tail)
  }
}

void store_lanes(Masm& m, Address a, Vec s, DType dtype, bool tail) {
  switch (dtype) {
    case DType::f32:
      return tail ? m.store_tail(a, s) : m.store(a, s);
      TAPER_CONVERTED_LANES(store, a, s, tail)
  }
}

#undef TAPER_CONVERTED_LANES

}  // namespace taper::codegen
