// Saving what a training has made: weights alone, or all that it takes to go on. Files are
// safetensors, replaced as a whole (frontend/atomic_file.h).
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "frontend/data/loader.h"
#include "frontend/nn.h"
#include "frontend/safetensors.h"
#include "frontend/tape.h"

namespace taper {

struct SaveOptions {
  // How f32 variables are stored: f32, f16 or bf16, rounded to nearest even. Others keep their
  // type.
  safetensors::Type floats = safetensors::Type::f32;
  safetensors::Metadata metadata = {};
};

// Parameters and buffers, with the names and layouts of PyTorch's state_dict.
void save_weights(const std::filesystem::path& path, const nn::Module& module,
                  const SaveOptions& options = {});
void save_weights(const std::filesystem::path& path, const Variables& variables,
                  const SaveOptions& options = {});

// The other way. An f32 variable takes every type, converted to the nearest f32, any other variable
// its own. Tensors that are missing, unknown or of another shape or type are one taper::Error that
// lists them all, and nothing has changed then.
void load_weights(const std::filesystem::path& path, const nn::Module& module);
void load_weights(const std::filesystem::path& path, const Variables& variables);

// Where a training is, apart from its variables.
struct TrainingState {
  std::int64_t step = 0;                        // steps done: TrainingStep::calls
  std::map<std::string, double> schedule = {};  // what the schedule remembers, exact
  data::Position position = {};                 // of the loader of the training set
  // For the program's own use; keys that begin with "taper." are refused.
  std::map<std::string, std::string> user = {};
};

// Saves `state`, the variables (TrainingStep::variables(): weights, optimizer state, counters) and
// where manual_seed's random numbers of this thread are.
void save_checkpoint(const std::filesystem::path& path, const Variables& variables,
                     const TrainingState& state);

// Restores the variables and the random numbers of this thread and returns the state: training goes
// on bit for bit. Errors as those of load_weights; nothing has changed then.
TrainingState load_checkpoint(const std::filesystem::path& path, const Variables& variables);

}  // namespace taper
