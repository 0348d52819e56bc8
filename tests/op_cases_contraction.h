// Cases of tests/op_sweep.cpp: matrix products, convolution, pooling, row-wise ops, gradients.
#pragma once

#include "tests/op_case.h"

namespace taper::op_cases {

struct MatrixSize {
  Dim m, k, n;
};

inline void add_matmul(std::vector<Case>& cases) {
  const auto add = [&](const Shape& a, const Shape& b, MatmulAttrs attrs) {
    cases.push_back({Op::matmul, {{a}, {b}}, [=](Builder& builder, const Values& v) {
                       return builder.matmul(v[0], v[1], attrs);
                     }});
  };
  const std::vector<MatrixSize> sizes = {{1, 1, 1},    {33, 20, 48}, {7, 1, 16},  {3, 130, 17},
                                         {19, 37, 5},  {64, 64, 64}, {N, 37, 17}, {N, 64, 32},
                                         {N, 100, 10}, {N, 5, 1}};
  for (const auto& [m, k, n] : sizes)
    for (const bool tb : {false, true}) {
      const Shape b = tb ? Shape{n, k} : Shape{k, n};
      add({m, k}, b, {false, tb});
      if (m != N) add({k, m}, b, {true, tb});
    }
  for (const Dim n : {1, 17, 32}) add({N, 21}, {N, n}, {true, false});  // a sum over the batch
  cases.push_back({Op::matmul,                                          // two layers
                   {{{N, 20}}, {{33, 20}}, {{33}}, {{33, 18}}, {{18}}},
                   [](Builder& b, const Values& v) {
                     const ValueId first = b.add(b.matmul(v[0], v[1], {false, true}), v[2]);
                     const ValueId hidden = b.relu(first);
                     return b.add(b.matmul(hidden, v[3]), v[4]);
                   }});
}

struct Window {
  Pair stride{1, 1}, dilation{1, 1};
  Padding padding{0, 0, 0, 0};
  std::int64_t groups = 1;
  ConvAttrs attrs(const Shape& shape = {}) const {
    return {stride, dilation, padding, groups, shape};
  }
};
struct ConvCase {
  Shape x, weight;
  Window window{};
};

inline const std::vector<ConvCase>& conv_cases() {
  static const std::vector<ConvCase> cases = {
      {{N, 1, 9, 9}, {16, 1, 3, 3}, {.padding = {1, 1, 1, 1}}},
      {{N, 3, 8, 7}, {5, 3, 3, 3}, {.padding = {1, 1, 1, 1}}},
      {{N, 3, 11, 10}, {20, 3, 5, 5}, {.stride = {2, 2}, .padding = {2, 1, 2, 2}}},
      {{N, 5, 6, 6}, {17, 5, 1, 1}, {}},
      {{N, 16, 7, 9}, {16, 16, 3, 3}, {.padding = {1, 1, 1, 1}}},
      {{N, 16, 7, 7}, {32, 16, 3, 3}, {.stride = {2, 2}, .padding = {1, 1, 1, 1}}},
      {{N, 17, 5, 6}, {20, 17, 2, 3}, {.padding = {0, 1, 1, 1}}},
      {{N, 20, 5, 5}, {17, 20, 3, 3}, {.dilation = {2, 2}, .padding = {2, 2, 2, 2}}},
      {{N, 32, 6, 5}, {32, 32, 1, 1}, {}},
      {{N, 32, 6, 5}, {16, 32, 1, 1}, {.stride = {2, 2}}},
      {{N, 32, 14, 14}, {32, 32, 3, 3}, {.padding = {1, 1, 1, 1}}},
      {{N, 16, 6, 8}, {5, 16, 5, 5}, {.padding = {2, 2, 2, 2}}},
      {{N, 3, 9, 4}, {3, 3, 2, 3}, {.stride = {3, 1}, .dilation = {1, 2}, .padding = {0, 4, 0, 0}}},
      {{N, 1, 5, 5}, {1, 1, 5, 5}, {}},
      {{N, 1, 1, 1}, {1, 1, 1, 1}, {}},
      {{N, 2, 3, 3}, {2, 2, 3, 3}, {.padding = {3, 2, 3, 4}}},
      {{2, 5, 6, 7}, {20, 5, 3, 3}, {.padding = {1, 0, 0, 1}}},
      // Depthwise.
      {{N, 16, 7, 7}, {16, 1, 3, 3}, {.padding = {1, 1, 1, 1}, .groups = 16}},
      {{N, 20, 8, 6}, {20, 1, 3, 3}, {.stride = {2, 2}, .padding = {1, 1, 1, 1}, .groups = 20}},
      {{N, 5, 6, 6}, {5, 1, 2, 3}, {.dilation = {2, 1}, .padding = {0, 1, 1, 0}, .groups = 5}},
      {{N, 32, 9, 9}, {32, 1, 5, 5}, {.padding = {2, 2, 2, 2}, .groups = 32}},
      {{N, 17, 5, 5}, {17, 1, 1, 1}, {.groups = 17}},
      // Other groups.
      {{N, 4, 6, 6}, {6, 2, 3, 3}, {.stride = {2, 2}, .padding = {1, 1, 1, 1}, .groups = 2}},
      {{N, 32, 5, 5}, {32, 16, 3, 3}, {.padding = {1, 1, 1, 1}, .groups = 2}},
      {{N, 20, 5, 4}, {40, 5, 3, 3}, {.padding = {1, 1, 1, 1}, .groups = 4}},
      {{N, 16, 5, 4}, {32, 1, 3, 3}, {.padding = {1, 1, 1, 1}, .groups = 16}},
      {{N, 6, 5, 4}, {3, 2, 1, 1}, {.groups = 3}},
  };
  return cases;
}

inline void add_conv(std::vector<Case>& cases) {
  for (const ConvCase& conv : conv_cases()) {
    cases.push_back({Op::conv2d, {{conv.x}, {conv.weight}}, [=](Builder& b, const Values& v) {
                       return b.conv2d(v[0], v[1], conv.window.attrs());
                     }});
    const Shape y =
        infer(Op::conv2d, {{DType::f32, conv.x}, {DType::f32, conv.weight}}, conv.window.attrs())
            .shape;
    const ConvAttrs data = conv.window.attrs(conv.x);
    cases.push_back(
        {Op::conv2d_backward_data, {{y}, {conv.weight}}, [=](Builder& b, const Values& v) {
           return b.conv2d_backward_data(v[0], v[1], data);
         }});
    const ConvAttrs weights = conv.window.attrs(conv.weight);
    cases.push_back(
        {Op::conv2d_backward_weights, {{conv.x}, {y}}, [=](Builder& b, const Values& v) {
           return b.conv2d_backward_weights(v[0], v[1], weights);
         }});
    if (&conv == &conv_cases()[4] || &conv == &conv_cases()[18])
      cases.push_back(
          {Op::conv2d,
           {{conv.x}, {conv.weight}},
           [=](Builder& b, const Values& v) { return b.conv2d(v[0], v[1], conv.window.attrs()); },
           Match::tensor,
           true,
           37});
    // With everything that fuses around it: bias, residual, activation.
    cases.push_back({Op::conv2d,
                     {{conv.x}, {conv.weight}, {{y[1], 1, 1}}, {y}},
                     [=](Builder& b, const Values& v) {
                       const ValueId product = b.conv2d(b.relu(v[0]), v[1], conv.window.attrs());
                       const ValueId sum = b.add(b.add(product, v[2]), v[3]);
                       return b.relu(sum);
                     }});
  }
}

inline void add_pool(std::vector<Case>& cases) {
  const auto add = [&](const Shape& shape, const PoolAttrs& pool) {
    const bool max = pool.kind == PoolKind::max;
    const Match match = max ? Match::exact : Match::tensor;
    const Fill fill = max ? Fill::integers : Fill::spread;
    cases.push_back({Op::pool2d,
                     {{shape, fill}},
                     [=](Builder& b, const Values& v) { return b.pool2d(v[0], pool); },
                     match});
    const Shape y = infer(Op::pool2d, {{DType::f32, shape}}, pool).shape;
    cases.push_back(
        {Op::pool2d_backward,
         {{shape, fill}, {y}},
         [=](Builder& b, const Values& v) { return b.pool2d_backward(v[0], v[1], pool); },
         Match::tensor,
         !max});
  };
  for (const PoolKind kind : {PoolKind::max, PoolKind::average})
    for (const std::int64_t channels : {3, 16, 20}) {
      const Shape even{N, channels, 6, 8}, odd{N, channels, 7, 5};
      add(even, {.kind = kind});
      add(odd, {.kind = kind});
      add(odd, {.kind = kind, .ceil_mode = true});
      add(odd, {.kind = kind, .kernel = {3, 3}, .stride = {1, 1}, .padding = {1, 1, 1, 1}});
      add(odd, {.kind = kind, .kernel = {3, 2}, .stride = {2, 1}, .padding = {1, 0, 1, 1}});
      add(even, {.kind = kind, .kernel = {3, 3}, .stride = {2, 2}, .ceil_mode = true});
      add(even, {.kind = kind, .kernel = {2, 2}, .stride = {3, 3}});
      add(even, {.kind = kind,
                 .kernel = {3, 3},
                 .stride = {2, 2},
                 .padding = {1, 1, 1, 1},
                 .ceil_mode = true,
                 .count_include_pad = false});
      add(odd, {.kind = kind,
                .kernel = {4, 3},
                .stride = {1, 2},
                .padding = {2, 1, 0, 1},
                .count_include_pad = false});
      add(odd, {.kind = kind, .kernel = {7, 5}, .stride = {1, 1}});
      add(even, {.kind = kind, .kernel = {1, 1}, .stride = {1, 1}});
    }
  for (const PoolKind kind : {PoolKind::max, PoolKind::average})
    cases.push_back(
        {Op::pool2d, {{{N, 3, 6, 6}}, {{20, 3, 3, 3}}}, [=](Builder& b, const Values& v) {
           const ValueId y = b.conv2d(v[0], v[1], Window{.padding = {1, 1, 1, 1}}.attrs());
           return b.pool2d(b.relu(y), {.kind = kind});
         }});
}

inline void add_rows(std::vector<Case>& cases) {
  const auto softmax = [&](const Shape& shape, std::int64_t axis) {
    cases.push_back({Op::softmax, {{shape}}, [=](Builder& b, const Values& v) {
                       return b.softmax(v[0], axis);
                     }});
    cases.push_back({Op::log_softmax, {{shape}}, [=](Builder& b, const Values& v) {
                       return b.log_softmax(v[0], axis);
                     }});
  };
  softmax({N, 6}, 1);
  softmax({N, 37}, 1);
  softmax({N, 1}, 1);
  softmax({N, 64}, 1);
  softmax({1000}, 0);
  softmax({4, 3}, 0);
  for (const std::int64_t axis : {0, 1, 2}) softmax({2, 19, 4}, axis);
  for (const std::int64_t axis : {1, 2, 3}) softmax({N, 3, 5, 17}, axis);
  cases.push_back({Op::softmax, {{{N, 3, 4, 4}}, {{20, 3, 1, 1}}}, [](Builder& b, const Values& v) {
                     return b.softmax(b.conv2d(v[0], v[1], {}), 1);
                   }});
  for (const Shape& logits :
       {Shape{N, 7}, Shape{N, 10}, Shape{5, 33}, Shape{N, 1}, Shape{N, 100}}) {
    const Operand labels{{logits[0]}, Fill::labels, DType::i32, logits[1]};
    cases.push_back({Op::cross_entropy, {{logits}, labels}, [](Builder& b, const Values& v) {
                       return b.cross_entropy(v[0], v[1]);
                     }});
    cases.push_back({Op::cross_entropy,  // scaled by 30: a peaked distribution
                     {{logits, Fill::integers, DType::f32, 30}, labels},
                     [](Builder& b, const Values& v) {
                       const ValueId rows = b.cross_entropy(v[0], v[1]);
                       return b.reduce(rows, ReduceKind::mean, {0}, false);
                     }});
    cases.push_back(
        {Op::cross_entropy_backward,
         {{logits}, labels, {{logits[0]}}},
         [](Builder& b, const Values& v) { return b.cross_entropy_backward(v[0], v[1], v[2]); }});
  }
}

// Gradients of gradients, and of what does not depend on the value.
inline void add_gradients(std::vector<Case>& cases) {
  cases.push_back(
      {Op::gradient, {{{N, 2, 4, 4}}, {{2, 2, 3, 3}}}, [](Builder& b, const Values& v) {
         const ValueId y = b.conv2d(v[0], v[1], Window{.padding = {1, 1, 1, 1}}.attrs());
         const ValueId loss = b.reduce(b.tanh(y), ReduceKind::mean, {0, 1, 2, 3}, false);
         return b.gradient(loss, v[1]);
       }});
  cases.push_back({Op::gradient,
                   {{{N, 4}}, {{4, 3}}, {{N}, Fill::labels, DType::i32, 3}},
                   [](Builder& b, const Values& v) {
                     const ValueId rows = b.cross_entropy(b.matmul(v[0], v[1]), v[2]);
                     const ValueId loss = b.reduce(rows, ReduceKind::sum, {0}, false);
                     return b.gradient(loss, v[0]);
                   }});
  cases.push_back({Op::gradient, {{{N, 4}}, {{5}}}, [](Builder& b, const Values& v) {
                     const ValueId loss = b.reduce(v[0], ReduceKind::sum, {0, 1}, false);
                     return b.gradient(loss, v[1]);
                   }});
}

}  // namespace taper::op_cases
