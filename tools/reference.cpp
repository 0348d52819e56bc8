#include "tools/reference.h"

#include <fmt/format.h>

#include <array>
#include <string_view>
#include <type_traits>

#include "ir/graph.h"
#include "ir/text.h"

namespace taper::tools {
namespace {

struct Row {
  std::string_view name, result, value, gradient;
  int arity = 0;
};

// The columns of the table, as it spells them.
constexpr Row kElementwise[] = {
#define TAPER_ELEMENTWISE(name, arity, result, eval, vjp, emit) \
  {#name, #result, #eval, #vjp, arity},
#include "ir/ops.def"
};

// By op, in the order of the table.
struct Meaning {
  ir::Op op;
  std::string_view operands, text, gradient;
};
constexpr std::string_view kNone = "none", kMade = "made after `differentiate`";
// clang-format off
constexpr Meaning kMeanings[] = {
    {ir::Op::input, "", "the tensor that the caller gives under this name", "leaf"},
    {ir::Op::parameter, "", "the contents of the trainable variable of this name", "leaf"},
    {ir::Op::state, "", "the contents of the variable of this name", kNone},
    {ir::Op::constant, "", "one number for all elements, or one per element, row-major", kNone},
    {ir::Op::cast, "x",
     "`x` in another dtype: to an integer truncated and saturated, NaN 0; to bool, not zero",
     "between floats `cast` back, else none"},
    {ir::Op::random, "counter f32[]",
     "uniform in [0, 1), Philox4x32-10 of element, counter, stream and seed", kNone},
    {ir::Op::extent, "x", "f32[]: the number of elements along `axes`, which may include N", kNone},
    {ir::Op::in_range, "x",
     "`x`, an i32 input; a run fails unless all its elements are in [low, high) or among `others`",
     kNone},
    {ir::Op::broadcast_to, "x", "`x` repeated to `shape`", "`reduce` of the sum"},
    {ir::Op::reshape, "x", "the same elements in row-major order", "`reshape` back"},
    {ir::Op::transpose, "x", "axis i of the result is axis `axes[i]` of `x`",
     "`transpose` by the inverse"},
    {ir::Op::slice, "x", "`[begin, end)` by `step` along each axis", "`pad` with `interior`"},
    {ir::Op::pad, "x", "`value` around and, `interior` of it, between the elements; negative crops",
     "`slice`"},
    {ir::Op::concat, "x...", "the operands side by side along `axis`", "`slice` for each operand"},
    {ir::Op::reduce, "x", "`sum`, `mean` or `max` over `axes`",
     "`broadcast_to`, scaled; of `max` to the elements that are it, in equal parts"},
    {ir::Op::matmul, "a, b", "product of two matrices, either transposed on request",
     "two `matmul`s"},
    {ir::Op::conv2d, "x [N,C,H,W], w [O,C/groups,KH,KW]", "cross-correlation",
     "`conv2d_backward_data`, `conv2d_backward_weights`"},
    {ir::Op::conv2d_backward_data, "dy, w", "gradient of `conv2d`'s input, of shape `shape`",
     "`conv2d` and `conv2d_backward_weights`"},
    {ir::Op::conv2d_backward_weights, "x, dy", "gradient of `conv2d`'s weight, of shape `shape`",
     "`conv2d_backward_data` and `conv2d`"},
    {ir::Op::pool2d, "x", "`max` or `average` of windows, as in PyTorch", "`pool2d_backward`"},
    {ir::Op::pool2d_backward, "x, dy",
     "gradient of `pool2d`; of `max` to the first largest element", "of `average` only"},
    {ir::Op::max_pool2d_with_indices, "x",
     "`pool2d` and, u8, the tap of each window's first largest element; made by `fuse`", kMade},
    {ir::Op::max_unpool2d, "indices, dy",
     "`pool2d_backward` from those taps, of shape `shape`; made by `fuse`", kMade},
    {ir::Op::softmax, "x", "exp(x - max) / sum along `axis`", "y (g - sum(g y))"},
    {ir::Op::log_softmax, "x", "x - max - log(sum(exp(x - max))) along `axis`",
     "g - softmax(x) sum(g)"},
    {ir::Op::normalize, "x, scale", "(x - mean) / sqrt(variance + eps) * scale along `axes`",
     "spelled out by `differentiate`"},
    {ir::Op::gather, "table [V,D], indices i32", "rows of the table", "`gather_backward`"},
    {ir::Op::gather_backward, "dy, indices", "sums of the rows of `dy` by index, of shape `shape`",
     "`gather`"},
    {ir::Op::cross_entropy, "logits [M,C], labels i32[M]",
     "log(sum(exp(x))) - x[label] of each row", "`cross_entropy_backward`"},
    {ir::Op::cross_entropy_backward, "logits, labels, dloss",
     "(softmax(x) - onehot(label)) dloss of each row", "from other ops"},
    {ir::Op::cross_entropy_fused, "logits, labels, dloss", "both of the above; made by `fuse`",
     kMade},
    {ir::Op::gradient, "scalar, value",
     "the derivative of the one by the other, of the other's type", "resolved by `differentiate`"},
    {ir::Op::relayout, "x", "the same value in another memory layout; made by `layout`", kMade},
    {ir::Op::map, "x...", "one expression over `segments` groups of operands; made by `fuse`",
     kMade},
    {ir::Op::result, "node", "the `index`-th result of a node that has several", kMade},
    {ir::Op::view, "x", "the same bytes under another type; made by `select`", kMade},
    {ir::Op::kernel, "x...",
     "machine code to be, as `spec` says; made by `select`; cannot be parsed", kMade},
};
// clang-format on

constexpr std::size_t kStructuralOps = 0
#define TAPER_STRUCTURAL(name, arity, attrs) +1
#include "ir/ops.def"
    ;
static_assert(std::size(kMeanings) == kStructuralOps, "every op of ops.def has its meaning here");

// "key: kind" of each attribute.
class Keys {
 public:
  std::string text;
  template <class Value>
  void operator()(std::string_view key, const Value& value) {
    text += fmt::format("{}`{}` {}", text.empty() ? "" : ", ", key, kind(value));
  }

 private:
  static std::string kind(bool v) { return v ? "= true" : "= false"; }
  static std::string kind(double v) { return fmt::format("= {}", v); }
  static std::string kind(std::int64_t v) { return fmt::format("= {}", v); }
  static std::string kind(std::uint64_t v) { return fmt::format("= {}", v); }
  static std::string kind(const std::string&) { return "(a string)"; }
  static std::string kind(const ir::Expr&) { return "(an expression)"; }
  static std::string kind(const ir::TensorType&) { return "(a type)"; }
  static std::string kind(const ir::Indices&) { return "(a list)"; }
  static std::string kind(const ir::KernelSpec&) { return "(a kernel's specification)"; }
  template <class Enum>
  requires std::is_enum_v<Enum>
  static std::string kind(Enum v) { return fmt::format("= {}", ir::name(v)); }
  template <class T>
  static std::string kind(const std::vector<T>&) {
    return "(a list)";
  }
  template <class T, std::size_t size>
  static std::string kind(const std::array<T, size>& v) {
    return fmt::format("= [{}]", fmt::join(v, ","));
  }
};

std::string attributes_of(ir::Op op) {
  Keys keys;
  ir::Attrs attrs = ir::default_attrs(op);
  std::visit([&](auto& a) { a.fields(keys); }, attrs);
  return keys.text.empty() ? "none" : keys.text;
}

constexpr std::string_view kHead = R"(# The text form of the IR

Written by `taper opt --reference` from `ir/ops.def`; a test compares this file with what it writes.

A file holds one graph. `//` starts a comment that ends with the line.

```
graph {
  %x = input "x" : f32[N,3,8,8]
  %w = parameter "w" : f32[16,3,3,3]
  %y = conv2d(%x, %w) {padding=[1,1,1,1]} : f32[N,16,8,8]
  %r = relu(%y) : f32[N,16,8,8]
  return "r" = %r
}
```

- `%name = op(operands) {attributes} : type` defines a value before its uses. Names are free; printing numbers them depth-first from the outputs. An attribute that equals its default may be left out. The type is checked.
- `input`, `parameter`, `state` and `constant` take their only attribute without braces: `%c = constant 0.5 : f32[]`.
- `return "name" = %value` is an output; `update %variable = %value` gives a parameter or a state new contents after the run. All values are computed from the old ones.
- A type is a dtype (`f32 f16 bf16 i8 u8 i32 bool`), extents and, unless it is plain, a layout: `f32[N,16,8,8]{c16}`. Only the leading extent may be `N`, the batch.
- After fusion: `conv2d(%x, %w; %b) epilogue (acc, c0) { t0 = add(acc, c0); t0 }` applies an expression to the result and the operands after `;`.
- `loc("model.cpp":12)` or `loc("model.tir":12:5)` at the end of a definition is the line, and the column, that the node comes from: what errors name and `--locations` prints. A node without one comes from its place in this text. It is no part of what the graph means.

)";

}  // namespace

std::string language_reference() {
  std::string out(kHead);
  out +=
      "## Elementwise ops\n\nOperands are f32 and broadcast as in NumPy; `select` takes a bool "
      "first. `g` is the gradient of the result `y`, the operands are `a`, `b`, `c`. The value and "
      "the gradient are those of the table, to the letter.\n\n"
      "| op | operands | result | value | gradients of the operands |\n|---|---|---|---|---|\n";
  for (const Row& row : kElementwise)
    out += fmt::format("| `{}` | {} | {} | `{}` | `{}` |\n", row.name, row.arity,
                       row.result == "predicate" ? "bool" : row.result, row.value,
                       row.gradient.substr(1, row.gradient.size() - 2));
  out +=
      "\n## Structural ops\n\nOperands and results are f32, unless the row says otherwise. Leaves, "
      "`cast` and what moves elements (`broadcast_to` to `concat`, `relayout`, `view`) take every "
      "dtype; `matmul` and `conv2d` also multiply u8 by i8, to i32, and max pooling takes u8.\n\n"
      "| op | operands | attributes and defaults | result | gradient |\n"
      "|---|---|---|---|---|\n";
  for (const Meaning& m : kMeanings)
    out += fmt::format("| `{}` | {} | {} | {} | {} |\n", ir::traits(m.op).name,
                       m.operands.empty() ? "none" : m.operands, attributes_of(m.op), m.text,
                       m.gradient);
  return out;
}

}  // namespace taper::tools
