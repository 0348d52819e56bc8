// taper run: executes a graph.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "frontend/fingerprint.h"
#include "frontend/npy.h"
#include "ir/builder.h"
#include "tools/command.h"
#include "tools/settings.h"
#include "tools/source.h"
#include "tools/train_graph.h"

namespace taper::tools {
namespace {

constexpr std::string_view kExamples = R"(
Examples:
  taper run model.tir --input x=random:1 --batch 4
  taper run model.tir --weights model.safetensors --input x=x.npy --output y=y.npy
  taper run model.tir --input x=x.npy --grad loss --grad-output w=dw.npy
  taper run model.tir --input x=x.npy --isa avx2 --threads 1      same fingerprints as without
)";

struct RunOptions {
  std::string file, gradient_of;
  std::vector<std::string> outputs, gradient_outputs;
  Settings settings;
};

bool is_float(const ir::Node& node) {
  return node.type.dtype == ir::DType::f32 &&
         (node.op == ir::Op::input || node.op == ir::Op::parameter);
}

// Adds the derivatives of the sum of an output by every floating input and parameter as outputs,
// after the graph's own.
ir::Graph with_gradients(const ir::Graph& recorded, const std::string& name) {
  ir::Graph graph = ir::canonical(recorded);
  const ir::ValueId value = output_named(graph, name);
  if (graph[value].type.dtype != ir::DType::f32)
    throw Error("output \"{}\" is {} and has no gradient", name, to_string(graph[value].type));
  ir::Builder build(graph, graph[value].location);
  std::vector<std::int64_t> axes(graph[value].type.shape.size());
  for (std::size_t i = 0; i < axes.size(); ++i) axes[i] = static_cast<std::int64_t>(i);
  const ir::ValueId sum =
      axes.empty() ? value : build.reduce(value, ir::ReduceKind::sum, axes, false);
  const std::size_t count = graph.size();
  for (std::size_t i = 0; i < count; ++i) {
    if (!is_float(graph.nodes()[i])) continue;
    const std::string of = name_of(graph.nodes()[i]);
    graph.outputs.push_back({"gradient of " + of, build.gradient(sum, graph.id(i))});
  }
  return graph;
}

void print_tensor(std::string_view name, const ir::Shape& shape, std::span<const float> values) {
  double sum = 0;
  float least = values.empty() ? 0 : values[0], most = least;
  for (const float value : values) {
    sum += static_cast<double>(value);
    if (std::isnan(value)) least = most = value;
    least = value < least ? value : least;
    most = value > most ? value : most;
  }
  fmt::print("{:<24} {:<20} min {:<13.6g} max {:<13.6g} mean {:<13.6g} {:016x}\n", name,
             to_string(ir::TensorType{ir::DType::f32, shape}), least, most,
             sum / static_cast<double>(std::max<std::size_t>(values.size(), 1)),
             fingerprint(values));
}

// The file of each output that was asked for, by the output's name in the executable.
std::map<std::string, std::string> files_of(const RunOptions& options, const ir::Graph& graph) {
  std::map<std::string, std::string> files;
  const auto add = [&](const std::string& text, std::string_view option, std::string_view prefix) {
    const auto [name, path] = split_pair(text, option);
    const std::string output = std::string(prefix) + name;
    if (std::ranges::find(graph.outputs, output, &ir::Output::name) == graph.outputs.end())
      throw Error("{} {}: there is no {}", option, text,
                  prefix.empty() ? "such output" : "such gradient (see --grad)");
    files[output] = path;
  };
  for (const std::string& text : options.outputs) add(text, "--output", "");
  for (const std::string& text : options.gradient_outputs)
    add(text, "--grad-output", "gradient of ");
  return files;
}

void report(const runtime::Executable& executable, const Arguments& arguments,
            const std::map<std::string, std::string>& files) {
  for (std::size_t i = 0; i < executable.output_names().size(); ++i) {
    const std::string& name = executable.output_names()[i];
    const ir::Shape shape = ir::concrete(executable.output_types()[i], arguments.batch).shape;
    const std::span<const float> values = executable.output(i);
    print_tensor(name, shape, values);
    const auto file = files.find(name);
    if (file == files.end()) continue;
    data::write_npy(file->second,
                    data::NpyArray::of(shape, std::vector<float>(values.begin(), values.end())));
  }
}

void run_run(const RunOptions& options) {
  ir::Graph graph = parse_source(read_source(options.file));
  if (!options.gradient_of.empty()) graph = with_gradients(graph, options.gradient_of);
  const std::map<std::string, std::string> files = files_of(options, graph);
  const ir::Graph used = ir::canonical(graph);
  const Arguments arguments = read_arguments(used, options.settings, false);
  const runtime::Variables variables = read_weights(used, options.settings.weights);
  runtime::Executable executable =
      runtime::compile(graph, variables, compile_options(options.settings, arguments.batch));
  executable.run(arguments.for_run(executable), arguments.batch);
  const runtime::Report& made = executable.report();
  fmt::print("{}, {} threads, batch {}, {} kernels\n", made.isa, made.threads, arguments.batch,
             made.kernels);
  report(executable, arguments, files);
  for (const ir::Update& update : used.updates) {
    const auto& variable = variables.at(name_of(used[update.variable]));
    print_tensor("updated " + variable->name(), variable->type().shape, variable->read());
  }
}

}  // namespace

void add_run(CLI::App& app) {
  auto options = std::make_shared<RunOptions>();
  CLI::App* run = app.add_subcommand("run", "Executes a graph and prints what it returns");
  run->footer(std::string(kExamples));
  run->add_option("FILE", options->file, "graph as text, or - for standard input")->required();
  add_settings(*run, options->settings);
  run->add_option("--output", options->outputs, "NAME=FILE.npy: write an output")
      ->allow_extra_args(false);
  run->add_option("--grad", options->gradient_of,
                  "also the gradients of the sum of this output by all f32 inputs and parameters");
  run->add_option("--grad-output", options->gradient_outputs,
                  "NAME=FILE.npy: write the gradient by this input or parameter")
      ->allow_extra_args(false);
  run->callback([options] { run_run(*options); });
}

}  // namespace taper::tools
