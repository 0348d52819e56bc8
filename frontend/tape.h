// Tape and Tensor: recording user code into an ir::Graph.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ir/builder.h"
#include "ir/graph.h"
#include "runtime/executable.h"

namespace taper {

using ir::Dim;
using ir::DType;
using ir::Shape;
using runtime::Variable;
using runtime::Variables;

// The batch dimension of a shape: one compiled program serves every batch up to the planned one.
inline constexpr Dim N = ir::kBatch;

class Tape;

// A value on a tape: a cheap handle, valid while its tape lives.
class Tensor {
 public:
  Tensor() = default;
  Tensor(Tape& tape, ir::ValueId id) : tape_(&tape), id_(id) {}

  Shape shape() const;  // by value: recording moves the nodes of the graph
  DType dtype() const;
  Tape& tape() const;  // throws taper::Error for a default-constructed Tensor
  ir::ValueId id() const { return id_; }

 private:
  Tape* tape_ = nullptr;
  ir::ValueId id_;
};

// The name of an input or a variable on its tape.
std::string name_of(const Tensor& tensor);

class Tape {
 public:
  Tape() = default;
  // A copy holds the same values under the same ids; what is recorded on one is not on the other.
  explicit Tape(const Tape&) = default;
  Tape& operator=(const Tape&) = delete;

  // A named run-time input. Compiled functions take their inputs in the order of recording. Names
  // that begin with '$' are taper's own.
  Tensor input(const std::string& name, Shape shape, DType dtype = DType::f32,
               Location where = std::source_location::current());
  // The contents of a variable, differentiable (parameter) or not (state). Recording the same
  // variable again gives the same value. Its name on the tape is the enclosing scopes and its own
  // name, joined by dots, made unique by a suffix when another variable has that name already.
  Tensor parameter(const std::shared_ptr<Variable>& variable,
                   Location where = std::source_location::current()) {
    return record(variable, ir::Op::parameter, where);
  }
  Tensor state(const std::shared_ptr<Variable>& variable,
               Location where = std::source_location::current()) {
    return record(variable, ir::Op::state, where);
  }
  Tensor constant(Shape shape, std::vector<double> values,
                  Location where = std::source_location::current());
  Tensor scalar(double value, Location where = std::source_location::current()) {
    return constant({}, {value}, where);
  }

  // After each run of a function compiled from this tape with updates, `variable` holds `value`. A
  // later update of the same variable replaces this one.
  void update(const Tensor& variable, const Tensor& value);
  // What `variable` will hold after the run, as far as it is recorded: what a layer that is called
  // twice must start from the second time.
  Tensor updated(const Tensor& variable);

  // A level of parameter names, while it lives: Sequential opens "0", "1", ...
  class Scope {
   public:
    Scope(Tape& tape, std::string name) : tape_(tape) { tape_.scopes_.push_back(std::move(name)); }
    ~Scope() { tape_.scopes_.pop_back(); }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Tape& tape_;
  };

  // While it lives, all that is recorded comes from `where`: a function or layer that is composed
  // of operations is at the line of its user. Of nested ones the outermost counts.
  class Line {
   public:
    Line(Tape* tape, const Location& where) : tape_(tape) {
      if (tape_ != nullptr && !tape_->line_)
        tape_->line_ = where;
      else
        tape_ = nullptr;
    }
    ~Line() {
      if (tape_ != nullptr) tape_->line_.reset();
    }
    Line(const Line&) = delete;
    Line& operator=(const Line&) = delete;

   private:
    Tape* tape_;
  };
  // Appends what comes from `where`, or from the line that lives.
  ir::Builder builder(const Location& where) { return ir::Builder(graph_, line_.value_or(where)); }

  ir::Graph& graph() { return graph_; }
  const ir::Graph& graph() const { return graph_; }
  const Variables& variables() const { return variables_; }  // by name on the tape
  const std::vector<std::string>& inputs() const { return inputs_; }
  std::string print(const ir::PrintOptions& options = {}) const {
    return ir::print(graph_, options);
  }

 private:
  Tensor record(const std::shared_ptr<Variable>& variable, ir::Op op, const Location& where);
  std::string unique_name(const std::string& name) const;

  ir::Graph graph_;
  Variables variables_;
  std::map<const Variable*, ir::ValueId> recorded_;
  std::vector<std::string> inputs_;
  std::vector<std::string> scopes_;
  std::optional<Location> line_;
};

}  // namespace taper
