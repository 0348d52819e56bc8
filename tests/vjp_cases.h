// The cases of tests/vjp.cpp: at least one for every op that has a derivative.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "ir/builder.h"

namespace taper::vjp_cases {

using namespace ir;

inline constexpr Dim N = kBatch;

// An operand: distinct values evenly spread over [low, high], shuffled, none within 0.05 of zero;
// with `classes`, random labels below it.
struct Operand {
  Shape shape;
  double low = -1.5, high = 1.5;
  std::int64_t classes = 0;
};
inline Operand positive(Shape shape) {
  return {std::move(shape), 0.3, 2.5, 0};
}
inline Operand labels(Shape shape, std::int64_t classes) {
  return {std::move(shape), 0, 0, classes};
}

using Values = std::vector<ValueId>;
struct Case {
  Op op;
  std::string name;
  std::vector<Operand> operands;
  std::function<ValueId(Builder&, const Values&)> build;
};

inline Case elementwise(Op op, std::string name, std::vector<Operand> operands) {
  return {op, std::move(name), std::move(operands),
          [op](Builder& b, const Values& v) { return b.add_node(op, v); }};
}

inline void add_elementwise(std::vector<Case>& cases) {
  for (const Op op : {Op::add, Op::sub, Op::mul, Op::maximum, Op::minimum}) {
    const std::string name(traits(op).name);
    cases.push_back(elementwise(op, name + " of equal shapes", {{{3, 5}}, {{3, 5}}}));
    cases.push_back(elementwise(op, name + " of a bias", {{{N, 3, 2, 3}}, {{3, 1, 1}}}));
    cases.push_back(elementwise(op, name + " both ways", {{{N, 1, 4}}, {{1, 3, 1}}}));
    cases.push_back(elementwise(op, name + " of a scalar", {{{}}, {{N, 7}}}));
  }
  cases.push_back(elementwise(Op::div, "div", {{{N, 5}}, positive({N, 5})}));
  cases.push_back(elementwise(Op::div, "div by a row", {{{N, 5}}, positive({5})}));
  for (const Op op :
       {Op::neg, Op::abs, Op::exp, Op::relu, Op::relu6, Op::sigmoid, Op::tanh, Op::erf}) {
    cases.push_back(elementwise(op, std::string(traits(op).name), {{{N, 17}}}));
  }
  for (const Op op : {Op::log, Op::sqrt}) {
    cases.push_back(elementwise(op, std::string(traits(op).name), {positive({N, 17})}));
  }
  cases.push_back(
      {Op::select, "select", {{{N, 5}}, {{N, 5}}, {{5}}}, [](Builder& b, const Values& v) {
         const ValueId condition = b.gt(v[0], b.scalar(0));
         return b.select(condition, v[1], v[2]);
       }});
}

inline void add_movement(std::vector<Case>& cases) {
  const auto add = [&](Op op, std::string name, std::vector<Operand> operands, auto build) {
    cases.push_back({op, std::move(name), std::move(operands), build});
  };
  add(Op::cast, "cast", {{{N, 3}}},
      [](Builder& b, const Values& v) { return b.add_node(Op::cast, {v[0]}, CastAttrs{}); });
  add(Op::broadcast_to, "broadcast_to the batch", {{{3, 1}}}, [](Builder& b, const Values& v) {
    return b.broadcast_to(v[0], {N, 3, 4});
  });
  add(Op::broadcast_to, "broadcast_to of a scalar", {{{}}}, [](Builder& b, const Values& v) {
    return b.broadcast_to(v[0], {2, 5});
  });
  add(Op::reshape, "reshape", {{{N, 3, 4}}}, [](Builder& b, const Values& v) {
    return b.reshape(v[0], {N, kInferDim});
  });
  add(Op::transpose, "transpose", {{{N, 2, 3, 4}}}, [](Builder& b, const Values& v) {
    return b.transpose(v[0], {0, 3, 1, 2});
  });
  add(Op::slice, "slice", {{{7, 5}}}, [](Builder& b, const Values& v) {
    return b.slice(v[0], {{1, 0}, {6, 5}, {1, 1}});
  });
  add(Op::slice, "slice by steps", {{{N, 7, 8}}}, [](Builder& b, const Values& v) {
    return b.slice(v[0], {{0, 1, 0}, {N, 7, 8}, {1, 2, 3}});
  });
  add(Op::slice, "slice of nothing and one", {{{4, 5}}}, [](Builder& b, const Values& v) {
    return b.slice(v[0], {{3, 2}, {4, 5}, {9, 2}});
  });
  add(Op::pad, "pad", {{{N, 3, 4}}}, [](Builder& b, const Values& v) {
    return b.pad(v[0], {{0, 1, 2}, {0, 0, 3}, {0, 0, 0}, 0.5});
  });
  add(Op::pad, "pad with interior", {{{3, 4}}}, [](Builder& b, const Values& v) {
    return b.pad(v[0], {{1, 0}, {2, 1}, {2, 1}, 0});
  });
  add(Op::concat, "concat", {{{N, 2, 3}}, {{N, 4, 3}}, {{N, 1, 3}}},
      [](Builder& b, const Values& v) { return b.concat(v, 1); });
  add(Op::concat, "concat of the same", {{{3, 2}}}, [](Builder& b, const Values& v) {
    return b.concat({v[0], v[0]}, 0);
  });
  for (const ReduceKind kind : {ReduceKind::sum, ReduceKind::mean, ReduceKind::max}) {
    const std::string name = "reduce " + std::to_string(static_cast<int>(kind));
    for (const bool keep : {false, true}) {
      for (const std::vector<std::int64_t>& axes :
           std::vector<std::vector<std::int64_t>>{{0}, {1}, {2}, {0, 2}, {1, 2}, {0, 1, 2}}) {
        add(Op::reduce, name, {{{N, 3, 4}}},
            [=](Builder& b, const Values& v) { return b.reduce(v[0], kind, axes, keep); });
      }
    }
  }
}

inline void add_matmul(std::vector<Case>& cases) {
  for (const bool ta : {false, true}) {
    for (const bool tb : {false, true}) {
      // Batched rows, or a batched reduction where a is transposed.
      const Shape a = ta ? Shape{tb ? 5 : N, 4} : Shape{N, 5};
      const Shape b = tb ? Shape{7, 5} : Shape{ta ? N : 5, 7};
      cases.push_back({Op::matmul, "matmul", {{a}, {b}}, [=](Builder& builder, const Values& v) {
                         return builder.matmul(v[0], v[1], {ta, tb});
                       }});
    }
  }
}

struct ConvCase {
  Shape x, weight, y;
  ConvAttrs attrs;
};
inline const std::vector<ConvCase> kConvs = {
    {{N, 3, 5, 6}, {4, 3, 3, 3}, {N, 4, 5, 6}, {{1, 1}, {1, 1}, {1, 1, 1, 1}, 1, {}}},
    {{N, 2, 7, 5}, {3, 2, 3, 2}, {N, 3, 4, 3}, {{2, 2}, {1, 1}, {1, 0, 1, 1}, 1, {}}},
    {{N, 2, 6, 7}, {2, 2, 2, 3}, {N, 2, 5, 3}, {{1, 2}, {2, 1}, {1, 0, 0, 0}, 1, {}}},
    {{N, 4, 4, 4}, {6, 2, 3, 3}, {N, 6, 2, 2}, {{2, 2}, {1, 1}, {1, 1, 1, 1}, 2, {}}},
    {{2, 3, 5, 4}, {3, 1, 3, 3}, {2, 3, 5, 3}, {{1, 1}, {1, 1}, {0, 1, 2, 0}, 3, {}}},
    {{N, 3, 3, 2}, {5, 3, 1, 1}, {N, 5, 3, 2}, {{1, 1}, {1, 1}, {0, 0, 0, 0}, 1, {}}},
};

inline void add_conv(std::vector<Case>& cases) {
  for (const ConvCase& conv : kConvs) {
    cases.push_back(
        {Op::conv2d, "conv2d", {{conv.x}, {conv.weight}}, [=](Builder& b, const Values& v) {
           return b.conv2d(v[0], v[1], conv.attrs);
         }});
    ConvAttrs data = conv.attrs;
    data.shape = conv.x;
    cases.push_back(
        {Op::conv2d_backward_data,
         "conv2d_backward_data",
         {{conv.y}, {conv.weight}},
         [=](Builder& b, const Values& v) { return b.conv2d_backward_data(v[0], v[1], data); }});
    ConvAttrs weights = conv.attrs;
    weights.shape = conv.weight;
    cases.push_back({Op::conv2d_backward_weights,
                     "conv2d_backward_weights",
                     {{conv.x}, {conv.y}},
                     [=](Builder& b, const Values& v) {
                       return b.conv2d_backward_weights(v[0], v[1], weights);
                     }});
  }
}

inline void add_pool(std::vector<Case>& cases) {
  const std::vector<PoolAttrs> pools = {
      {PoolKind::max, {2, 2}, {2, 2}, {0, 0, 0, 0}, false, true},
      {PoolKind::max, {3, 2}, {2, 1}, {1, 0, 1, 1}, false, true},
      {PoolKind::max, {2, 3}, {2, 3}, {0, 0, 0, 0}, true, true},
      {PoolKind::average, {2, 2}, {2, 2}, {0, 0, 0, 0}, false, true},
      {PoolKind::average, {3, 3}, {2, 2}, {1, 1, 1, 1}, false, true},
      {PoolKind::average, {3, 3}, {2, 1}, {1, 1, 1, 1}, true, false},
  };
  for (const PoolAttrs& pool : pools) {
    cases.push_back({Op::pool2d, "pool2d", {{{N, 2, 5, 4}}}, [=](Builder& b, const Values& v) {
                       return b.pool2d(v[0], pool);
                     }});
    if (pool.kind == PoolKind::max) continue;
    cases.push_back({Op::pool2d_backward,
                     "pool2d_backward",
                     {{{N, 2, 5, 4}}, {{N, 2, 3, 4}}},
                     [=](Builder& b, const Values& v) {
                       const ValueId y = b.pool2d(v[0], pool);
                       const Shape shape = b.type(y).shape;
                       SliceAttrs cut{{0, 0, 0, 0}, shape, {1, 1, 1, 1}};
                       const ValueId dy = b.slice(v[1], cut);
                       return b.pool2d_backward(v[0], dy, pool);
                     }});
  }
}

inline void add_softmax(std::vector<Case>& cases) {
  const auto add = [&](Op op, std::vector<Operand> operands, auto build) {
    cases.push_back({op, std::string(traits(op).name), std::move(operands), build});
  };
  add(Op::softmax, {{{N, 6}}}, [](Builder& b, const Values& v) { return b.softmax(v[0], 1); });
  add(Op::softmax, {{{2, 3, 4}}}, [](Builder& b, const Values& v) { return b.softmax(v[0], 1); });
  add(Op::log_softmax, {{{N, 6}}},
      [](Builder& b, const Values& v) { return b.log_softmax(v[0], 1); });
  add(Op::log_softmax, {{{4, 3}}},
      [](Builder& b, const Values& v) { return b.log_softmax(v[0], 0); });
  add(Op::cross_entropy, {{{N, 7}}, labels({N}, 7)},
      [](Builder& b, const Values& v) { return b.cross_entropy(v[0], v[1]); });
  add(Op::cross_entropy_backward, {{{N, 5}}, labels({N}, 5), {{N}}},
      [](Builder& b, const Values& v) { return b.cross_entropy_backward(v[0], v[1], v[2]); });
}

inline void add_layers(std::vector<Case>& cases) {
  const auto normalize = [&](std::string name, std::vector<Operand> operands,
                             std::vector<std::int64_t> axes) {
    cases.push_back(
        {Op::normalize, std::move(name), std::move(operands), [axes](Builder& b, const Values& v) {
           return b.normalize(v[0], v[1], {axes, 0.1});
         }});
  };
  normalize("normalize over the batch", {{{N, 3, 2, 2}}, {{1, 3, 1, 1}}}, {0, 2, 3});
  normalize("normalize rows", {{{N, 7}}, {{}}}, {1});
  normalize("normalize by a scale of fewer axes", {{{4, 3, 5}}, {{3, 1}}}, {0, 2});
  const auto gather = [](Builder& b, const Values& v) { return b.gather(v[0], v[1]); };
  cases.push_back({Op::gather, "gather", {{{5, 3}}, labels({N}, 5)}, gather});
  cases.push_back({Op::gather, "gather of sequences", {{{4, 5}}, labels({N, 3}, 4)}, gather});
  cases.push_back({Op::gather_backward,
                   "gather_backward",
                   {{{N, 3, 5}}, labels({N, 3}, 4)},
                   [](Builder& b, const Values& v) {
                     return b.gather_backward(v[0], v[1], {4, 5});
                   }});
  cases.push_back({Op::gradient,
                   "gradient of normalize",
                   {{{N, 3, 4}}, {{1, 3, 1}}},
                   [](Builder& b, const Values& v) {
                     const ValueId y = b.normalize(v[0], v[1], {{0, 2}, 0.1});
                     const ValueId z = b.tanh(y);
                     const ValueId loss = b.reduce(z, ReduceKind::sum, {0, 1, 2}, false);
                     return b.gradient(loss, v[0]);
                   }});
}

// Gradients of gradients, through the pass twice.
inline void add_second_order(std::vector<Case>& cases) {
  cases.push_back({Op::gradient,
                   "gradient of a convolution",
                   {{{N, 2, 4, 4}}, {{2, 2, 3, 3}}},
                   [](Builder& b, const Values& v) {
                     const ValueId y = b.conv2d(v[0], v[1], {{1, 1}, {1, 1}, {1, 1, 1, 1}, 1, {}});
                     const ValueId z = b.tanh(y);
                     const ValueId loss = b.reduce(z, ReduceKind::mean, {0, 1, 2, 3}, false);
                     return b.gradient(loss, v[1]);
                   }});
  cases.push_back({Op::gradient,
                   "gradient of a loss",
                   {{{N, 4}}, {{4, 3}}, labels({N}, 3)},
                   [](Builder& b, const Values& v) {
                     const ValueId logits = b.matmul(v[0], v[1]);
                     const ValueId rows = b.cross_entropy(logits, v[2]);
                     const ValueId loss = b.reduce(rows, ReduceKind::sum, {0}, false);
                     return b.gradient(loss, v[0]);
                   }});
}

inline std::vector<Case> all_cases() {
  std::vector<Case> cases;
  add_elementwise(cases);
  add_movement(cases);
  add_matmul(cases);
  add_conv(cases);
  add_pool(cases);
  add_softmax(cases);
  add_layers(cases);
  add_second_order(cases);
  return cases;
}

}  // namespace taper::vjp_cases
