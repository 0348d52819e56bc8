// Shared by the tests of gemm and conv kernels: buffers whose unused lanes are NaN, epilogues with
// their references, and runs of a kernel over cut ranges.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "codegen/kernel.h"
#include "ir/error.h"
#include "ir/isa.h"
#include "runtime/aligned.h"

namespace taper::testing {

inline std::vector<const ir::Isa*> host_isas() {
  std::vector<const ir::Isa*> isas;
  for (const char* name : {"avx2", "avx512", "neon"}) {
    const ir::Isa& isa = ir::isa_named(name);
    if (ir::select_isa(ir::host_features(), name) == &isa) isas.push_back(&isa);
  }
  return isas;
}

// Floats that start as NaN, so that a read of an element that nobody wrote shows; the readable
// bytes past the end are NaN too.
class Buffer {
 public:
  explicit Buffer(std::int64_t size)
      : size_(size), bytes_(runtime::allocate_aligned(static_cast<std::size_t>(size) * 4)) {
    for (std::int64_t i = 0; i < size + 16; ++i) (*this)[i] = std::nanf("");
  }
  float* data() { return reinterpret_cast<float*>(bytes_.get()); }
  float& operator[](std::int64_t i) { return data()[i]; }
  std::int64_t size() const { return size_; }

 private:
  std::int64_t size_;
  runtime::AlignedBytes bytes_;
};

inline float random_value(std::mt19937& generator) {
  return static_cast<float>(static_cast<int>(generator() % 2001) - 1000) / 1000.0f;
}

enum class EpilogueKind { none, bias_relu, mask, residual, curve };
inline constexpr EpilogueKind kEpilogues[] = {EpilogueKind::none, EpilogueKind::bias_relu,
                                              EpilogueKind::mask, EpilogueKind::residual,
                                              EpilogueKind::curve};

inline ir::ExprInstr instr(ir::Op op, std::int16_t a, std::int16_t b = -1, std::int16_t c = -1) {
  ir::ExprInstr i;
  i.op = op;
  i.args = {a, b, c};
  return i;
}

inline ir::Epilogue make_epilogue(EpilogueKind kind) {
  using ir::EpilogueAccess;
  ir::Epilogue e;
  const auto f32 = [&](EpilogueAccess access) { e.operands.push_back({ir::DType::f32, access}); };
  switch (kind) {
    case EpilogueKind::none:
      return e;
    case EpilogueKind::bias_relu:  // relu(acc + bias)
      f32(EpilogueAccess::channel);
      e.expr.instrs = {instr(ir::Op::add, 0, 1), instr(ir::Op::relu, 2)};
      break;
    case EpilogueKind::mask:  // mask ? acc : 0
      e.operands.push_back({ir::DType::boolean, EpilogueAccess::same});
      e.expr.instrs = {instr(ir::Op::constant, -1), instr(ir::Op::select, 1, 0, 2)};
      break;
    case EpilogueKind::residual:  // acc * scale + residual
      f32(EpilogueAccess::same);
      f32(EpilogueAccess::scalar);
      e.expr.instrs = {instr(ir::Op::mul, 0, 2), instr(ir::Op::add, 3, 1)};
      break;
    case EpilogueKind::curve:  // tanh(sigmoid(acc) + bias) * acc: more registers than are free
      f32(EpilogueAccess::channel);
      e.expr.instrs = {instr(ir::Op::sigmoid, 0), instr(ir::Op::add, 2, 1), instr(ir::Op::tanh, 3),
                       instr(ir::Op::mul, 4, 0)};
      break;
  }
  e.expr.inputs = 1 + static_cast<std::int64_t>(e.operands.size());
  e.expr.outputs = {static_cast<std::int16_t>(e.expr.inputs +
                                              static_cast<std::int64_t>(e.expr.instrs.size()) - 1)};
  return e;
}

// The operand buffers of an epilogue for a result of `size` elements and `channels` channels.
struct EpilogueData {
  std::vector<Buffer> buffers;

  EpilogueData(EpilogueKind kind, std::int64_t size, std::int64_t channels, std::mt19937& generator)
      : kind_(kind) {
    if (kind == EpilogueKind::none) return;
    const bool per_channel = kind == EpilogueKind::bias_relu || kind == EpilogueKind::curve;
    buffers.emplace_back(per_channel ? channels : size);
    if (kind == EpilogueKind::mask) {
      auto* mask = reinterpret_cast<std::uint8_t*>(buffers[0].data());
      for (std::int64_t i = 0; i < size; ++i) mask[i] = generator() % 2;
      return;
    }
    for (std::int64_t i = 0; i < buffers[0].size(); ++i) buffers[0][i] = random_value(generator);
    if (kind == EpilogueKind::residual) {
      buffers.emplace_back(1);
      buffers[1][0] = 0.75f;
    }
  }

  double reference(double acc, std::int64_t offset, std::int64_t channel) {
    switch (kind_) {
      case EpilogueKind::none:
        return acc;
      case EpilogueKind::bias_relu:
        return std::max(0.0, acc + buffers[0][channel]);
      case EpilogueKind::mask:
        return reinterpret_cast<std::uint8_t*>(buffers[0].data())[offset] != 0 ? acc : 0;
      case EpilogueKind::residual:
        return acc * buffers[1][0] + buffers[0][offset];
      case EpilogueKind::curve:
        return std::tanh(1 / (1 + std::exp(-acc)) + buffers[0][channel]) * acc;
    }
    return 0;
  }

 private:
  EpilogueKind kind_;
};

// Runs `kernel` over [0, units) cut into pieces of at most `cut` units, or planes of them.
inline void run_cut(const codegen::Kernel& kernel, std::vector<void*> buffers, std::int64_t batch,
                    std::int64_t cut, std::int64_t planes = 1) {
  const runtime::AlignedBytes scratch = runtime::allocate_aligned(kernel.scratch_bytes(batch));
  const std::int64_t units = kernel.units(batch) * planes;
  for (std::int64_t begin = 0; begin < units; begin += cut) {
    codegen::Call call;
    call.buffers = buffers.data();
    call.batch = batch;
    call.begin = begin;
    call.end = std::min(units, begin + cut);
    call.scratch = scratch.get();
    call.planes = planes;
    kernel.run(call);
  }
}

}  // namespace taper::testing
