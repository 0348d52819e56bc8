// Layers that are a product with a matrix or a choice of its rows.
#pragma once

#include "frontend/nn_module.h"

namespace taper::nn {

// y = x W^T + b; x [N,in], weight [out,in], bias [out].
class Linear : public Module {
 public:
  Linear(std::int64_t in, std::int64_t out, bool bias = true,
         std::source_location where = std::source_location::current());
  Tensor operator()(const Tensor& x) const override;

 private:
  std::shared_ptr<Variable> weight_, bias_;
  std::source_location where_;
};

// i32 indices [N] or [N,L] -> [..., dim]; weight [entries,dim], normal(0, 1). The indices are an
// input; a run with one that is not in [0, entries) throws taper::Error before it starts.
class Embedding : public Module {
 public:
  Embedding(std::int64_t entries, std::int64_t dim,
            std::source_location where = std::source_location::current());
  Tensor operator()(const Tensor& indices) const override;

 private:
  std::shared_ptr<Variable> weight_;
  std::source_location where_;
};

}  // namespace taper::nn
