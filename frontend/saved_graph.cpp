#include "frontend/saved_graph.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <utility>

#include "frontend/atomic_file.h"
#include "frontend/checkpoint_tensors.h"
#include "frontend/mode.h"
#include "frontend/safetensors.h"
#include "ir/error.h"

namespace taper {
namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t kMaxText = std::uintmax_t{1} << 30;
constexpr std::int64_t kMaxElements = std::int64_t{1} << 31;

const std::string& name_of(const ir::Node& node) {
  return std::get<ir::NameAttrs>(node.attrs).name;
}
bool is_variable(const ir::Node& node) {
  return node.op == ir::Op::parameter || node.op == ir::Op::state;
}

fs::path weights_of(const fs::path& path) {
  fs::path weights = path;
  weights.replace_extension(".safetensors");
  if (weights == path)
    throw Error(
        fmt::format("{}: is the name of the weights; the graph's ends in .tir", path.string()));
  return weights;
}

// Ties the weights to the text that they were saved with.
std::string checksum(std::string_view text) {
  const auto* bytes = reinterpret_cast<const Bytef*>(text.data());
  return fmt::format("{:08x}", crc32_z(0, bytes, text.size()));
}

ir::Graph graph_of(const Tape& tape, const std::vector<Tensor>& outputs) {
  ir::Graph graph = tape.graph();
  graph.updates.clear();
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (&outputs[i].tape() != &tape) throw Error("save_model: the outputs are on different tapes");
    graph.outputs.push_back({fmt::format("output{}", i), outputs[i].id()});
  }
  return in_mode(graph, Mode::evaluate);
}

// "taper.input.0" and so on: the text is in the order of the computation.
std::string input_key(std::size_t index) {
  return fmt::format("taper.input.{}", index);
}

std::string read_text(const fs::path& path) {
  std::error_code error;
  std::ifstream stream;
  if (fs::is_regular_file(path, error)) stream.open(path, std::ios::binary);
  const std::uintmax_t size = fs::file_size(path, error);
  if (!stream.is_open() || error)
    throw Error(fmt::format("{}: cannot be opened as a file", path.string()));
  if (size > kMaxText)
    throw Error(fmt::format("{}: {} bytes are too many for a graph", path.string(), size));
  std::string text(static_cast<std::size_t>(size), ' ');
  if (!stream.read(text.data(), static_cast<std::streamsize>(size)))
    throw Error(fmt::format("{}: cannot be read", path.string()));
  return text;
}

bool is_recorded(const ir::Node& node) {
  using enum ir::Op;
  constexpr ir::Op made_by_passes[] = {cross_entropy_fused, relayout, map, result, view, kernel};
  return std::ranges::count(made_by_passes, node.op) == 0 && node.epilogue == ir::Expr{} &&
         node.type.layout == ir::Layout::plain;
}

ir::Graph parse_graph(const fs::path& path, const std::string& text) {
  ir::Graph graph = ir::parse(text, path.string());
  for (const ir::Node& node : graph.nodes()) {
    if (!is_recorded(node))
      throw Error(fmt::format("{}: {} {} is made by compiling; this is no recorded graph",
                              path.string(), ir::traits(node.op).name, ir::to_string(node.type)));
    if (ir::element_count(node.type.shape, 1) >= kMaxElements)
      throw Error(fmt::format("{}: {} {} is too large", path.string(), ir::traits(node.op).name,
                              ir::to_string(node.type)));
  }
  try {
    ir::verify(graph, ir::Stage::recorded);
  } catch (const Error& error) {
    throw Error(fmt::format("{}: {}", path.string(), error.what()));
  }
  if (graph.outputs.empty() || !graph.updates.empty())
    throw Error(fmt::format("{}: the graph has no outputs, or updates variables", path.string()));
  return graph;
}

// Records a parsed graph on a tape, node by node.
class Recorder {
 public:
  Recorder(const ir::Graph& graph, Tape& tape) : graph_(graph), tape_(tape), ids_(graph.size()) {}

