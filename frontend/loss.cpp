#include "frontend/loss.h"

#include <algorithm>
#include <cmath>

namespace taper {
namespace {

Tensor reduced(const Tensor& each, Reduction reduction) {
  if (reduction == Reduction::none) return each;
  return reduction == Reduction::sum ? sum(each) : mean(each);
}

// The tape of two operands, of which at most one is a number, and whose shapes are equal.
Tape& tape_of_pair(const char* loss, const Operand& x, const Operand& target) {
  Tape* tape = x.tape() != nullptr ? x.tape() : target.tape();
  if (tape == nullptr) throw Error(x.where(), "{}: one operand must be a Tensor", loss);
  if (x.tape() == nullptr || target.tape() == nullptr) return *tape;
  if (x.tape() != target.tape())
    throw Error(x.where(), "{}: the operands are on different tapes", loss);
  const Shape& a = tape->graph()[x.on(*tape)].type.shape;
  const Shape& b = tape->graph()[target.on(*tape)].type.shape;
  if (a != b)
    throw Error(x.where(), "{}: the shapes {} and {} differ", loss, ir::to_string(a),
                ir::to_string(b));
  return *tape;
}

}  // namespace

Tensor mse_loss(Operand x, Operand target, Reduction reduction) {
  const Tape::Line line(&tape_of_pair("mse_loss", x, target), x.where());
  const Tensor d = x - target;
  return reduced(d * d, reduction);
}

Tensor l1_loss(Operand x, Operand target, Reduction reduction) {
  const Tape::Line line(&tape_of_pair("l1_loss", x, target), x.where());
  const Tensor d = x - target;
  return reduced(abs(d), reduction);
}

Tensor smooth_l1_loss(Operand x, Operand target, double beta, Reduction reduction) {
  if (!(beta >= 0) || !std::isfinite(beta))
    throw Error(x.where(), "smooth_l1_loss: beta {} is negative or not finite", beta);
  const Tape::Line line(&tape_of_pair("smooth_l1_loss", x, target), x.where());
  const Tensor d = abs(x - target);
  if (beta == 0) return reduced(d, reduction);
  const Tensor near = d * d * (0.5 / beta);
  const Tensor far = d - 0.5 * beta;
  return reduced(where(d < beta, near, far), reduction);
}

Tensor bce_loss(Operand probabilities, Operand target, Reduction reduction) {
  Tape& tape = tape_of_pair("bce_loss", probabilities, target);
  const Tape::Line line(&tape, probabilities.where());
  const Tensor p(tape, probabilities.on(tape));
  const Tensor t(tape, target.on(tape));
  // The logarithm of 0 would have the gradient 0 / 0.
  const auto log_of = [](const Tensor& x) {
    const Tensor positive = where(x > 0, x, 1);
    return where(x > 0, maximum(log(positive), -100), -100);
  };
  const Tensor yes = log_of(p);
  const Tensor no = log_of(1 - p);
  return reduced(-(t * yes + (1 - t) * no), reduction);
}

Tensor bce_with_logits(Operand x, Operand target, const BceOptions& options) {
  Tape& tape = tape_of_pair("bce_with_logits", x, target);
  const Tape::Line line(&tape, x.where());
  const Tensor logits(tape, x.on(tape));
  const Tensor t(tape, target.on(tape));
  // log(1 + exp(-x)), whose gradient at 0 must be the right one: maximum halves it there.
  const Tensor highest = maximum(-logits, 0);
  const Tensor rest = log(1 + exp(-abs(logits)));
  const Tensor softplus = highest + rest;
  const std::vector<double>& weights = options.pos_weight;
  if (weights.empty()) return reduced((1 - t) * logits + softplus, options.reduction);
  const Shape shape = logits.shape();
  const auto count = static_cast<Dim>(weights.size());
  const bool fits = count == 1 || (!shape.empty() && count == shape.back());
  if (!fits || !std::ranges::all_of(weights, [](double w) { return std::isfinite(w); }))
    throw Error(x.where(),
                "bce_with_logits: {} values of pos_weight do not fit {}, or one is not finite",
                count, ir::to_string(shape));
  const Tensor weight = tape.constant(count == 1 ? Shape{} : Shape{count}, weights, x.where());
  const Tensor scale = (weight - 1) * t + 1;
  return reduced((1 - t) * logits + scale * softplus, options.reduction);
}

}  // namespace taper
