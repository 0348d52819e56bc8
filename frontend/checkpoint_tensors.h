// Variables to tensors of a safetensors file and back.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "frontend/safetensors.h"
#include "frontend/tape.h"

namespace taper {

using NamedVariables = std::vector<std::pair<std::string, std::shared_ptr<Variable>>>;

// f32 variables are stored as `floats`: f32, f16 or bf16, else taper::Error.
std::vector<safetensors::Tensor> tensors_of(const NamedVariables& variables,
                                            safetensors::Type floats);

// Throws taper::Error that lists every tensor that is missing, unknown or of another shape or type.
void check_tensors(const safetensors::File& file,
                   const std::vector<std::pair<std::string, ir::TensorType>>& expected);

// Checks all, reads all, then writes all.
void load_tensors(safetensors::File& file, const NamedVariables& variables);

}  // namespace taper
