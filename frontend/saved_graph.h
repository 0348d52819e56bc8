// Models as files: the recorded graph as text (.tir), its weights beside it as safetensors. They
// load without the program that recorded them.
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "frontend/safetensors_types.h"
#include "frontend/tape.h"

namespace taper {

// A tape that holds a loaded graph and its variables: compile(model.outputs) makes the function,
// whose inputs are in the order of the tape that was saved.
struct Model {
  std::unique_ptr<Tape> tape;
  std::vector<Tensor> outputs;
};

// Writes what `outputs` depend on to `path` and the weights to the path with the extension
// .safetensors instead, f32 ones as `floats` (f32, f16 or bf16). Each file is replaced as a whole
// (frontend/atomic_file.h), the weights first; a kill between the two is an error when loading.
// The graph is that of inference (Mode::evaluate): layers do not train, no variable is updated.
void save_model(const std::filesystem::path& path, const std::vector<Tensor>& outputs,
                safetensors::Type floats = safetensors::Type::f32);

// The files are untrusted. Throws taper::Error naming the file: for text that is no recorded graph
// (with line and column), for values of 2^31 elements or more, for weights that do not fit (all are
// listed) and for those saved with another text.
Model load_model(const std::filesystem::path& path);

}  // namespace taper
