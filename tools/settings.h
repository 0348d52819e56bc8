// How a graph is run: the options that `run`, `bench` and `profile` share, and what they bring in.
#pragma once

#include <CLI/App.hpp>
#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "ir/graph.h"
#include "runtime/executable.h"

namespace taper::tools {

struct Settings {
  std::string isa, weights, winograd = "on";
  std::vector<std::string> inputs;  // NAME=F.npy, NAME=random:SEED or NAME=NUMBER
  int threads = 0;
  bool interpret = false;
  ir::Dim batch = 0;  // 0: that of the files, else 1
};
void add_settings(CLI::App& command, Settings& settings);

// Throws taper::Error when the host cannot run the instruction set.
runtime::CompileOptions compile_options(const Settings& settings, ir::Dim batch);

// Row-major bytes of every input, by name, at `batch`.
struct Arguments {
  ir::Dim batch = 1;
  std::map<std::string, std::vector<std::byte>> inputs;

  // In the order of the executable's inputs.
  std::vector<runtime::InputBytes> for_run(const runtime::Executable& executable) const;
};

// An input that is not given is an error, unless `random_default`: then it is random:0, and
// "learning_rate" 0.001. Throws taper::Error: unknown names, other shapes and dtypes than the
// graph's, files with different batches.
Arguments read_arguments(const ir::Graph& graph, const Settings& settings, bool random_default);

// Parameters and states from the safetensors file `weights`, which must hold exactly them, or for
// random:SEED (the default, with 0) parameters uniform in +-1/sqrt(inputs of an element of the
// result) and states 0.
runtime::Variables read_weights(const ir::Graph& graph, const std::string& weights);

// "NAME=VALUE" apart. Throws taper::Error naming `option`.
std::pair<std::string, std::string> split_pair(const std::string& text, std::string_view option);

}  // namespace taper::tools
