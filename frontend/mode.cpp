#include "frontend/mode.h"

#include <fmt/format.h>

#include <string_view>
#include <utility>
#include <vector>

namespace taper {
namespace {

constexpr std::string_view kTraining = "$training";

bool is_marker(const ir::Node& node) {
  return node.op == ir::Op::input && std::get<ir::NameAttrs>(node.attrs).name == kTraining;
}

class Resolution {
 public:
  Resolution(const ir::Graph& from, Mode mode)
      : from_(from), mode_(mode), target_(from.size(), false) {
    for (const ir::Node& node : from.nodes())
      if (node.op == ir::Op::gradient) target_[node.operands[1].index] = true;
  }

  ir::Graph run() {
    for (const ir::ValueId old : from_.ids()) now_.push_back(resolve(old));
    for (const ir::Output& output : from_.outputs)
      to_.outputs.push_back({output.name, now_[output.value.index]});
    for (const ir::Update& update : from_.updates) {
      const ir::ValueId variable = now_[update.variable.index];
      const ir::ValueId value = now_[update.value.index];
      if (value != variable) to_.updates.push_back({variable, value});
    }
    return ir::canonical(to_);
  }

 private:
  ir::ValueId resolve(ir::ValueId old) {
    ir::Node node = from_[old];
    if (is_marker(node)) return marker(node.location);
    for (ir::ValueId& operand : node.operands) operand = now_[operand.index];
    // A gradient with respect to the choice is not one with respect to the branch, which may have
    // other uses: that choice stays, by a constant.
    const bool chooses = node.op == ir::Op::select && node.operands[0] == marker_;
    if (!chooses || target_[old.index]) return to_.append(std::move(node));
    const ir::ValueId taken = node.operands[mode_ == Mode::train ? 1 : 2];
    return ir::Builder(to_, node.location).broadcast_to(taken, node.type.shape);
  }

  ir::ValueId marker(const Location& where) {
    const double chosen = mode_ == Mode::train ? 1.0 : 0.0;
    return marker_ = ir::Builder(to_, where).constant({DType::boolean, {}}, {chosen});
  }

  const ir::Graph& from_;
  Mode mode_;
  std::vector<bool> target_;  // of a gradient
  ir::Graph to_;
  std::vector<ir::ValueId> now_;
  ir::ValueId marker_ = ir::kNoValue;
};

}  // namespace

Tensor training(Tape& tape, Location where) {
  ir::Graph& graph = tape.graph();
  for (const ir::ValueId v : graph.ids())
    if (is_marker(graph[v])) return {tape, v};
  return {tape, tape.builder(where).input(std::string(kTraining), {DType::boolean, {}})};
}

ir::Graph in_mode(const ir::Graph& graph, Mode mode) {
  return Resolution(graph, mode).run();
}

ir::Graph graph_of(const Tape& tape, const std::vector<Tensor>& outputs, Mode mode) {
  if (outputs.empty()) throw Error("compile: no outputs were given");
  ir::Graph graph = tape.graph();
  for (std::size_t i = 0; i < outputs.size(); ++i)
    graph.outputs.push_back({fmt::format("output{}", i), outputs[i].id()});
  if (mode == Mode::evaluate) graph.updates.clear();
  return in_mode(graph, mode);
}

}  // namespace taper
