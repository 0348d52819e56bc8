#include "tools/train_graph.h"

#include <fmt/format.h>

#include "frontend/ops.h"
#include "frontend/optim.h"
#include "frontend/rerecord.h"

namespace taper::tools {
namespace {

optim::Optimizer optimizer_named(const std::string& name) {
  if (name == "sgd") return optim::SGD{};
  if (name == "adam") return optim::Adam{};
  if (name == "adamw") return optim::AdamW{};
  if (name == "rmsprop") return optim::RMSprop{};
  throw Error("there is no optimizer {}: it is sgd, adam, adamw or rmsprop", name);
}

std::vector<std::string> input_names(const ir::Graph& graph) {
  std::vector<std::string> names;
  for (const ir::Node& node : graph.nodes())
    if (node.op == ir::Op::input) names.push_back(name_of(node));
  return names;
}

}  // namespace

ir::ValueId output_named(const ir::Graph& graph, const std::string& name) {
  std::string known;
  for (const ir::Output& output : graph.outputs) {
    if (output.name == name) return output.value;
    known += fmt::format("{}\"{}\"", known.empty() ? "" : ", ", output.name);
  }
  throw Error("there is no output \"{}\": the graph returns {}", name,
              known.empty() ? "nothing" : known);
}

ir::Graph training_graph(const ir::Graph& recorded, const std::string& loss,
                         const std::string& optimizer) {
  output_named(recorded, loss);
  const ir::Graph graph = ir::canonical(recorded);
  if (!graph.updates.empty())
    throw Error(
        "the graph updates variables already: a training step is made of one that does not");
  const runtime::Variables variables = variables_of(graph);
  Tape tape;
  const std::vector<Tensor> outputs = Rerecording(graph, input_names(graph), variables, tape).run();
  for (std::size_t i = 0; i < outputs.size(); ++i)
    tape.graph().outputs.push_back({graph.outputs[i].name, outputs[i].id()});
  const Tensor value(tape, output_named(tape.graph(), loss));
  if (value.dtype() != DType::f32)
    throw Error("output \"{}\" is no loss: it is {}", loss, ir::name(value.dtype()));
  // What trains comes from the loss, not from this file.
  const Location where = tape.graph()[value.id()].location;
  const Tape::Line line(&tape, where);
  const Tensor rate = tape.input("learning_rate", {});
  optimizer_named(optimizer).record(tape, value.shape().empty() ? value : mean(value), rate);
  return ir::canonical(tape.graph());
}

}  // namespace taper::tools
