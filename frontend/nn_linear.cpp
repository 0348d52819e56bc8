#include "frontend/nn_linear.h"

namespace taper::nn {

Linear::Linear(std::int64_t in, std::int64_t out, bool bias, std::source_location where)
    : where_(where) {
  if (in < 1 || out < 1) throw Error(where, "Linear: {} -> {} features are not positive", in, out);
  weight_ = add_parameter("weight", {out, in});
  if (bias) bias_ = add_parameter("bias", {out});
  init::default_weights(*weight_, bias_.get());
}

Tensor Linear::operator()(const Tensor& x) const {
  Tape& tape = x.tape();
  const Tensor weight = tape.parameter(weight_, where_);
  const Tensor y(tape, tape.builder(where_).matmul(x.id(), weight.id(), {.transpose_b = true}));
  if (!bias_) return y;
  return Operand(y, where_) + Operand(tape.parameter(bias_, where_), where_);
}

Embedding::Embedding(std::int64_t entries, std::int64_t dim, std::source_location where)
    : where_(where) {
  if (entries < 1 || dim < 1)
    throw Error(where, "Embedding: {} entries of {} numbers are not positive", entries, dim);
  weight_ = add_parameter("weight", {entries, dim});
  init::normal(*weight_, 0, 1);
}

Tensor Embedding::operator()(const Tensor& indices) const {
  const Operand table(indices.tape().parameter(weight_, where_), where_);
  return embedding(Operand(indices, where_), table);
}

}  // namespace taper::nn
