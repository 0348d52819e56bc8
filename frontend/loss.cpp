#include "frontend/loss.h"

namespace taper {

Tensor cross_entropy(Operand logits, Operand labels) {
  if (logits.tape() == nullptr || logits.tape() != labels.tape())
    throw Error("cross_entropy: logits and labels must be Tensors of one tape", logits.where());
  Tape& tape = *logits.tape();
  ir::Builder builder(tape.graph(), logits.where());
  const Tensor each(tape, builder.cross_entropy(logits.on(tape), labels.on(tape)));
  return mean(Operand(each, logits.where()));
}

}  // namespace taper
