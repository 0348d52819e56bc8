#include "frontend/loss.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

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

// ---- Losses of integer labels. Only the plain case has a kernel of its own; the others compare
// labels with a constant that counts the classes. ----

// One call: where, of what, and its options.
struct Call {
  const char* loss;
  Location where;
  Tape& tape;
  Tensor scores, labels;  // [N,C,...] and i32 [N,...]
  Dim classes;
  const std::vector<double>& weight;
  std::optional<std::int64_t> ignore_index;

  [[noreturn]] void fail(const std::string& sentence) const {
    throw Error(where, "{}: {}", loss, sentence);
  }
};

Call make_call(const char* loss, const Operand& scores, const Operand& labels,
               const std::vector<double>& weight, std::optional<std::int64_t> ignore_index) {
  if (scores.tape() == nullptr || scores.tape() != labels.tape())
    throw Error(scores.where(), "{}: scores and labels must be Tensors of one tape", loss);
  Tape& tape = *scores.tape();
  Call call{loss, scores.where(), tape,        {tape, scores.on(tape)}, {tape, labels.on(tape)},
            0,    weight,         ignore_index};
  const Shape shape = call.scores.shape();
  Shape expected = shape;
  if (shape.size() >= 2) expected.erase(expected.begin() + 1);
  if (shape.size() < 2 || call.labels.dtype() != DType::i32 || call.labels.shape() != expected)
    call.fail(fmt::format("needs scores [N,C,...] and labels i32[N,...], got {} and {}{}",
                          ir::to_string(shape), ir::name(call.labels.dtype()),
                          ir::to_string(call.labels.shape())));
  call.classes = shape[1];
  if (!weight.empty() && static_cast<Dim>(weight.size()) != call.classes)
    call.fail(fmt::format("{} weights were given for {} classes", weight.size(), call.classes));
  if (!std::ranges::all_of(weight, [](double w) { return w >= 0 && std::isfinite(w); }))
    call.fail("a class weight is negative or not finite");
  return call;
}

// [C,1,...,1], to be broadcast along the class axis of the scores.
Tensor per_class(const Call& call, std::vector<double> values) {
  Shape shape(call.scores.shape().size() - 1, 1);
  shape[0] = call.classes;
  return call.tape.constant(shape, std::move(values), call.where);
}

// The checked labels as f32, and of the scores' shape whether the class is the label. An ignored
// label is no class.
struct Labels {
  Tensor value, mask;
};
Labels compare_labels(const Call& call) {
  ir::Builder builder = call.tape.builder(call.where);
  ir::RangeAttrs range{.low = 0, .high = call.classes};
  std::vector<double> numbers(static_cast<std::size_t>(call.classes));
  std::iota(numbers.begin(), numbers.end(), 0.0);
  if (call.ignore_index) {
    const std::int64_t ignored = *call.ignore_index;
    if (ignored >= 0 && ignored < call.classes)
      numbers[static_cast<std::size_t>(ignored)] = -1;  // equals no label
    else
      range.others.push_back(ignored);
  }
  const Tensor checked(call.tape, builder.in_range(call.labels.id(), range));
  const Tensor label = cast(Operand(checked, call.where), DType::f32);
  Shape column = call.scores.shape();
  column[1] = 1;
  const Tensor across = reshape(label, column);
  const Tensor classes = per_class(call, std::move(numbers));
  return {label, equal(across, classes)};
}

// Per label: minus the weighted log-probability, and the weight (0 where it is ignored).
struct Picked {
  Tensor loss, weight;
};
Picked pick(const Call& call, const Tensor& mask, const Tensor& log_probabilities) {
  const Tensor log_probability = sum(where(mask, log_probabilities, 0), {1});
  const Tensor ones =
      call.weight.empty() ? call.tape.scalar(1, call.where) : per_class(call, call.weight);
  const Tensor weight = sum(where(mask, ones, 0), {1});
  return {-(log_probability * weight), weight};
}

Tensor reduced(const Tensor& each, const Tensor& weight, Reduction reduction) {
  if (reduction == Reduction::none) return each;
  return reduction == Reduction::sum ? sum(each) : sum(each) / sum(weight);
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

Tensor nll_loss(Operand log_probabilities, Operand labels, const NllOptions& options) {
  const Call call =
      make_call("nll_loss", log_probabilities, labels, options.weight, options.ignore_index);
  const Tape::Line line(&call.tape, call.where);
  const auto [loss, weight] = pick(call, compare_labels(call).mask, call.scores);
  return reduced(loss, weight, options.reduction);
}

Tensor cross_entropy(Operand scores, Operand labels, const CrossEntropyOptions& options) {
  const Call call =
      make_call("cross_entropy", scores, labels, options.weight, options.ignore_index);
  const Tape::Line line(&call.tape, call.where);
  const double smoothing = options.label_smoothing;
  if (!(smoothing >= 0 && smoothing <= 1))
    call.fail(fmt::format("label_smoothing {} is not in [0, 1]", smoothing));
  const bool plain = options.weight.empty() && smoothing == 0 && !options.ignore_index;
  if (plain && call.scores.shape().size() == 2) {
    ir::Builder builder = call.tape.builder(call.where);
    const Tensor each(call.tape, builder.cross_entropy(call.scores.id(), call.labels.id()));
    return reduced(each, options.reduction);
  }
  const Tensor log_probabilities = log_softmax(Operand(call.scores, call.where), 1);
  const auto [label, mask] = compare_labels(call);
  const auto [loss, weight] = pick(call, mask, log_probabilities);
  if (smoothing == 0) return reduced(loss, weight, options.reduction);
  const Tensor weighted = options.weight.empty()
                              ? log_probabilities
                              : log_probabilities * per_class(call, options.weight);
  Tensor smooth = -sum(weighted, {1});
  // A class of weight zero is not an ignored label.
  if (options.ignore_index)
    smooth = where(equal(label, static_cast<double>(*options.ignore_index)), 0, smooth);
  const double share = smoothing / static_cast<double>(call.classes);
  return reduced(loss * (1 - smoothing) + smooth * share, weight, options.reduction);
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
