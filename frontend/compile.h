// Compiling what a tape holds into function objects.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <ranges>
#include <span>
#include <string>
#include <vector>

#include "frontend/mode.h"
#include "frontend/optim.h"
#include "frontend/tape.h"
#include "runtime/executable.h"

namespace taper {

using runtime::CompileOptions;

// The C++ element type of each input dtype.
template <class T>
concept Element = std::same_as<T, float> || std::same_as<T, std::uint8_t> ||
    std::same_as<T, std::int8_t> || std::same_as<T, std::int32_t>;

// A caller's data for one input, row-major.
struct InputView : runtime::InputBytes {
  DType dtype;

  template <std::ranges::contiguous_range Range>
  requires Element<std::ranges::range_value_t<Range>> InputView(const Range& range)
      : InputBytes(std::as_bytes(std::span(std::ranges::data(range), std::ranges::size(range)))),
        dtype(dtype_of<std::ranges::range_value_t<Range>>()) {}
  // Of elements whose type only the run knows.
  InputView(DType type, const runtime::InputBytes& data) : InputBytes(data), dtype(type) {}

 private:
  template <class T>
  static constexpr DType dtype_of() {
    if constexpr (std::same_as<T, float>) return DType::f32;
    if constexpr (std::same_as<T, std::uint8_t>) return DType::u8;
    if constexpr (std::same_as<T, std::int8_t>) return DType::i8;
    if constexpr (std::same_as<T, std::int32_t>) return DType::i32;
  }
};

// A compiled function of the inputs that its outputs depend on, in the order they were recorded.
// The batch size is read off the first input that has one. One call at a time per object.
class Function {
 public:
  // Outputs of `tape`, plus its updates in Mode::train. The variables are shared, not copied.
  Function(const Tape& tape, const std::vector<Tensor>& outputs, const CompileOptions& options,
           Mode mode = Mode::evaluate);

  // Runs and returns output 0, row-major, valid until the next call. Throws taper::Error for wrong
  // sizes, dtypes or labels and for a batch above CompileOptions::max_batch; nothing changes then.
  template <class... Inputs>
  std::span<const float> operator()(const Inputs&... inputs) {
    const std::array<InputView, sizeof...(Inputs)> views{InputView(inputs)...};
    return run(views);
  }
  std::span<const float> run(std::span<const InputView> inputs);

  std::span<const float> output(std::size_t index) const { return executable_.output(index); }
  std::size_t output_count() const { return executable_.output_types().size(); }
  const std::vector<std::string>& inputs() const { return inputs_; }  // names, in call order
  // Every parameter and state that it reads or writes, by name on the tape.
  const Variables& variables() const { return executable_.variables(); }
  const runtime::Report& report() const { return executable_.report(); }
  std::string plan() const { return executable_.plan(); }

  // Replays the last run, whose inputs must still be alive, in the interpreter, provided that it
  // updated no variable: where output `index` stopped being finite. Slow.
  std::optional<runtime::NonFinite> first_non_finite(std::size_t index) const {
    return executable_.first_non_finite(arguments_, index);
  }

 private:
  Dim batch_of(std::span<const InputView> views) const;

  runtime::Executable executable_;
  std::vector<std::string> inputs_;
  std::vector<std::size_t> position_;  // of inputs_[i] among the executable's inputs
  std::vector<runtime::InputBytes> arguments_;
};

// When a step is rejected: then no parameter and no state changes, and the call throws.
enum class Guard : std::uint8_t {
  // The loss (or the norm that Optimizer::clip_norm computes) is not finite. Costs no pass over
  // memory. Where the loss is finite and an element of a gradient is not, that element of the
  // parameter and its states stay as they are, the others are updated, and nothing is thrown.
  // A finite gradient so large that the update itself overflows is not caught.
  loss,
  // The loss or any element of any gradient is not finite. Reads every gradient once more.
  gradients,
};

struct TrainingOptions {
  // So many calls make one update, with the mean of their gradients. The sums are states, so that
  // they are saved with the rest. States that the model updates (running statistics) change in
  // each.
  int accumulate = 1;
  Guard guard = Guard::loss;
};

// A rejected step.
class NonFiniteError : public Error {
 public:
  using Error::Error;
};

// One optimizer step per call: forward, loss, gradients and update as one compiled program.
class TrainingStep {
 public:
  TrainingStep(const Tensor& loss, const optim::Optimizer& optimizer,
               const std::vector<Tensor>& outputs, const CompileOptions& options,
               const TrainingOptions& training);

  float learning_rate;  // read by every call; changing it compiles nothing

  // The number of calls so far, rejected ones included; the name of a call in errors. A program
  // that resumes a training may set it.
  std::int64_t calls = 0;

  // The loss of this batch, before the update. Throws as Function does, and NonFiniteError for a
  // rejected step, naming the call and the first op whose result is not finite; to find it the call
  // is replayed in the interpreter.
  template <class... Inputs>
  float operator()(const Inputs&... inputs) {
    const std::array<InputView, sizeof...(Inputs)> views{InputView(inputs)...};
    return run(views);
  }
  float run(std::span<const InputView> inputs);

  // The i-th of the extra `outputs` of the last step.
  std::span<const float> output(std::size_t i) const { return last().output(i + 2); }
  std::size_t output_count() const { return last().output_count() - 2; }
  // Every parameter and state that a step reads or writes, those of the optimizer included.
  const Variables& variables() const { return programs_.update.variables(); }
  const runtime::Report& report() const { return programs_.update.report(); }
  std::string plan() const { return programs_.update.plan(); }

 private:
  // With accumulation there are two programs; the first calls of an update only add to the sums.
  struct Programs {
    Function update;
    std::optional<Function> accumulate;
    std::shared_ptr<Variable> count;  // of calls since the last update
    int accumulate_calls;             // that make an update
  };
  const Function& last() const { return updated_ ? programs_.update : *programs_.accumulate; }
  [[noreturn]] void reject(float loss) const;

  Programs programs_;
  bool updated_ = true;  // the last call
  std::vector<InputView> views_;
};

// A function of the outputs; in Mode::train it also updates what layers update (running
// statistics).
Function compile(const Tensor& output, const CompileOptions& options = {},
                 Mode mode = Mode::evaluate);
Function compile(const std::vector<Tensor>& outputs, const CompileOptions& options = {},
                 Mode mode = Mode::evaluate);

// A training step of a scalar loss, in Mode::train; `outputs` are computed along with it (logits,
// say).
TrainingStep compile(const Tensor& loss, const optim::Optimizer& optimizer,
                     const CompileOptions& options = {}, const std::vector<Tensor>& outputs = {},
                     const TrainingOptions& training = {});

}  // namespace taper
