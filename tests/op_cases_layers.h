// Cases of tests/op_sweep.cpp: the ops that layers are made of.
#pragma once

#include "tests/op_case.h"

namespace taper::op_cases {

// Tables of all widths, with tails and with more vectors than are unrolled; repeated indices.
inline void add_gathers(std::vector<Case>& cases) {
  for (const std::int64_t columns : {1, 5, 16, 19, 64, 150})
    for (const Shape& shape : {Shape{N}, Shape{N, 3}, Shape{N, 2, 2}, Shape{11}}) {
      const Operand indices{shape, Fill::labels, DType::i32, 7};
      Shape rows = shape;
      rows.push_back(columns);
      cases.push_back({Op::gather,
                       {{{7, columns}}, indices},
                       [](Builder& b, const Values& v) { return b.gather(v[0], v[1]); },
                       Match::exact});
      cases.push_back(
          {Op::gather_backward, {{rows}, indices}, [columns](Builder& b, const Values& v) {
             return b.gather_backward(v[0], v[1], {7, columns});
           }});
    }
  cases.push_back({Op::gather,  // tied to a product, whose weight is blocked
                   {{{20, 12}}, {{N}, Fill::labels, DType::i32, 20}},
                   [](Builder& b, const Values& v) {
                     const ValueId table = b.tanh(v[0]);
                     return b.matmul(b.gather(table, v[1]), table, {.transpose_b = true});
                   }});
  cases.push_back({Op::gather_backward,
                   {{{0, 3, 5}}, {{0, 3}, Fill::labels, DType::i32, 4}},
                   [](Builder& b, const Values& v) {
                     return b.gather_backward(v[0], v[1], {4, 5});
                   }});
}

inline void add_normalize(std::vector<Case>& cases) {
  const auto add = [&](Shape x, Shape scale, std::vector<std::int64_t> axes) {
    cases.push_back(
        {Op::normalize, {{std::move(x)}, {std::move(scale)}}, [axes](Builder& b, const Values& v) {
           return b.normalize(v[0], v[1], {axes, 0.1});
         }});
  };
  add({N, 20, 3, 5}, {1, 20, 1, 1}, {0, 2, 3});
  add({N, 20, 3, 5}, {1, 20, 1, 1}, {2, 3});
  add({N, 5}, {5}, {0});
  add({N, 3, 9}, {3, 1}, {0, 2});
  add({N, 7, 33}, {}, {2});
  add({4, 33}, {4, 1}, {1});
  cases.push_back({Op::normalize,  // as a layer: behind a convolution, with a bias and a relu
                   {{{N, 18, 4, 5}}, {{20, 18, 3, 3}}, {{1, 20, 1, 1}}, {{20, 1, 1}}},
                   [](Builder& b, const Values& v) {
                     const ValueId y = b.conv2d(v[0], v[1], {});
                     const ValueId unit = b.normalize(y, v[2], {{0, 2, 3}, 0.1});
                     return b.relu(b.add(unit, v[3]));
                   }});
}

}  // namespace taper::op_cases
