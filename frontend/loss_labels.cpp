// Losses of integer labels. Only the plain case has a kernel of its own; the others compare labels
// with a constant that counts the classes.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "frontend/loss.h"

namespace taper {
namespace {

// One call of a loss: where, of what, and its options.
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

Tensor fused_cross_entropy(const Call& call, Reduction reduction) {
  ir::Builder builder = call.tape.builder(call.where);
  const Tensor each(call.tape, builder.cross_entropy(call.scores.id(), call.labels.id()));
  if (reduction == Reduction::none) return each;
  return reduction == Reduction::sum ? sum(each) : mean(each);
}

}  // namespace

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
  if (plain && call.scores.shape().size() == 2) return fused_cross_entropy(call, options.reduction);
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

}  // namespace taper
