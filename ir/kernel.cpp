#include "ir/kernel.h"

#include <fmt/format.h>

#include "ir/text.h"

namespace taper::ir {
namespace {

template <class Range>
std::string numbers(const Range& values) {
  const auto text = [](std::int64_t v) { return std::to_string(v); };
  return fmt::format("[{}]", joined(values, ",", text));
}

// Each structured binding below names every member, so that a new one cannot be left out of the
// key.

std::string text(const Stream& stream) {
  const auto& [dtype, strides] = stream;
  return fmt::format("{}{}", name(dtype), numbers(strides));
}

std::string text(const EpilogueOperand& operand) {
  const auto& [dtype, access] = operand;
  return fmt::format("{} {}", name(dtype), name(access));
}

std::string text(const CopyPart& part) {
  const auto& [operand, dims, source, result, source_offset, result_offset] = part;
  return fmt::format("{{operand={} dims={} source={}+{} result={}+{}}}", operand, to_string(dims),
                     numbers(source), source_offset, numbers(result), result_offset);
}

std::string text(const MapSegment& segment);

template <class Part>
std::string texts(const std::vector<Part>& parts) {
  return fmt::format("[{}]", joined(
                                 parts, ",", [](const Part& part) { return text(part); }));
}

std::string text(const Epilogue& epilogue) {
  if (epilogue == Epilogue{}) return {};
  const auto& [expr, operands, result, moments, mean, streamed] = epilogue;
  std::string out;
  if (!expr.empty()) out = fmt::format(" epilogue {}", expr_text(expr, ExprRole::epilogue));
  if (moments != Expr{}) out += fmt::format(" {} {}", mean ? "means" : "sums", to_string(moments));
  if (!operands.empty() || !expr.empty()) out += fmt::format(" operands={}", texts(operands));
  if (result != DType::f32) out += fmt::format(" stored={}", name(result));
  if (streamed) out += " streamed";
  return out;
}

std::string text(const MapSegment& segment) {
  const auto& [dims, inputs, outputs] = segment;
  return fmt::format("{{dims={} inputs={} outputs={}}}", to_string(dims), texts(inputs),
                     texts(outputs));
}

std::string text(const MapSpec& spec) {
  const auto& [expr, segments] = spec;
  return fmt::format("map expr={} segments={}", to_string(expr), texts(segments));
}

std::string text(const ReduceSpec& spec) {
  const auto& [kind, dims, reduced, inputs, result, prologue, epilogue] = spec;
  const std::string fused = prologue == Expr{} ? "" : " prologue=" + to_string(prologue);
  return fmt::format("reduce kind={} dims={} reduced={}{} inputs={} result={}{}", name(kind),
                     to_string(dims), numbers(reduced), fused, texts(inputs), text(result),
                     text(epilogue));
}

std::string text(const GemmSpec& spec) {
  const auto& [m, n, k, a_m, a_k, b_k, b_block, c_m, c_block, c_padded, integers, dots, epilogue] =
      spec;
  return fmt::format(
      "gemm m={} n={} k={} a_m={} a_k={} b_k={} b_block={} c_m={} c_block={} c_padded={}{}{}{}",
      extent_text(m), extent_text(n), extent_text(k), a_m, a_k, b_k, b_block, c_m, c_block,
      c_padded, integers ? " integers" : "", dots ? " dots" : "", text(epilogue));
}

std::string text(const ConvSpec& spec) {
  const auto& [pass, images, ic, ih, iw, oc, oh, ow, kh, kw, stride, dilation, pad_top, pad_left,
               groups, input, integers, each_image, winograd, segments, epilogue] = spec;
  return fmt::format(
      "conv pass={} images={} ic={} ih={} iw={} oc={} oh={} ow={} kh={} kw={} stride={} "
      "dilation={} pad_top={} pad_left={} groups={} input={}{}{}{}{}{}",
      name(pass), extent_text(images), ic, ih, iw, oc, oh, ow, kh, kw, numbers(stride),
      numbers(dilation), pad_top, pad_left, groups, name(input), integers ? " integers" : "",
      each_image ? " each_image" : "", winograd == 0 ? "" : fmt::format(" winograd={}", winograd),
      segments == 1 ? "" : fmt::format(" segments={}", segments), text(epilogue));
}

std::string text(const PoolSpec& spec) {
  const auto& [kind, backward, indices, positive, images, channels, ih, iw, oh, ow, kernel, stride,
               padding, count_include_pad, dtype, epilogue] = spec;
  return fmt::format(
      "pool kind={} backward={}{} images={} channels={} ih={} iw={} oh={} ow={} kernel={} "
      "stride={} padding={} count_include_pad={}{}{}",
      name(kind), backward, positive ? " positive indices" : (indices ? " indices" : ""),
      extent_text(images), channels, ih, iw, oh, ow, numbers(kernel), numbers(stride),
      numbers(padding), count_include_pad, dtype == DType::f32 ? "" : " dtype=u8", text(epilogue));
}

std::string text(const RowSpec& spec) {
  const auto& [kind, rows, rows_per_image, columns] = spec;
  return fmt::format("row kind={} rows={} rows_per_image={} columns={}", name(kind),
                     extent_text(rows), rows_per_image, columns);
}

std::string text(const CopySpec& spec) {
  const auto& [dtype, operands, parts, has_fill, fill, result_size, result_batched] = spec;
  return fmt::format(
      "copy dtype={} operands={} parts={} has_fill={} fill={} result_size={} result_batched={}",
      name(dtype), operands, texts(parts), has_fill, fill, result_size, result_batched);
}

std::string text(const GatherSpec& spec) {
  const auto& [backward, rows, rows_per_image, entries, columns] = spec;
  return fmt::format("gather backward={} rows={} rows_per_image={} entries={} columns={}", backward,
                     extent_text(rows), rows_per_image, entries, columns);
}

struct Lowering {
  std::string operator()(const MapSpec&) const { return "map"; }
  std::string operator()(const ReduceSpec& s) const {
    return fmt::format("reduce {}", name(s.kind));
  }
  std::string operator()(const GemmSpec& s) const {
    return s.integers ? "gemm int8" : s.dots ? "gemm dots" : "gemm";
  }
  std::string operator()(const ConvSpec& s) const {
    const char* kind = s.integers       ? "int8"
                       : s.winograd > 0 ? "winograd"
                       : by_columns(s)  ? "col2im"
                       : s.groups == 1  ? "direct"
                                        : "depthwise";
    return fmt::format("conv {} {}x{} {}", kind, s.kh, s.kw, name(s.pass));
  }
  std::string operator()(const PoolSpec& s) const {
    return fmt::format("pool {} {}", name(s.kind), s.backward ? "backward" : "forward");
  }
  std::string operator()(const RowSpec& s) const { return fmt::format("row {}", name(s.kind)); }
  std::string operator()(const CopySpec& s) const { return s.parts.empty() ? "fill" : "copy"; }
  std::string operator()(const GatherSpec& s) const {
    return s.backward ? "gather backward" : "gather forward";
  }
};

double operations(const Expr& expr) {
  double count = 0;
  for (const ExprInstr& instr : expr.instrs) count += traits(instr.op).elementwise ? 1 : 0;
  return count;
}

struct Flops {
  Dim batch;

