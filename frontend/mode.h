// Training or inference: a property of a compiled function, not of a tape. Layers that behave
// differently record both ways and choose by training(tape).
#pragma once

#include "frontend/tape.h"

namespace taper {

enum class Mode { evaluate, train };

// bool[]: whether the function that is compiled is a training step. For where() only:
//   y = where(training(tape), dropped, x);
//   tape.update(count, where(training(tape), count + 1, count));
Tensor training(Tape& tape, Location where = std::source_location::current());

// `graph` as one of the two: every choice by training() is resolved, and an update that leaves its
// variable as it is, is dropped. Must come before differentiation, so that no gradient flows into
// the branch not taken. The result is canonical().
ir::Graph in_mode(const ir::Graph& graph, Mode mode);

// What is recorded on `tape`, in_mode, as the function that gives `outputs` (named output0,
// output1, and so on); evaluation leaves all variables as they are. The outputs are values of this
// tape or of one it is a copy of. Throws taper::Error when there are none.
ir::Graph graph_of(const Tape& tape, const std::vector<Tensor>& outputs, Mode mode);

}  // namespace taper
