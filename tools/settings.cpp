#include "tools/settings.h"

#include <fmt/format.h>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <charconv>
#include <cmath>
#include <optional>
#include <span>

#include "codegen/masm.h"
#include "frontend/checkpoint.h"
#include "frontend/npy.h"
#include "frontend/rerecord.h"
#include "tools/random_values.h"
#include "tools/train_graph.h"

namespace taper::tools {
namespace {

constexpr std::string_view kRandom = "random:";
constexpr float kLearningRate = 1e-3f;

template <class Number>
std::optional<Number> number_of(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::uint64_t seed_of(const std::string& text) {
  const auto seed = number_of<std::uint64_t>(std::string_view(text).substr(kRandom.size()));
  if (!seed) throw Error("\"{}\": the seed is not a whole number", text);
  return *seed;
}

std::optional<ir::DType> dtype_of(data::NpyType type) {
  switch (type) {
    case data::NpyType::f32:
      return ir::DType::f32;
    case data::NpyType::f16:
      return ir::DType::f16;
    case data::NpyType::i8:
      return ir::DType::i8;
    case data::NpyType::u8:
      return ir::DType::u8;
    case data::NpyType::i32:
      return ir::DType::i32;
    case data::NpyType::boolean:
      return ir::DType::boolean;
    default:
      return std::nullopt;
  }
}

// The arguments of one command, gathered input by input.
class Reader {
 public:
  Reader(const ir::Graph& graph, const Settings& settings) : graph_(graph), settings_(settings) {
    for (const ir::Node& node : graph.nodes())
      if (node.op == ir::Op::input) types_.emplace(name_of(node), node.type);
  }

  Arguments read(bool random_default) {
    std::map<std::string, std::string> given;
    for (const std::string& text : settings_.inputs) {
      const auto [name, value] = split_pair(text, "--input");
      if (!types_.contains(name))
        throw Error("there is no input \"{}\": the graph takes {}", name, known());
      if (!given.emplace(name, value).second) throw Error("input \"{}\" is given twice", name);
    }
    if (settings_.batch > 0) batch_ = settings_.batch;
    for (const auto& [name, value] : given)
      if (!number_of<double>(value) && !value.starts_with(kRandom)) read_file(name, value);
    if (!batch_) batch_ = 1;
    for (const auto& [name, type] : types_) {
      if (arguments_.inputs.contains(name)) continue;
      const auto found = given.find(name);
      if (found == given.end() && !random_default)
        throw Error("input \"{0}\", {1}, is missing: --input {0}=FILE.npy or {0}=random:SEED", name,
                    to_string(type));
      arguments_.inputs[name] = found == given.end() ? made_up(name) : made(name, found->second);
    }
    arguments_.batch = *batch_;
    return std::move(arguments_);
  }

 private:
  std::string known() const {
    std::string names;
    for (const auto& [name, type] : types_)
      names += fmt::format("{}\"{}\" {}", names.empty() ? "" : ", ", name, to_string(type));
    return names.empty() ? "none" : names;
  }

  void read_file(const std::string& name, const std::string& path) {
    const data::NpyArray array = data::read_npy(path);
    const ir::TensorType& type = types_.at(name);
    if (dtype_of(array.type) != type.dtype)
      throw Error("{}: holds {}, but input \"{}\" is {}", path, data::name(array.type), name,
                  to_string(type));
    if (type.has_batch() && !array.shape.empty() && !batch_) batch_ = array.shape[0];
    const ir::Shape expected = ir::concrete(type, batch_.value_or(1)).shape;
    if (array.shape != expected || (type.has_batch() && expected[0] < 1))
      throw Error("{}: is {}, but input \"{}\" is {}{}", path, ir::to_string(array.shape), name,
                  to_string(type),
                  type.has_batch() && batch_ ? fmt::format(" at batch {}", *batch_) : "");
    arguments_.inputs[name] = array.bytes;
  }

  std::vector<std::byte> made_up(const std::string& name) const {
    return name == "learning_rate" ? constant(name, static_cast<double>(kLearningRate))
                                   : random_input(graph_, name, *batch_, 0);
  }
  std::vector<std::byte> made(const std::string& name, const std::string& value) const {
    if (value.starts_with(kRandom)) return random_input(graph_, name, *batch_, seed_of(value));
    return constant(name, *number_of<double>(value));
  }
  std::vector<std::byte> constant(const std::string& name, double number) const {
    const ir::TensorType& type = types_.at(name);
    if (type.dtype != ir::DType::f32)
      throw Error("input \"{}\" is {}: only f32 inputs take a number", name, to_string(type));
    const std::vector<float> values(
        static_cast<std::size_t>(ir::element_count(type.shape, *batch_)),
        static_cast<float>(number));
    const auto bytes = std::as_bytes(std::span(values));
    return {bytes.begin(), bytes.end()};
  }

  const ir::Graph& graph_;
  const Settings& settings_;
  std::map<std::string, ir::TensorType> types_;
  std::optional<ir::Dim> batch_;
  Arguments arguments_;
};

void randomise(runtime::Variables& variables, const ir::Graph& graph, std::uint64_t seed) {
  for (std::size_t i = 0; i < graph.size(); ++i) {
    const ir::Node& node = graph.nodes()[i];
    if (node.op != ir::Op::parameter) continue;
    const ir::Shape& shape = node.type.shape;
    const bool vector = shape.size() < 2;
    const ir::Shape inputs(shape.begin() + (vector ? 0 : 1), shape.end());
    const double bound =
        1 / std::sqrt(std::max(1.0, static_cast<double>(ir::element_count(inputs, 1))));
    std::vector<float> values(static_cast<std::size_t>(ir::element_count(shape, 1)));
    for (std::size_t e = 0; e < values.size(); ++e)
      values[e] = static_cast<float>(bound * (2 * random_unit(seed, i, e) - 1));
    variables.at(name_of(node))->write(values);
  }
}

}  // namespace

std::pair<std::string, std::string> split_pair(const std::string& text, std::string_view option) {
  const std::size_t at = text.rfind('=');
  if (at == std::string::npos || at == 0 || at + 1 == text.size())
    throw Error("{} {}: is not NAME=VALUE", option, text);
  return {text.substr(0, at), text.substr(at + 1)};
}

void add_settings(CLI::App& command, Settings& settings) {
  command.add_option("--weights", settings.weights,
                     "parameters and states: FILE.safetensors or random:SEED (default random:0)");
  command
      .add_option("--input", settings.inputs,
                  "NAME=FILE.npy, NAME=random:SEED or NAME=NUMBER; may be repeated")
      ->allow_extra_args(false);
  command.add_option("--batch", settings.batch, "extent of N; default: that of the files, else 1")
      ->check(CLI::Range(1, 1 << 20));
  command.add_option("--isa", settings.isa, ir::isa_names() + "; default: the best");
  command
      .add_option("--threads", settings.threads,
                  "1 to 256; default: TAPER_NUM_THREADS, else all CPUs")
      ->check(CLI::Range(1, 256));
  command.add_flag("--interpret", settings.interpret, "the reference interpreter, no machine code");
  command.add_option("--winograd", settings.winograd, "off: direct 3x3 convolutions")
      ->check(CLI::IsMember({"on", "off"}))
      ->capture_default_str();
}

runtime::CompileOptions compile_options(const Settings& settings, ir::Dim batch) {
  runtime::CompileOptions options;
  options.max_batch = batch;
  options.threads = settings.threads;
  options.interpret = settings.interpret;
  options.winograd = settings.winograd == "on";
  if (settings.isa.empty()) return options;
  options.isa = &ir::isa_named(settings.isa);
  if (ir::select_isa(ir::host_features(), settings.isa) != options.isa)
    throw Error("this machine does not run {}; taper info says why", settings.isa);
  if (!codegen::has_emitter(*options.isa))
    throw Error("this build of taper generates no code for {}", settings.isa);
  return options;
}

std::vector<runtime::InputBytes> Arguments::for_run(const runtime::Executable& executable) const {
  std::vector<runtime::InputBytes> spans;
  for (const std::string& name : executable.input_names()) spans.emplace_back(inputs.at(name));
  return spans;
}

Arguments read_arguments(const ir::Graph& graph, const Settings& settings, bool random_default) {
  return Reader(graph, settings).read(random_default);
}

runtime::Variables read_weights(const ir::Graph& graph, const std::string& weights) {
  runtime::Variables variables = variables_of(graph);
  if (weights.empty() || weights.starts_with(kRandom)) {
    randomise(variables, graph, weights.empty() ? 0 : seed_of(weights));
    return variables;
  }
  load_weights(weights, variables);
  return variables;
}

}  // namespace taper::tools