  // The saved order first, then the order of the text.
  void record_inputs(const safetensors::File& weights) {
    std::map<std::string, std::size_t> inputs;
    for (std::size_t i = 0; i < graph_.size(); ++i)
      if (graph_.nodes()[i].op == ir::Op::input) inputs.emplace(name_of(graph_.nodes()[i]), i);
    const safetensors::Metadata& metadata = weights.metadata();
    for (std::size_t i = 0; metadata.contains(input_key(i)); ++i) {
      const auto key = metadata.find(input_key(i));
      const auto input = inputs.find(key->second);
      if (input != inputs.end()) record_input(input->second);
    }
    for (std::size_t i = 0; i < graph_.size(); ++i)
      if (graph_.nodes()[i].op == ir::Op::input) record_input(i);
  }

  NamedVariables record_variables() {
    NamedVariables variables;
    for (std::size_t i = 0; i < graph_.size(); ++i) {
      const ir::Node& node = graph_.nodes()[i];
      if (!is_variable(node)) continue;
      const auto variable = std::make_shared<Variable>(name_of(node), node.type);
      const bool trains = node.op == ir::Op::parameter;
      ids_[i] = (trains ? tape_.parameter(variable) : tape_.state(variable)).id();
      variables.emplace_back(name_of(node), variable);
    }
    return variables;
  }

  std::vector<Tensor> record_rest() {
    for (std::size_t i = 0; i < graph_.size(); ++i) {
      if (ids_[i] != ir::kNoValue) continue;
      ir::Node node = graph_.nodes()[i];
      for (ir::ValueId& operand : node.operands) operand = ids_[operand.index];
      ids_[i] = tape_.graph().append(std::move(node));
    }
    std::vector<Tensor> outputs;
    for (const ir::Output& output : graph_.outputs)
      outputs.emplace_back(tape_, ids_[output.value.index]);
    return outputs;
  }

 private:
  void record_input(std::size_t index) {
    const ir::Node& node = graph_.nodes()[index];
    if (ids_[index] == ir::kNoValue)
      ids_[index] = tape_.input(name_of(node), node.type.shape, node.type.dtype).id();
  }

  const ir::Graph& graph_;
  Tape& tape_;
  std::vector<ir::ValueId> ids_;  // of each node of the graph on the tape
};

void check_weights(const ir::Graph& graph, const std::string& text, const fs::path& path,
                   const safetensors::File& weights) {
  const auto stated = weights.metadata().find("taper.graph");
  if (stated != weights.metadata().end() && stated->second != checksum(text))
    throw Error(
        fmt::format("{}: was saved with another graph than {}", weights.name(), path.string()));
  std::vector<std::pair<std::string, ir::TensorType>> expected;
  for (const ir::Node& node : graph.nodes())
    if (is_variable(node)) expected.emplace_back(name_of(node), node.type);
  check_tensors(weights, expected);
}

}  // namespace

void save_model(const fs::path& path, const std::vector<Tensor>& outputs,
                safetensors::Type floats) {
  if (outputs.empty()) throw Error(fmt::format("{}: no outputs were given", path.string()));
  const Tape& tape = outputs.front().tape();
  const ir::Graph graph = graph_of(tape, outputs);
  const fs::path weights = weights_of(path);
  const std::string text =
      fmt::format("// The weights are in {}.\n{}", weights.filename().string(), ir::print(graph));

  NamedVariables variables;
  safetensors::Metadata metadata{{"taper.graph", checksum(text)}};
  for (const ir::Node& node : graph.nodes())
    if (is_variable(node))
      variables.emplace_back(name_of(node), tape.variables().at(name_of(node)));
  for (std::size_t i = 0; i < tape.inputs().size(); ++i) metadata[input_key(i)] = tape.inputs()[i];
  safetensors::write(weights, tensors_of(variables, floats), metadata);
  const std::span<const std::byte> part = std::as_bytes(std::span(text));
  write_atomically(path, {&part, 1});
}

Model load_model(const fs::path& path) {
  const std::string text = read_text(path);
  const ir::Graph graph = parse_graph(path, text);
  safetensors::File weights(weights_of(path));
  check_weights(graph, text, path, weights);
  Model model{std::make_unique<Tape>(), {}};
  Recorder recorder(graph, *model.tape);
  recorder.record_inputs(weights);
  const NamedVariables variables = recorder.record_variables();
  load_tensors(weights, variables);
  model.outputs = recorder.record_rest();
  return model;
}

}  // namespace taper
