// Transcendentals and small composites, written once over Masm: polynomials with FMA and correctly
// rounded division, the same bits on every ISA.
#pragma once

#include "codegen/masm.h"
#include "ir/op.h"

namespace taper::codegen {

// Each takes its scratch registers from the Masm's pool (at most kScratch) and gives them back.
// d is none of the operands; operands are preserved.
class Math {
 public:
  static constexpr int kScratch = 5;
  static int scratch(ir::Op op);  // how many the emit column of `op` takes
  explicit Math(Masm& m) : m_(m) {}
  void exp(Vec d, Vec a);
  void log(Vec d, Vec a);
  void sigmoid(Vec d, Vec a);
  void tanh(Vec d, Vec a);
  void erf(Vec d, Vec a);
  void relu(Vec d, Vec a);  // NaN stays NaN, as in PyTorch
  void relu6(Vec d, Vec a);
  void neg(Vec d, Vec a);
  void abs(Vec d, Vec a);
  void maximum(Vec d, Vec a, Vec b);  // NaN if either is NaN
  void minimum(Vec d, Vec a, Vec b);
  // Uniform [0, 1) for the lanes' element indices (u32) and the step counter (f32 splat, an
  // integer from 0).
  void random(Vec d, Vec index, Vec step, std::uint64_t seed, std::uint64_t stream);

 private:
  void keep_nan(Vec d, Vec a);  // d = a where a is NaN

  Masm& m_;
};

}  // namespace taper::codegen