  double operator()(const MapSpec& s) const {
    double elements = 0;
    for (const MapSegment& segment : s.segments) elements += volume(segment.dims);
    return operations(s.expr) * elements;
  }
  double operator()(const ReduceSpec& s) const {
    return (operations(s.prologue) + 1) * volume(s.dims);
  }
  double operator()(const GemmSpec& s) const {
    const double group = s.integers ? static_cast<double>(kGroup) : 1;
    return 2 * extent(s.m) * extent(s.n) * extent(s.k) * group;
  }
  // The same for all passes over images.
  double operator()(const ConvSpec& s) const {
    if (transforms_filters(s.pass)) return 0;
    const double taps = static_cast<double>(s.kh) * static_cast<double>(s.kw);
    const double channels = static_cast<double>(s.ic) / static_cast<double>(s.groups);
    const double pixels = extent(s.images) * static_cast<double>(s.oh * s.ow);
    return 2 * pixels * static_cast<double>(s.oc) * channels * taps;
  }
  double operator()(const PoolSpec& s) const {
    const double pixels = extent(s.images) * static_cast<double>(s.oh * s.ow);
    return pixels * static_cast<double>(s.channels * s.kernel[0] * s.kernel[1]);
  }
  // Maximum, subtraction, exponential and sum of every element.
  double operator()(const RowSpec& s) const { return 4 * elements(s); }
  double operator()(const GatherSpec& s) const { return s.backward ? elements(s) : 0; }
  double operator()(const CopySpec&) const { return 0; }

 private:
  double extent(Dim dim) const { return static_cast<double>(dim == kBatch ? batch : dim); }
  double volume(const Indices& dims) const {
    double product = 1;
    for (const Dim dim : dims) product *= extent(dim);
    return product;
  }
  template <class Rows>
  double elements(const Rows& s) const {
    const double per_image = s.rows == kBatch ? static_cast<double>(s.rows_per_image) : 1;
    return extent(s.rows) * per_image * static_cast<double>(s.columns);
  }
};

}  // namespace

std::string to_string(const KernelSpec& spec) {
  return std::visit([](const auto& s) { return text(s); }, spec);
}

Collapsed collapse(const Indices& dims, const std::vector<Indices>& streams,
                   const Mergeable& mergeable) {
  Collapsed out{{}, std::vector<Indices>(streams.size()), {}};
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] == 1) continue;
    bool merge = !out.dims.empty() && out.dims.back() != kBatch &&
                 (!mergeable || mergeable(out.keep.back(), i));
    for (std::size_t s = 0; s < streams.size() && merge; ++s)
      merge = out.streams[s].back() == streams[s][i] * dims[i];
    if (!merge) {
      out.dims.push_back(1);
      out.keep.push_back(i);
      for (Indices& stream : out.streams) stream.push_back(0);
    }
    out.dims.back() *= dims[i];
    for (std::size_t s = 0; s < streams.size(); ++s) out.streams[s].back() = streams[s][i];
  }
  if (!out.dims.empty()) return out;
  out.dims = {1};
  out.keep = {0};
  // A single element is read and written with unit stride.
  for (Indices& stream : out.streams) stream = {1};
  return out;
}

std::string lowering(const KernelSpec& spec) {
  return std::visit(Lowering{}, spec);
}

double flops(const KernelSpec& spec, Dim batch) {
  return std::visit(Flops{batch}, spec);
}

}  // namespace taper::ir
