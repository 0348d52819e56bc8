#include "frontend/saved_graph.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <utility>

#include "frontend/atomic_file.h"
#include "frontend/checkpoint_tensors.h"
#include "frontend/mode.h"
#include "frontend/rerecord.h"
#include "frontend/safetensors.h"
#include "ir/error.h"

namespace taper {
namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t kMaxText = std::uintmax_t{1} << 30;
constexpr std::int64_t kMaxElements = std::int64_t{1} << 31;

fs::path weights_of(const fs::path& path) {
  fs::path weights = path;
  weights.replace_extension(".safetensors");
  if (weights == path)
    throw Error("{}: is the name of the weights; the graph's ends in .tir", path.string());
  return weights;
}

// Ties the weights to the text that they were saved with.
std::string checksum(std::string_view text) {
  const auto* bytes = reinterpret_cast<const Bytef*>(text.data());
  return fmt::format("{:08x}", crc32_z(0, bytes, text.size()));
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
  if (!stream.is_open() || error) throw Error("{}: cannot be opened as a file", path.string());
  if (size > kMaxText) throw Error("{}: {} bytes are too many for a graph", path.string(), size);
  std::string text(static_cast<std::size_t>(size), ' ');
  if (!stream.read(text.data(), static_cast<std::streamsize>(size)))
    throw Error("{}: cannot be read", path.string());
  return text;
}

bool is_recorded(const ir::Node& node) {
  using enum ir::Op;
  constexpr ir::Op made_by_passes[] = {cross_entropy_fused,
                                       max_pool2d_with_indices,
                                       max_unpool2d,
                                       relayout,
                                       map,
                                       result,
                                       view,
                                       kernel};
  return std::ranges::count(made_by_passes, node.op) == 0 && node.epilogue == ir::Expr{} &&
         node.type.layout == ir::Layout::plain;
}

ir::Graph parse_graph(const fs::path& path, const std::string& text) {
  ir::Graph graph = ir::parse(text, path.string());
  for (const ir::Node& node : graph.nodes()) {
    if (!is_recorded(node))
      throw Error("{}: {} {} is made by compiling; this is no recorded graph", path.string(),
                  ir::traits(node.op).name, ir::to_string(node.type));
    if (ir::element_count(node.type.shape, 1) >= kMaxElements)
      throw Error("{}: {} {} is too large", path.string(), ir::traits(node.op).name,
                  ir::to_string(node.type));
  }
  try {
    ir::verify(graph, ir::Stage::recorded);
  } catch (const Error& error) {
    throw Error("{}: {}", path.string(), error.what());
  }
  if (graph.outputs.empty() || !graph.updates.empty())
    throw Error("{}: the graph has no outputs, or updates variables", path.string());
  return graph;
}

// The saved order first, then the order of the text.
std::vector<std::string> input_order(const ir::Graph& graph, const safetensors::File& weights) {
  const safetensors::Metadata& metadata = weights.metadata();
  std::vector<std::string> names;
  for (std::size_t i = 0; metadata.contains(input_key(i)); ++i)
    names.push_back(metadata.find(input_key(i))->second);
  for (const ir::Node& node : graph.nodes())
    if (node.op == ir::Op::input) names.push_back(name_of(node));
  std::set<std::string> seen;
  std::erase_if(names, [&](const std::string& name) { return !seen.insert(name).second; });
  return names;
}

void check_weights(const ir::Graph& graph, const std::string& text, const fs::path& path,
                   const safetensors::File& weights) {
  const auto stated = weights.metadata().find("taper.graph");
  if (stated != weights.metadata().end() && stated->second != checksum(text))
    throw Error("{}: was saved with another graph than {}", weights.name(), path.string());
  std::vector<std::pair<std::string, ir::TensorType>> expected;
  for (const ir::Node& node : graph.nodes())
    if (is_variable(node)) expected.emplace_back(name_of(node), node.type);
  check_tensors(weights, expected);
}

}  // namespace

void save_model(const fs::path& path, const std::vector<Tensor>& outputs,
                safetensors::Type floats) {
  if (outputs.empty()) throw Error("{}: no outputs were given", path.string());
  const Tape& tape = outputs.front().tape();
  for (const Tensor& output : outputs)
    if (&output.tape() != &tape) throw Error("save_model: the outputs are on different tapes");
  const ir::Graph graph = graph_of(tape, outputs, Mode::evaluate);
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
  write_atomically(path, std::as_bytes(std::span(text)));
}

Model load_model(const fs::path& path) {
  const std::string text = read_text(path);
  const ir::Graph graph = parse_graph(path, text);
  safetensors::File weights(weights_of(path));
  check_weights(graph, text, path, weights);
  const Variables variables = variables_of(graph);
  load_tensors(weights, {variables.begin(), variables.end()});
  Model model{std::make_unique<Tape>(), {}};
  model.outputs = Rerecording(graph, input_order(graph, weights), variables, *model.tape).run();
  return model;
}

}  // namespace taper
