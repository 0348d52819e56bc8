// Layers against what PyTorch computed: tests/vectors/layers_*.txt, made by tests/record_layers.py.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <taper/taper.h>

#include <cmath>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "ir/isa.h"

namespace taper::layers {

struct Recorded {
  Shape shape;
  std::vector<float> values;
};
using Case = std::map<std::string, Recorded>;

inline Recorded read_tensor(std::istream& line) {
  Recorded tensor;
  std::size_t rank = 0, count = 1;
  line >> rank;
  tensor.shape.resize(rank);
  for (Dim& extent : tensor.shape) {
    line >> extent;
    count *= static_cast<std::size_t>(extent);
  }
  for (double value; line >> value;) tensor.values.push_back(static_cast<float>(value));
  EXPECT_EQ(tensor.values.size(), count);
  return tensor;
}

// The cases of tests/vectors/layers_TOPIC.txt by name.
inline std::map<std::string, Case> read_cases(const std::string& topic) {
  std::ifstream file(fmt::format("{}/tests/vectors/layers_{}.txt", TAPER_SOURCE_DIR, topic));
  std::map<std::string, Case> cases;
  Case* current = nullptr;
  for (std::string text; std::getline(file, text);) {
    std::istringstream line(text);
    std::string key, name;
    line >> key;
    if (key == "case") {
      line >> name;
      current = &cases[name];
    } else if (current != nullptr) {
      (*current)[key] = read_tensor(line);
    }
  }
  return cases;
}

inline std::vector<const ir::Isa*> host_isas() {
  std::vector<const ir::Isa*> isas;
  for (const ir::Isa* isa : {&ir::kAvx2, &ir::kAvx512, &ir::kNeon}) {
    const ir::Isa* best = ir::select_isa(ir::host_features(), std::string(isa->name));
    if (best != nullptr && best->name == isa->name) isas.push_back(isa);
  }
  return isas;
}

inline void expect_near(std::span<const float> ours, const std::vector<float>& theirs,
                        const std::string& what) {
  ASSERT_EQ(ours.size(), theirs.size()) << what;
  float largest = 1;
  for (const float value : theirs) largest = std::max(largest, std::fabs(value));
  for (std::size_t i = 0; i < theirs.size(); ++i)
    ASSERT_NEAR(ours[i], theirs[i], 4e-6f * largest) << what << "[" << i << "]";
}

// One layer, compiled for one ISA (none: the interpreter) and one mode, against one case.
class LayerRun {
 public:
  LayerRun(const nn::Module& layer, const Case& recorded, CompileOptions options)
      : layer_(layer), recorded_(recorded), options_(options) {
    options_.max_batch = recorded.at("x").shape[0];
  }

  void check(Mode mode) {
    const std::string prefix = mode == Mode::train ? "train." : "eval.";
    reset(mode);
    Tape tape;
    std::vector<std::string> keys{"y"};
    std::vector<Tensor> outputs = record(tape, keys);
    Function function(tape, outputs, options_, mode);
    call(function);
    for (std::size_t i = 0; i < keys.size(); ++i)
      expect_near(function.output(i), at(prefix + keys[i]).values, prefix + keys[i]);
    for (const auto& [name, buffer] : layer_.buffers())
      expect_near(buffer->read(), at(prefix + "after." + name).values, prefix + "after." + name);
  }

 private:
  const Recorded& at(const std::string& key) const {
    const auto found = recorded_.find(key);
    if (found == recorded_.end()) throw Error("no recorded " + key);
    return found->second;
  }

  // What PyTorch started from: its evaluation came after the training step.
  void reset(Mode mode) const {
    for (const auto& [name, parameter] : layer_.parameters()) {
      EXPECT_EQ(parameter->type().shape, at("param." + name).shape);
      parameter->write(at("param." + name).values);
    }
    const std::string before = mode == Mode::train ? "buffer." : "train.after.";
    for (const auto& [name, buffer] : layer_.buffers()) buffer->write(at(before + name).values);
  }

  bool takes_indices() const { return !recorded_.contains("train.dx"); }

  static Shape batched(Shape shape) {
    shape[0] = N;
    return shape;
  }

  std::vector<Tensor> record(Tape& tape, std::vector<std::string>& keys) const {
    const DType dtype = takes_indices() ? DType::i32 : DType::f32;
    const Tensor x = tape.input("x", batched(at("x").shape), dtype);
    const Tensor g = tape.input("g", batched(at("g").shape));
    const Tensor y = layer_(x);
    EXPECT_EQ(y.shape(), batched(at("train.y").shape));
    const Tensor scalar = sum(y * g);
    std::vector<Tensor> outputs{y};
    if (!takes_indices()) {
      keys.emplace_back("dx");
      outputs.push_back(gradient(scalar, x));
    }
    for (const auto& [name, parameter] : layer_.parameters()) {
      keys.push_back("d." + name);
      outputs.push_back(gradient(scalar, tape.parameter(parameter)));
    }
    return outputs;
  }

  void call(Function& function) const {
    const std::vector<float>& x = at("x").values;
    if (takes_indices())
      function(std::vector<std::int32_t>(x.begin(), x.end()), at("g").values);
    else
      function(x, at("g").values);
  }

  const nn::Module& layer_;
  const Case& recorded_;
  CompileOptions options_;
};

// In both modes, on every ISA of the host and by the interpreter.
inline void check(const nn::Module& layer, const Case& recorded) {
  ASSERT_FALSE(recorded.empty());
  for (const Mode mode : {Mode::train, Mode::evaluate}) {
    for (const ir::Isa* isa : host_isas())
      for (const int threads : {1, 2}) {
        SCOPED_TRACE(fmt::format("{}, threads {}", isa->name, threads));
        LayerRun(layer, recorded, {.threads = threads, .isa = isa}).check(mode);
      }
    SCOPED_TRACE("interpreter");
    LayerRun(layer, recorded, {.interpret = true}).check(mode);
  }
}

// The message of the Error that `call` must throw.
template <class Call>
std::string error_of(Call&& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "(no error)";
}

}  // namespace taper::layers
