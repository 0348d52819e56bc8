// Compiling what a tape holds into function objects.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <memory>
#include <ranges>
#include <span>
#include <string>
#include <vector>

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
struct InputView {
  DType dtype;
  std::span<const std::byte> bytes;

  template <std::ranges::contiguous_range Range>
  requires Element<std::ranges::range_value_t<Range>> InputView(const Range& range)
      : dtype(dtype_of<std::ranges::range_value_t<Range>>()),
        bytes(std::as_bytes(std::span(std::ranges::data(range), std::ranges::size(range)))) {}

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
  // Outputs of `tape`, plus its updates when `with_updates`. The variables are shared, not copied.
  Function(const Tape& tape, const std::vector<Tensor>& outputs, bool with_updates,
           const CompileOptions& options);

  // Runs and returns output 0, row-major, valid until the next call. Throws taper::Error for wrong
  // sizes, dtypes or labels and for a batch above CompileOptions::max_batch; nothing changes then.
  template <class... Inputs>
  std::span<const float> operator()(const Inputs&... inputs) {
    const std::array<InputView, sizeof...(Inputs)> views{InputView(inputs)...};
    return run(views);
  }
  std::span<const float> run(std::span<const InputView> inputs);

  std::span<const float> output(std::size_t index) const { return executable_.output(index); }
  const std::vector<std::string>& inputs() const { return inputs_; }  // names, in call order
  const runtime::Report& report() const { return executable_.report(); }
  std::string plan() const { return executable_.plan(); }

 private:
  Dim batch_of(std::span<const InputView> views) const;

  runtime::Executable executable_;
  std::vector<std::string> inputs_;
  std::vector<std::size_t> position_;  // of inputs_[i] among the executable's inputs
  std::vector<std::span<const std::byte>> arguments_;
};

// One optimizer step per call: forward, loss, gradients and update as one compiled program.
class TrainingStep {
 public:
  TrainingStep(const Tensor& loss, const optim::Adam& optimizer, const std::vector<Tensor>& outputs,
               const CompileOptions& options);

  float learning_rate;  // read by every call; changing it compiles nothing

  // The loss of this batch, before the update. Throws as Function does.
  template <class... Inputs>
  float operator()(const Inputs&... inputs) {
    const InputView views[] = {InputView(inputs)..., InputView(std::span(&learning_rate, 1))};
    return function_.run(views)[0];
  }

  // The i-th of the extra `outputs` of the last step.
  std::span<const float> output(std::size_t i) const { return function_.output(i + 1); }
  const runtime::Report& report() const { return function_.report(); }
  std::string plan() const { return function_.plan(); }

 private:
  Function function_;
};

// An inference function.
Function compile(const Tensor& output, const CompileOptions& options = {});
Function compile(const std::vector<Tensor>& outputs, const CompileOptions& options = {});

// A training step of a scalar loss; `outputs` are computed along with it (logits, say).
TrainingStep compile(const Tensor& loss, const optim::Adam& optimizer,
                     const CompileOptions& options = {}, const std::vector<Tensor>& outputs = {});

}  // namespace taper
