// Recording a graph again, on a new tape, with some values replaced.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "frontend/tape.h"

namespace taper {

// New variables for the parameters and states of a graph, zeros, by name.
Variables variables_of(const ir::Graph& graph);

// Copies a graph to the tape `to`: its inputs in the order of `inputs`, then the rest, operands
// before users. `variables` holds those of the graph by name. Variables that nothing that was
// copied uses are left out.
class Rerecording {
 public:
  // The new value of `old`, recorded on `to`; nothing to copy its node as it is.
  using Rule = std::function<std::optional<ir::ValueId>(Rerecording&, ir::ValueId old)>;

  Rerecording(const ir::Graph& graph, const std::vector<std::string>& inputs,
              const Variables& variables, Tape& to, Rule rule = {});
  // Records everything; the outputs of the graph on the new tape.
  std::vector<Tensor> run();

  const ir::Graph& graph() const { return graph_; }
  Tape& to() { return to_; }
  // The new value; its own operands must have been recorded.
  ir::ValueId operator()(ir::ValueId old);

 private:
  ir::ValueId copy(ir::ValueId old);
  ir::ValueId variable(ir::ValueId old);

  const ir::Graph& graph_;
  const std::vector<std::string>& inputs_;
  const Variables& variables_;
  Tape& to_;
  Rule rule_;
  std::vector<ir::ValueId> now_;
};

}  // namespace taper
