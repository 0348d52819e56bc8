// Operands of epilogues, and the epilogue of kernels that finish one vector of result elements at a
// time (pool, reduce).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "codegen/expr.h"
#include "codegen/kernel.h"
#include "codegen/masm.h"

namespace taper::codegen {

inline constexpr std::size_t kMaxElementOperands = 12;

// Part of the args struct of a routine: where each operand's first element of this call is.
using OperandPointers = std::array<const void*, kMaxElementOperands>;

// Throws taper::Error, naming `kernel`, when the epilogue is not one this file can emit.
void check_epilogue(const ir::Epilogue& epilogue, const char* kernel, bool channels);

// Sets the pointers of the operands for the result element at `offset` (in elements), in the
// channel block that starts at `channel`. `buffers`: one per operand. In place: copying pointers
// that were only just stored would wait for the stores.
inline void set_operand_pointers(OperandPointers& pointers, const ir::Epilogue& epilogue,
                                 void* const* buffers, std::int64_t offset, std::int64_t channel) {
  for (std::size_t i = 0; i < epilogue.operands.size(); ++i) {
    const ir::EpilogueOperand& operand = epilogue.operands[i];
    const auto size = static_cast<std::int64_t>(ir::byte_size(operand.dtype));
    std::int64_t element = 0;
    if (operand.access == ir::EpilogueAccess::same) element = offset;
    if (operand.access == ir::EpilogueAccess::channel) element = channel;
    pointers[i] = static_cast<const std::byte*>(buffers[i]) + element * size;
  }
}

// d = what a vector of results takes of the operand that `base` points to: from element `same` on
// where the operand is like the result, from element `channel` on where it has one per channel.
void load_operand(Masm& m, Vec d, const ir::EpilogueOperand& operand, Gp base, std::int64_t same,
                  std::int64_t channel, bool tail);

// Where in the call's work a vector of result elements lies.
struct ElementPlace {
  Address pointers;         // of the OperandPointers, in the args struct
  Gp element{};             // running offset in elements of operands like the result, or invalid
  std::int64_t offset = 0;  // added to it
  int lane = 0;             // first lane of the vector in its block of 16
  bool tail = false;
};

// d = operand `i` of the epilogue at `place`. Needs two free general registers.
void load_operand(Masm& m, Vec d, const ir::Epilogue& epilogue, std::size_t i,
                  const ElementPlace& place);

// acc = expr(acc, operands...). Needs two free general registers and max_registers(expr) + 1
// vectors.
void emit_epilogue(Masm& m, const ir::Epilogue& epilogue, Vec acc, const ElementPlace& place);

// Results of the moments of an epilogue.
inline constexpr std::size_t kMaxMoments = 2;
// Part of the args struct of a routine: the sums of this call's first channel.
using MomentPointers = std::array<float*, kMaxMoments>;

// The sums of a vector of channels, in registers while one pixel after another is added.
class MomentSums {
 public:
  // `pointers`: of the MomentPointers, in the args struct; `channel` is the vector's first one.
  MomentSums(Masm& m, const ir::Epilogue& epilogue, Address pointers, std::int64_t channel);
  // Adds the moments of a result; `load` is asked for inputs from 1 on. The result must have been
  // stored, since the first one is among the inputs.
  void add(Vec result, const LoadInput& load);
  void store();

 private:
  void for_each(const std::function<void(Vec sum, Address at)>& visit) const;

  Masm& m_;
  const ir::Epilogue& epilogue_;
  Address pointers_;
  std::int64_t channel_;
  std::vector<Vec> sums_;
};

// Where a kernel keeps the sums of its images, and what it does before and after an image.
class ImageMoments {
 public:
  ImageMoments() = default;
  // `buffer`: number of that of the first sums among the kernel's.
  ImageMoments(const ir::Epilogue& epilogue, std::size_t buffer, std::int64_t channels,
               std::int64_t pixels);
  // Of channels [channel, channel + count) of an image.
  void start(void* const* buffers, std::int64_t image, std::int64_t channel,
             std::int64_t count) const;
  void finish(void* const* buffers, std::int64_t image, std::int64_t channel,
              std::int64_t count) const;
  void set_pointers(MomentPointers& pointers, void* const* buffers, std::int64_t image,
                    std::int64_t channel) const {
    for (std::size_t i = 0; i < count_; ++i) pointers[i] = at(buffers, i, image, channel);
  }

 private:
  float* at(void* const* buffers, std::size_t i, std::int64_t image, std::int64_t channel) const {
    return static_cast<float*>(buffers[buffer_ + i]) + image * channels_ + channel;
  }

  std::size_t count_ = 0, buffer_ = 0;
  std::int64_t channels_ = 0;
  float pixels_ = 1;  // what the sums of an image are divided by
};

}  // namespace taper::codegen
