#include "ir/text.h"

#include <fmt/format.h>

#include <array>

namespace taper::ir {
namespace {

template <class Enum, std::size_t size>
std::string_view look_up(const std::array<std::string_view, size>& names, Enum value) {
  const auto index = static_cast<std::size_t>(value);
  return index < size ? names[index] : "?";
}

}  // namespace

std::string_view name(PoolKind kind) {
  return look_up(std::to_array<std::string_view>({"max", "average"}), kind);
}

std::string_view name(ReduceKind kind) {
  return look_up(std::to_array<std::string_view>({"sum", "mean", "max"}), kind);
}

std::string_view name(ConvPass pass) {
  return look_up(
      std::to_array<std::string_view>({"forward", "backward_data", "backward_weights", "filter",
                                       "filter_backward_data", "filter_gradient"}),
      pass);
}

std::string_view name(RowKind kind) {
  return look_up(std::to_array<std::string_view>({"softmax", "log_softmax", "cross_entropy",
                                                  "cross_entropy_backward", "cross_entropy_fused"}),
                 kind);
}

std::string_view name(EpilogueAccess access) {
  return look_up(std::to_array<std::string_view>({"same", "channel", "scalar"}), access);
}

Attrs default_attrs(Op op) {
  switch (op) {
#define TAPER_ELEMENTWISE(name, arity, result, eval, vjp, emit) case Op::name:
#include "ir/ops.def"
    case Op::cross_entropy:
    case Op::cross_entropy_backward:
    case Op::cross_entropy_fused:
    case Op::gradient:
    case Op::view:
    case Op::gather:
      return std::monostate{};
    case Op::input:
    case Op::parameter:
    case Op::state:
      return NameAttrs{};
    case Op::constant:
      return ConstantAttrs{};
    case Op::cast:
      return CastAttrs{};
    case Op::random:
      return RandomAttrs{};
    case Op::extent:
    case Op::transpose:
      return AxesAttrs{};
    case Op::broadcast_to:
    case Op::reshape:
    case Op::gather_backward:
      return ShapeAttrs{};
    case Op::slice:
      return SliceAttrs{};
    case Op::pad:
      return PadAttrs{};
    case Op::reduce:
      return ReduceAttrs{};
    case Op::matmul:
      return MatmulAttrs{};
    case Op::normalize:
      return NormalizeAttrs{};
    case Op::conv2d:
    case Op::conv2d_backward_data:
    case Op::conv2d_backward_weights:
      return ConvAttrs{};
    case Op::pool2d:
    case Op::pool2d_backward:
    case Op::max_pool2d_with_indices:
    case Op::max_unpool2d:
      return PoolAttrs{};
    case Op::concat:
    case Op::softmax:
    case Op::log_softmax:
      return AxisAttrs{};
    case Op::in_range:
      return RangeAttrs{};
    case Op::relayout:
      return LayoutAttrs{};
    case Op::map:
      return MapAttrs{};
    case Op::result:
      return ResultAttrs{};
    case Op::kernel:
      return KernelAttrs{};
  }
  return std::monostate{};
}

std::string extent_text(Dim extent) {
  return extent == kBatch ? "N" : fmt::format("{}", extent);
}

DType natural_dtype(Op op) {
  const OpTraits& row = traits(op);
  return row.elementwise && row.result == ResultKind::predicate ? DType::boolean : DType::f32;
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out + '"';
}

}  // namespace taper::ir
