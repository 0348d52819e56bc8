#include "frontend/compile.h"

#include <fmt/format.h>

#include <algorithm>

namespace taper {
Function::Function(const Tape& tape, const std::vector<Tensor>& outputs,
                   const CompileOptions& options, Mode mode)
    : executable_(runtime::compile(graph_of(tape, outputs, mode), tape.variables(), options)) {
  const std::vector<std::string>& names = executable_.input_names();
  for (const std::string& name : tape.inputs()) {
    const auto at = std::ranges::find(names, name);
    if (at == names.end()) continue;
    inputs_.push_back(name);
    position_.push_back(static_cast<std::size_t>(at - names.begin()));
  }
  arguments_.resize(inputs_.size());
}

Dim Function::batch_of(std::span<const InputView> views) const {
  for (std::size_t i = 0; i < views.size(); ++i) {
    const ir::TensorType& type = executable_.input_types()[position_[i]];
    if (!type.has_batch()) continue;
    const auto image =
        static_cast<std::size_t>(ir::element_count(type.shape, 1)) * ir::byte_size(type.dtype);
    if (image == 0 || views[i].size() % image != 0)
      throw Error("call: input \"{}\" is {}, but {} bytes are no whole number of images",
                  inputs_[i], ir::to_string(type), views[i].size());
    return static_cast<Dim>(views[i].size() / image);
  }
  return 1;
}

std::span<const float> Function::run(std::span<const InputView> inputs) {
  if (inputs.size() != inputs_.size())
    throw Error("call: {} inputs were given but the function takes {} ({})", inputs.size(),
                inputs_.size(), fmt::join(inputs_, ", "));
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const ir::TensorType& type = executable_.input_types()[position_[i]];
    if (inputs[i].dtype != type.dtype)
      throw Error("call: input \"{}\" is {} but {} data were given", inputs_[i],
                  ir::to_string(type), ir::name(inputs[i].dtype));
    arguments_[position_[i]] = inputs[i];
  }
  executable_.run(arguments_, batch_of(inputs));
  return executable_.output(0);
}

Function compile(const std::vector<Tensor>& outputs, const CompileOptions& options, Mode mode) {
  if (outputs.empty()) throw Error("compile: no outputs were given");
  return Function(outputs.front().tape(), outputs, options, mode);
}
Function compile(const Tensor& output, const CompileOptions& options, Mode mode) {
  return compile(std::vector<Tensor>{output}, options, mode);
}

}  // namespace taper
