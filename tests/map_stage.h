// The buffers of a MapSpec: filled with modest random values, run through a kernel, decoded.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "codegen/kernel.h"
#include "masm_run.h"
#include "runtime/aligned.h"

namespace taper {

using ir::DType;
using ir::kBatch;
using ir::MapSegment;
using ir::MapSpec;
using Bytes = std::vector<std::uint8_t>;

inline float f16_value(int bits) {
  const int exponent = bits >> 10 & 31, mantissa = bits & 1023;
  const float magnitude = exponent == 0
                              ? std::ldexp(static_cast<float>(mantissa), -24)
                              : std::ldexp(static_cast<float>(mantissa | 1024), exponent - 25);
  return bits >> 15 != 0 ? -magnitude : magnitude;
}

template <typename T>
T read(const std::uint8_t* p) {
  T value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

inline double decode(DType dtype, const std::uint8_t* p) {
  switch (dtype) {
    case DType::f32:
      return read<float>(p);
    case DType::f16:
      return f16_value(read<std::uint16_t>(p));
    case DType::bf16:
      return from_bits(std::uint32_t{read<std::uint16_t>(p)} << 16);
    case DType::i8:
      return read<std::int8_t>(p);
    case DType::u8:
      return *p;
    case DType::i32:
      return read<std::int32_t>(p);
    case DType::boolean:
      return *p != 0;
  }
  return 0;
}

// Random bytes that are modest values of `dtype`.
inline void fill(DType dtype, std::uint8_t* p, std::mt19937& generator) {
  const auto bits = static_cast<std::uint32_t>(generator());
  const float real = static_cast<float>(static_cast<std::int32_t>(bits) >> 8) * 0x1p-21f;
  const std::uint32_t word = dtype == DType::f32       ? to_bits(real)
                             : dtype == DType::bf16    ? to_bits(real) >> 16
                             : dtype == DType::f16     ? (bits & 0x8fff) | 0x3000
                             : dtype == DType::boolean ? bits & 1
                             : dtype == DType::i32     ? bits % 100000
                                                       : bits;
  std::memcpy(p, &word, ir::byte_size(dtype));
}

struct Stage {  // the buffers of one spec at N = batch
  ir::Indices dims(const MapSegment& s) const {
    ir::Indices dims = s.dims;
    if (!dims.empty() && dims[0] == kBatch) dims[0] = batch;
    return dims;
  }
  std::int64_t count(const MapSegment& s) const {
    std::int64_t n = 1;
    for (const ir::Dim d : dims(s)) n *= d;
    return n;
  }
  static std::int64_t offset(const ir::Indices& dims, const ir::Stream& s, std::int64_t index) {
    std::int64_t at = 0;
    for (std::size_t i = dims.size(); i-- > 0; index /= dims[i])
      at += index % dims[i] * s.strides[i];
    return at;
  }

  Stage(const MapSpec& spec_of, std::int64_t n) : spec(spec_of), batch(n) {
    std::mt19937 generator(7);
    for (const bool is_output : {false, true})
      for (const MapSegment& segment : spec.segments)
        for (const ir::Stream& s : is_output ? segment.outputs : segment.inputs)
          add(segment, s, is_output, generator);
  }

  void add(const MapSegment& segment, const ir::Stream& s, bool is_output,
           std::mt19937& generator) {
    std::int64_t extent = 0;
    for (std::int64_t i = 0; i < count(segment); ++i)
      extent = std::max(extent, offset(dims(segment), s, i) + 1);
    const std::size_t size = ir::byte_size(s.dtype),
                      bytes = static_cast<std::size_t>(extent) * size;
    buffers.push_back(runtime::allocate_aligned(bytes + 64));
    auto* p = reinterpret_cast<std::uint8_t*>(buffers.back().get());
    std::memset(p, 0xee, bytes + 64);
    for (std::size_t i = 0; i < bytes && !is_output; i += size) fill(s.dtype, p + i, generator);
    sizes.push_back(bytes);
  }

  const std::uint8_t* data(std::size_t i) const {
    return reinterpret_cast<const std::uint8_t*>(buffers[i].get());
  }

  // Runs the work in `pieces` calls; returns the bytes of all buffers, and what follows them.
  std::vector<Bytes> run(const codegen::Kernel& kernel, std::int64_t pieces) {
    std::vector<void*> pointers;
    for (auto& b : buffers) pointers.push_back(b.get());
    const std::int64_t units = kernel.units(batch);
    for (std::int64_t i = 0; i < pieces; ++i) {
      codegen::Call call;
      call.buffers = pointers.data();
      call.batch = batch;
      call.begin = units * i / pieces, call.end = units * (i + 1) / pieces;
      kernel.run(call);
    }
    std::vector<Bytes> result;
    for (std::size_t i = 0; i < buffers.size(); ++i)
      result.emplace_back(data(i), data(i) + sizes[i] + 64);
    return result;
  }

  const MapSpec& spec;
  std::int64_t batch;
  std::vector<runtime::AlignedBytes> buffers;
  std::vector<std::size_t> sizes;
};

}  // namespace taper
