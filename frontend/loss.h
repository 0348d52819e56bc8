// Losses, with PyTorch's names and semantics (torch.nn.functional). Each throws taper::Error,
// naming the loss, the shapes and the caller's line, when operands or options do not fit.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "frontend/ops.h"

namespace taper {

// What becomes of the losses of the elements: one number, or the tensor of all.
enum class Reduction : std::uint8_t { mean, sum, none };

// Of two tensors of one shape, or a tensor and a number.
Tensor mse_loss(Operand x, Operand target, Reduction reduction = Reduction::mean);
Tensor l1_loss(Operand x, Operand target, Reduction reduction = Reduction::mean);
// 0.5 d d / beta where d = |x - target| is below beta, else d - 0.5 beta.
Tensor smooth_l1_loss(Operand x, Operand target, double beta = 1,
                      Reduction reduction = Reduction::mean);

// Labels are i32[N] (or i32[N,d1,...] for scores [N,C,d1,...]), an input of the tape, with values
// in [0, C) or `ignore_index`: any other is a taper::Error before the run. Unlike PyTorch's,
// nothing is ignored unless the program says so. The mean is weighted: the sum divided by the sum
// of the weights of the labels that are not ignored; it is NaN when all are.
struct CrossEntropyOptions {
  std::vector<double> weight = {};  // of each class; 1 if empty
  double label_smoothing = 0;       // in [0, 1]
  std::optional<std::int64_t> ignore_index = {};
  Reduction reduction = Reduction::mean;
};
// One kernel forward and backward where scores are [N,C] and only the reduction is given.
Tensor cross_entropy(Operand scores, Operand labels, const CrossEntropyOptions& options = {});

struct NllOptions {
  std::vector<double> weight = {};
  std::optional<std::int64_t> ignore_index = {};
  Reduction reduction = Reduction::mean;
};
// Of log-probabilities, as log_softmax gives them.
Tensor nll_loss(Operand log_probabilities, Operand labels, const NllOptions& options = {});

// -(t log(p) + (1 - t) log(1 - p)) with logarithms of at least -100. p must be in [0, 1]; the
// gradient of a logarithm that was cut off at -100 is zero.
Tensor bce_loss(Operand probabilities, Operand target, Reduction reduction = Reduction::mean);

struct BceOptions {
  std::vector<double> pos_weight =
      {};  // one, or one for each place along the last axis; 1 if empty
  Reduction reduction = Reduction::mean;
};
// bce of sigmoid(x), finite and accurate for every finite x.
Tensor bce_with_logits(Operand x, Operand target, const BceOptions& options = {});

}  // namespace taper
