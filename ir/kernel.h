// KernelSpec: what one generated kernel computes, as plain, printable, comparable data. A spec
// depends on shapes only, never on the ISA or the thread count. Sizes are in elements; a size that
// is the batch symbol is kBatch. Operand order is stated per spec: operands first, then results.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "ir/expr.h"
#include "ir/type.h"

namespace taper::ir {

enum class PoolKind : std::uint8_t;
enum class ReduceKind : std::uint8_t;

// How a tensor is walked along the iteration dims of a spec: one stride per dim, 0 to repeat.
struct Stream {
  DType dtype = DType::f32;
  Indices strides;
  bool operator==(const Stream&) const = default;
};

// An epilogue operand, relative to the result of a gemm, conv or pool.
enum class EpilogueAccess : std::uint8_t {
  same,     // the element at the result's own offset (same type and layout)
  channel,  // one value per channel (column of a gemm), contiguous: a bias
  scalar,   // one value
};
struct EpilogueOperand {
  DType dtype = DType::f32;
  EpilogueAccess access = EpilogueAccess::same;
  bool operator==(const EpilogueOperand&) const = default;
};
// result = expr(accumulator, operands...); empty expr: the accumulator itself. Only gemm and conv
// store another dtype than f32.
// moments: of conv alone. Each output of moments(result, first, operands...), `first` being the
// result at the first pixel of the image, is added up over the pixels of the image, one chain for
// each channel (`mean`: then divided by their number): f32[N,channels], behind the result.
// streamed: the result goes to memory past the caches, because nothing reads it for a while.
struct Epilogue {
  Expr expr;
  std::vector<EpilogueOperand> operands;
  DType result = DType::f32;
  Expr moments = {};
  bool mean = false, streamed = false;
  bool operator==(const Epilogue&) const = default;
};

// Elementwise over `dims` (dims[0] may be kBatch; innermost last), for each segment.
// Operands: segment-major inputs, then segment-major outputs. Outputs are dense in dims.
struct MapSegment {
  Indices dims;
  std::vector<Stream> inputs, outputs;
  bool operator==(const MapSegment&) const = default;
};
struct MapSpec {
  Expr expr;
  std::vector<MapSegment> segments;
  bool operator==(const MapSpec&) const = default;
};

// Reduction of f32, each output of prologue(inputs...) or input 0 itself, over the dims with
// reduced[i]. Operands: inputs, epilogue operands, a result for each output. An input has the
// strides of input 0, or is f32 with stride 0 along all reduced dims. A result walks the kept dims
// with `result` strides (0 on reduced dims).
struct ReduceSpec {
  ReduceKind kind{};
  Indices dims;
  std::vector<bool> reduced = {};
  std::vector<Stream> inputs = {};
  Stream result;
  Expr prologue = {};
  Epilogue epilogue = {};
  bool operator==(const ReduceSpec&) const = default;
};

// result[m][n] = sum_k a[m][k] * b[k][n], one FMA chain per element in increasing k.
// a is walked by strides; b is read as vectors of 16 columns: element (k, n) is at
// (n / 16) * b_block + k * b_k + n % 16; result (m, n) at m * c_m + (n / 16) * c_block + n % 16.
// Rows and reduction may be kBatch. Operands: a, b, epilogue operands, result.
// Reading up to 15 elements past a partial block of b is allowed (buffers are padded);
// storing past column n - 1 is not, unless c_padded (the result's blocks are whole).
// integers: a is u8, b i8 {o16x4}, and the accumulator i32. An element of a or b is then four
// bytes, k counts these groups, and a step adds the four products.
// dots: m is 1, and b lies transposed: element (k, n) at (k / 16) * b_block + n * b_k + k % 16. The
// sum is of 16 lanes, a chain each, lane l of the steps l, l + 16, ...; these are added up as those
// of any horizontal reduction.
struct GemmSpec {
  Dim m = 0, n = 0, k = 0;
  std::int64_t a_m = 0, a_k = 0;
  std::int64_t b_k = 0, b_block = 0;
  std::int64_t c_m = 0, c_block = 0;
  bool c_padded = false;
  bool integers = false;
  bool dots = false;
  Epilogue epilogue = {};
  bool operator==(const GemmSpec&) const = default;
};

// The three passes of a 2-d convolution. Field names are those of the forward pass in all three.
//   forward           operands: input, weight {o16}, epilogue operands, result
//   backward_data     operands: gradient {c16}, weight {i16}, epilogue operands, result {c16};
//                     by columns: gradient {c16}, weight {o16}, result plain; no epilogue
//   backward_weights  operands: input, gradient {c16}, result {o16}; no epilogue
// input is c16, or plain (then it is read, or its gradient written, with its own strides); gradient
// and results of forward are c16.
// integers: forward only; the input is u8 {c16}, the weight i8 {o16x4}, the accumulator i32.
// each_image: backward_weights of c16 tensors; the result is that of each image, in turn:
// f32[N,...]. groups is 1, or equal to ic and oc (depthwise; all tensors c16, weight {o16} in all
// passes).
//
// winograd: the lowering F(4x4,3x3), or F(2x2,3x3) of forward, of a 3x3 convolution with stride and
// dilation 1 (Lavin and Gray, 2016). The weight operand, and the result of backward_weights, are
// then the 36 (16) points of the transformed filters, f32[blocks,points,channels,16], and three
// more passes make these:
//   filter                operands: weight {o16}, result [oc/16,points,ic,16]
//   filter_backward_data  operands: weight {i16}, result [ic/16,points,oc,16]
//   filter_gradient       operands: [oc/16,points,ic,16], result (gradient of the weight) {o16}
// segments: backward_weights sums up each of so many parts of the batch by itself, and
// filter_gradient adds them: [segments,oc/16,points,ic,16].
enum class ConvPass : std::uint8_t {
  forward,
  backward_data,
  backward_weights,
  filter,
  filter_backward_data,
  filter_gradient
};
inline bool transforms_filters(ConvPass pass) {
  return pass >= ConvPass::filter;
}
struct ConvSpec {
  ConvPass pass = ConvPass::forward;
  Dim images = kBatch;
  std::int64_t ic = 0, ih = 0, iw = 0, oc = 0, oh = 0, ow = 0, kh = 0, kw = 0;
  std::array<std::int64_t, 2> stride{1, 1}, dilation{1, 1};
  std::int64_t pad_top = 0, pad_left = 0;
  std::int64_t groups = 1;
  Layout input = Layout::c16;
  bool integers = false;
  bool each_image = false;
  int winograd = 0;  // results along a side of its tiles; 0: another lowering
  std::int64_t segments = 1;
  Epilogue epilogue = {};
  bool operator==(const ConvSpec&) const = default;
};

// Source pixels along a side that a Winograd tile depends on, and products of a tile and a filter.
inline constexpr int winograd_patch(int tile) {
  return tile + 2;
}
inline constexpr int winograd_points(int tile) {
  return winograd_patch(tile) * winograd_patch(tile);
}

// Whether the gradient of an image is computed as columns of ic * kh * kw sums that are then added
// up: so is that of a plain image, which has few channels.
inline bool by_columns(const ConvSpec& s) {
  return s.pass == ConvPass::backward_data && s.input == Layout::plain;
}

// Pooling over c16 tensors of `dtype` (u8: max, forward, no epilogue). forward: operands input,
// epilogue operands, result. backward: operands input, gradient, epilogue operands, result
// (gradient of the input). With `indices` (max only) forward has a second result, u8: the tap of
// the max, row by row in the window, padding counted, or with `positive` 255 for a max that is not
// above zero; backward reads it in place of the input.
struct PoolSpec {
  PoolKind kind{};
  bool backward = false, indices = false, positive = false;
  Dim images = kBatch;
  std::int64_t channels = 0, ih = 0, iw = 0, oh = 0, ow = 0;
  std::array<std::int64_t, 2> kernel{}, stride{};
  std::array<std::int64_t, 4> padding{};
  bool count_include_pad = true;
  DType dtype = DType::f32;
  Epilogue epilogue = {};
  bool operator==(const PoolSpec&) const = default;
};

// Row-wise ops over the innermost axis of a plain [rows, columns] f32 tensor.
//   softmax, log_softmax    operands: x, result
//   cross_entropy           operands: logits, labels i32[rows], result f32[rows]
//   cross_entropy_backward  operands: logits, labels, dloss f32[rows], result
//   cross_entropy_fused     operands: logits, labels, dloss, loss f32[rows], result
enum class RowKind : std::uint8_t {
  softmax,
  log_softmax,
  cross_entropy,
  cross_entropy_backward,
  cross_entropy_fused
};
struct RowSpec {
  RowKind kind{};
  Dim rows = kBatch;
  std::int64_t rows_per_image = 1;  // when rows is kBatch: there are N * rows_per_image rows
  std::int64_t columns = 0;
  bool operator==(const RowSpec&) const = default;
};

// Moves elements: relayout, transpose, slice, pad, concat, broadcast of one dtype. Each part copies
// `dims` from operand i, at source_offset and source strides, to the result, at result_offset and
// result strides; `fill` is stored to the whole result buffer first when has_fill.
// A blocked axis is described as two dims (blocks, 16); a partial last block by another part.
struct CopyPart {
  std::int64_t operand = 0;
  Indices dims = {};
  Indices source = {}, result = {};
  std::int64_t source_offset = 0, result_offset = 0;
  bool operator==(const CopyPart&) const = default;
};
struct CopySpec {
  DType dtype = DType::f32;
  std::int64_t operands = 1;
  std::vector<CopyPart> parts = {};
  bool has_fill = false;
  double fill = 0;
  // Elements of the result buffer (per image when batched), padding lanes included; only for fill.
  std::int64_t result_size = 0;
  bool result_batched = false;
  bool operator==(const CopySpec&) const = default;
};

// Rows of a plain table f32[entries,columns] by index, all in range.
//   forward   operands: table, indices i32[rows], result f32[rows,columns]
//   backward  operands: gradient f32[rows,columns], indices, result (gradient of the table): the
//             sums, in the order of the rows
struct GatherSpec {
  bool backward = false;
  Dim rows = kBatch;
  std::int64_t rows_per_image = 1;  // as in RowSpec
  std::int64_t entries = 0, columns = 0;
  bool operator==(const GatherSpec&) const = default;
};

using KernelSpec =
    std::variant<MapSpec, ReduceSpec, GemmSpec, ConvSpec, PoolSpec, RowSpec, CopySpec, GatherSpec>;

// One line, complete (equal text means an equal spec): the key of the kernel cache and the entry of
// the kernel list. Example: "gemm m=N n=128 k=784 ... epilogue (acc, c0) { t0 = add(acc, c0); t0
// }".
std::string to_string(const KernelSpec& spec);

// Merges neighbouring dims that all `streams` step through as one, and drops dims of extent 1.
// `mergeable(i, j)`, when given, may forbid merging dim i with a later one j. `keep` holds the
// indices of the dims that start the merged ones.
struct Collapsed {
  Indices dims;
  std::vector<Indices> streams;
  std::vector<std::size_t> keep;
};
using Mergeable = std::function<bool(std::size_t, std::size_t)>;
Collapsed collapse(const Indices& dims, const std::vector<Indices>& streams,
                   const Mergeable& mergeable = {});

// The skeleton's name ("gemm") and the lowering it chose ("direct", "winograd", "depthwise").
std::string lowering(const KernelSpec& spec);

// Nominal floating-point operations at N = batch, padding taps counted; 0 for data movement.
double flops(const KernelSpec& spec, Dim batch);

}  // namespace taper::ir
