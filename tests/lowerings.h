// What `select` can make of a graph: every lowering, and the variants of each that its code makes a
// case of its own.
#pragma once

#include <set>
#include <string>
#include <variant>

#include "ir/kernel.h"
#include "ir/text.h"

namespace taper {

using Names = std::set<std::string>;

// A lowering's name without the size of the kernel: "conv direct forward".
inline std::string lowering_of(const ir::KernelSpec& spec) {
  const std::string name = ir::lowering(spec);
  const std::size_t by = name.find('x', name.find_first_of("0123456789"));
  if (!name.starts_with("conv") || by == std::string::npos) return name;
  const std::size_t begin = name.rfind(' ', by);
  return name.substr(0, begin) + name.substr(name.find(' ', by));
}

// Every lowering of a kind of specification. A new kind does not compile without one.
template <class Spec>
inline Names lowerings();
template <>
inline Names lowerings<ir::MapSpec>() {
  return {"map"};
}
template <>
inline Names lowerings<ir::ReduceSpec>() {
  Names names;
  for (int i = 0; name(static_cast<ir::ReduceKind>(i)) != "?"; ++i)
    names.insert("reduce " + std::string(name(static_cast<ir::ReduceKind>(i))));
  return names;
}
template <>
inline Names lowerings<ir::GemmSpec>() {
  return {"gemm", "gemm dots", "gemm int8"};
}
template <>
inline Names lowerings<ir::ConvSpec>() {
  Names names{"conv int8 forward", "conv col2im backward_data"};
  for (const char* kind : {"direct", "depthwise", "winograd"})
    for (const char* pass : {"forward", "backward_data", "backward_weights"})
      names.insert(std::string("conv ") + kind + ' ' + pass);
  for (const char* filter : {"filter", "filter_backward_data", "filter_gradient"})
    names.insert(std::string("conv winograd ") + filter);
  return names;
}
template <>
inline Names lowerings<ir::PoolSpec>() {
  Names names;
  for (int i = 0; name(static_cast<ir::PoolKind>(i)) != "?"; ++i)
    for (const char* pass : {" forward", " backward"})
      names.insert("pool " + std::string(name(static_cast<ir::PoolKind>(i))) + pass);
  return names;
}
template <>
inline Names lowerings<ir::RowSpec>() {
  Names names;
  for (int i = 0; i <= static_cast<int>(ir::RowKind::cross_entropy_fused); ++i)
    names.insert("row " + std::string(name(static_cast<ir::RowKind>(i))));
  return names;
}
template <>
inline Names lowerings<ir::CopySpec>() {
  return {"copy", "fill"};
}
template <>
inline Names lowerings<ir::GatherSpec>() {
  return {"gather forward", "gather backward"};
}

template <class... Specs>
inline Names all_lowerings(const std::variant<Specs...>*) {
  Names all;
  (all.merge(lowerings<Specs>()), ...);
  return all;
}

// Variants of one lowering, of which its code makes a case of its own.
inline Names variants_of(const ir::MapSpec& s) {
  return {s.segments.size() > 1 ? "map of several segments" : "map of one segment"};
}
inline Names variants_of(const ir::ReduceSpec& s) {
  Names names;
  if (!s.prologue.empty()) names.insert("reduce with a prologue");
  if (s.prologue.outputs.size() > 1) names.insert("reduce of several results");
  if (!s.epilogue.expr.empty()) names.insert("reduce with an epilogue");
  return names;
}
inline Names variants_of(const ir::GemmSpec& s) {
  Names names;
  if (s.k == ir::kBatch) names.insert("gemm that sums over the batch");
  if (s.m == 1) names.insert("gemm of one row");
  if (s.n == 1) names.insert("gemm of one column");
  if (s.k == 1) names.insert("gemm, outer product");
  if (s.c_padded) names.insert("gemm with a blocked result");
  if (s.b_block != ir::kBlock) names.insert("gemm of a blocked matrix");
  if (s.a_m == 1 && s.m != 1) names.insert("gemm of a transposed matrix");
  if (!s.epilogue.expr.empty()) names.insert("gemm with an epilogue");
  return names;
}
inline Names variants_of(const ir::ConvSpec& s) {
  Names names;
  if (s.input == ir::Layout::plain) names.insert("conv of a plain input");
  if (s.kh == 1) names.insert("conv of single pixels");
  if (s.stride[0] > 1) names.insert("conv with a stride");
  if (s.dilation[0] > 1) names.insert("conv with dilation");
  if (s.oc % ir::kBlock != 0) names.insert("conv of a partial block");
  if (!s.epilogue.expr.empty()) names.insert("conv with an epilogue");
  if (!s.epilogue.moments.outputs.empty()) names.insert("conv with moments");
  if (s.epilogue.streamed) names.insert("conv with a streamed result");
  return names;
}
inline Names variants_of(const ir::PoolSpec& s) {
  Names names;
  if (s.indices) names.insert(s.backward ? "pool from indices" : "pool to indices");
  if (s.positive) names.insert("pool to indices of positive maxima");
  if (s.dtype == ir::DType::u8) names.insert("pool of bytes");
  return names;
}
inline Names variants_of(const ir::RowSpec&) {
  return {};
}
inline Names variants_of(const ir::CopySpec& s) {
  Names names;
  if (s.operands > 1) names.insert("copy of several operands");
  if (s.has_fill && !s.parts.empty()) names.insert("copy and fill");
  if (s.operands == 1 && s.parts.size() > 1) names.insert("copy of a partial block");
  if (s.dtype == ir::DType::u8) names.insert("copy of bytes");
  return names;
}
inline Names variants_of(const ir::GatherSpec&) {
  return {};
}

inline const Names kVariants{
    "conv of a partial block",
    "conv of a plain input",
    "conv of single pixels",
    "conv with a stride",
    "conv with a streamed result",
    "conv with an epilogue",
    "conv with dilation",
    "conv with moments",
    "copy and fill",
    "copy of a partial block",
    "copy of bytes",
    "copy of several operands",
    "gemm of a blocked matrix",
    "gemm of a transposed matrix",
    "gemm of one column",
    "gemm of one row",
    "gemm that sums over the batch",
    "gemm with a blocked result",
    "gemm with an epilogue",
    "gemm, outer product",
    "map of one segment",
    "map of several segments",
    "pool from indices",
    "pool of bytes",
    "pool to indices",
    "pool to indices of positive maxima",
    "reduce of several results",
    "reduce with a prologue",
    "reduce with an epilogue",
};

}  // namespace taper
