// Attributes of structural ops: plain structs. `fields` lists the members once, with the key that
// the text form uses; printer, parser and comparison are all derived from it.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "ir/expr.h"
#include "ir/kernel.h"
#include "ir/type.h"

namespace taper::ir {

using Pair = std::array<std::int64_t, 2>;     // height, width
using Padding = std::array<std::int64_t, 4>;  // top, left, bottom, right

enum class PoolKind : std::uint8_t { max, average };
enum class ReduceKind : std::uint8_t { sum, mean, max };

// A constant that lives elsewhere, so that what is large does not make every node large.
template <class T>
class Boxed {
 public:
  template <class Value = T>
  requires std::constructible_from<T, Value> Boxed(Value value = {})
      : value_(std::make_shared<const T>(std::move(value))) {}
  operator const T&() const { return *value_; }
  const T& operator*() const { return *value_; }
  bool operator==(const Boxed& other) const { return *value_ == *other.value_; }

 private:
  std::shared_ptr<const T> value_;
};

#define TAPER_FIELDS(Self, ...)                 \
  bool operator==(const Self&) const = default; \
  template <class Visit>                        \
  void fields([[maybe_unused]] Visit&& visit) { \
    __VA_ARGS__                                 \
  }

struct NoAttrs {
  TAPER_FIELDS(NoAttrs, )
};
// input, parameter, state: the name that binds a buffer.
struct NameAttrs {
  std::string name;
  TAPER_FIELDS(NameAttrs, visit("name", name);)
};
// constant: row-major values, or one value for all elements. double holds every dtype exactly.
struct ConstantAttrs {
  std::vector<double> values;
  TAPER_FIELDS(ConstantAttrs, visit("values", values);)
};
// conv2d and its two gradients. `shape` is the shape of the result of a gradient (the input's for
// conv2d_backward_data, the weight's for conv2d_backward_weights) and empty for conv2d.
struct ConvAttrs {
  Pair stride{1, 1};
  Pair dilation{1, 1};
  Padding padding{0, 0, 0, 0};
  std::int64_t groups = 1;
  Shape shape = {};
  TAPER_FIELDS(ConvAttrs, visit("stride", stride); visit("dilation", dilation);
               visit("padding", padding); visit("groups", groups); visit("shape", shape);)
};
// pool2d and its relatives; semantics of torch.nn.MaxPool2d / AvgPool2d. `shape` is the shape of
// the result of max_unpool2d and empty for the others. `positive`, of max_pool2d_with_indices: a
// max that is not above zero has the index 255, no tap's.
struct PoolAttrs {
  PoolKind kind = PoolKind::max;
  Pair kernel{2, 2};
  Pair stride{2, 2};
  Padding padding{0, 0, 0, 0};
  bool ceil_mode = false;
  bool count_include_pad = true;
  Shape shape = {};
  bool positive = false;
  TAPER_FIELDS(PoolAttrs, visit("kind", kind); visit("kernel", kernel); visit("stride", stride);
               visit("padding", padding); visit("ceil_mode", ceil_mode);
               visit("count_include_pad", count_include_pad); visit("shape", shape);
               visit("positive", positive);)
};
// With a prologue, which passes make, the reduction is of each output of prologue(operands...), and
// of as many results. The operands are the node's own: operand 0 has the shape that is reduced;
// another one has it too, or is an f32 that repeats along all reduced axes.
struct ReduceAttrs {
  ReduceKind kind = ReduceKind::sum;
  Indices axes;  // sorted, unique, non-negative
  bool keep_dims = false;
  Expr prologue = {};
  TAPER_FIELDS(ReduceAttrs, visit("kind", kind); visit("axes", axes); visit("keep_dims", keep_dims);
               visit("prologue", prologue);)
};
// reshape, broadcast_to; gather_backward: the shape of the table.
struct ShapeAttrs {
  Shape shape;
  TAPER_FIELDS(ShapeAttrs, visit("shape", shape);)
};
// transpose: result axis i is operand axis axes[i]; extent: the axes whose sizes are multiplied.
struct AxesAttrs {
  Indices axes;
  TAPER_FIELDS(AxesAttrs, visit("axes", axes);)
};
// softmax, log_softmax, concat.
struct AxisAttrs {
  std::int64_t axis = 0;
  TAPER_FIELDS(AxisAttrs, visit("axis", axis);)
};
// slice: per axis [begin, end) by step > 0. On a batch axis: 0, kBatch, 1.
struct SliceAttrs {
  Indices begin, end, step;
  TAPER_FIELDS(SliceAttrs, visit("begin", begin); visit("end", end); visit("step", step);)
};
// pad: constant padding per axis; `interior` elements go between neighbours (as in XLA's Pad).
struct PadAttrs {
  Indices low, high, interior;
  double value = 0;
  TAPER_FIELDS(PadAttrs, visit("low", low); visit("high", high); visit("interior", interior);
               visit("value", value);)
};
// normalize: along `axes`, which are sorted and unique.
struct NormalizeAttrs {
  Indices axes;
  double eps = 0;
  TAPER_FIELDS(NormalizeAttrs, visit("axes", axes); visit("eps", eps);)
};
struct MatmulAttrs {
  bool transpose_a = false;
  bool transpose_b = false;
  TAPER_FIELDS(MatmulAttrs, visit("transpose_a", transpose_a); visit("transpose_b", transpose_b);)
};
// random: uniform in [0, 1), Philox4x32-10; see ir/README.md for the counter layout.
struct RandomAttrs {
  std::uint64_t seed = 0;
  std::uint64_t stream = 0;
  Shape shape;
  TAPER_FIELDS(RandomAttrs, visit("seed", seed); visit("stream", stream); visit("shape", shape);)
};
struct CastAttrs {
  DType dtype = DType::f32;
  TAPER_FIELDS(CastAttrs, visit("dtype", dtype);)
};
// in_range: elements are in [low, high) or among `others`.
struct RangeAttrs {
  std::int64_t low = 0, high = 0;
  Indices others = {};
  TAPER_FIELDS(RangeAttrs, visit("low", low); visit("high", high); visit("others", others);)
};
struct LayoutAttrs {
  Layout layout = Layout::plain;
  TAPER_FIELDS(LayoutAttrs, visit("layout", layout);)
};
// map: `segments` groups of operands (expr.inputs each) that the same expression is applied to; the
// results are segment-major, expr.outputs.size() per segment.
struct MapAttrs {
  Expr expr;
  std::int64_t segments = 1;
  std::vector<TensorType> results = {};
  TAPER_FIELDS(MapAttrs, visit("expr", expr); visit("segments", segments);
               visit("results", results);)
};
// result: the index-th result of a multi-result node (map, cross_entropy_fused,
// max_pool2d_with_indices, kernel).
struct ResultAttrs {
  std::int64_t index = 0;
  TAPER_FIELDS(ResultAttrs, visit("index", index);)
};
// kernel: the end state of lowering. `results` lists all result types.
struct KernelAttrs {
  Boxed<KernelSpec> spec;
  std::vector<TensorType> results;
  TAPER_FIELDS(KernelAttrs, visit("spec", spec); visit("results", results);)
};

#undef TAPER_FIELDS

using Attrs = std::variant<NoAttrs, NameAttrs, ConstantAttrs, ConvAttrs, PoolAttrs, ReduceAttrs,
                           ShapeAttrs, AxesAttrs, AxisAttrs, SliceAttrs, PadAttrs, MatmulAttrs,
                           NormalizeAttrs, RandomAttrs, CastAttrs, RangeAttrs, LayoutAttrs,
                           MapAttrs, ResultAttrs, KernelAttrs>;

}  // namespace taper::ir
