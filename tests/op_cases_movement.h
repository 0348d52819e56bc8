// Cases of tests/op_sweep.cpp: ops that move or reduce elements, of plain and of blocked tensors.
#pragma once

#include <algorithm>
#include <numeric>

#include "tests/op_case.h"

namespace taper::op_cases {

using Axes = std::vector<std::int64_t>;

// A use of the channel-blocked layout: the result of a convolution, and what the case does to it.
inline void add_after_conv(std::vector<Case>& cases, Op op, std::int64_t channels,
                           const std::function<ValueId(Builder&, ValueId)>& then) {
  cases.push_back({op, {{{N, 3, 4, 5}}, {{channels, 3, 1, 1}}}, [=](Builder& b, const Values& v) {
                     const ValueId y = b.conv2d(v[0], v[1], {});
                     return then(b, y);
                   }});
}

inline void add_shapes(std::vector<Case>& cases) {
  const auto broadcast = [&](const Shape& from, const Shape& to, DType dtype = DType::f32) {
    cases.push_back({Op::broadcast_to,
                     {{from, Fill::integers, dtype}},
                     [=](Builder& b, const Values& v) { return b.broadcast_to(v[0], to); },
                     Match::exact});
  };
  broadcast({3, 1}, {N, 3, 4});
  broadcast({}, {2, 5});
  broadcast({1}, {N});
  broadcast({N, 1, 1}, {N, 20, 7});
  broadcast({17, 1, 1}, {N, 17, 3, 3});
  broadcast({5, 1, 2}, {3, 5, 19, 2}, DType::u8);
  broadcast({N, 1}, {N, 9}, DType::boolean);
  broadcast({2, 1, 3}, {2, 33, 3}, DType::f16);
  const auto reshape = [&](const Shape& from, const Shape& to, DType dtype = DType::f32) {
    cases.push_back({Op::reshape,
                     {{from, Fill::integers, dtype}},
                     [=](Builder& b, const Values& v) { return b.reshape(v[0], to); },
                     Match::exact});
  };
  reshape({N, 3, 4}, {N, kInferDim});
  reshape({N, 180}, {N, 20, 3, 3});
  reshape({6, 5}, {3, 1, 10});
  reshape({1}, {});
  reshape({N}, {N, 1, 1});
  reshape({7, 3}, {21}, DType::i8);
  for (const std::int64_t channels : {16, 20}) {
    add_after_conv(cases, Op::reshape, channels, [](Builder& b, ValueId y) {
      return b.reshape(y, {N, kInferDim});
    });
    add_after_conv(cases, Op::reshape, channels, [](Builder& b, ValueId y) {
      return b.reshape(y, {N, 2, kInferDim, 5});
    });
    add_after_conv(cases, Op::broadcast_to, channels, [=](Builder& b, ValueId y) {
      const ValueId mean = b.reduce(y, ReduceKind::mean, {2, 3}, true);
      return b.mul(y, b.broadcast_to(mean, {N, channels, 4, 5}));
    });
  }
}

inline void add_transposes(std::vector<Case>& cases) {
  const auto transpose = [&](const Shape& shape, const Axes& axes, DType dtype = DType::f32) {
    cases.push_back({Op::transpose,
                     {{shape, Fill::integers, dtype}},
                     [=](Builder& b, const Values& v) { return b.transpose(v[0], axes); },
                     Match::exact});
  };
  Axes axes{0, 1, 2, 3};
  do transpose({N, 17, 3, 4}, axes);
  while (std::next_permutation(axes.begin() + 1, axes.end()));
  axes = {0, 1, 2};
  do transpose({5, 6, 19}, axes);
  while (std::next_permutation(axes.begin(), axes.end()));
  transpose({17, 33}, {1, 0});
  transpose({64, 48}, {1, 0});
  transpose({1, 5}, {1, 0});
  transpose({2, 3, 4, 5, 6}, {4, 2, 0, 3, 1});
  transpose({17, 33}, {1, 0}, DType::u8);
  transpose({N, 5, 18}, {0, 2, 1}, DType::bf16);
  transpose({N, 5, 18}, {0, 2, 1}, DType::i32);
  for (const Axes& order : {Axes{0, 2, 3, 1}, Axes{0, 1, 3, 2}, Axes{0, 3, 1, 2}})
    for (const std::int64_t channels : {16, 20})
      add_after_conv(cases, Op::transpose, channels,
                     [=](Builder& b, ValueId y) { return b.transpose(y, order); });
}

inline void add_slices(std::vector<Case>& cases) {
  const auto slice = [&](const Shape& shape, const SliceAttrs& cut, DType dtype = DType::f32) {
    cases.push_back({Op::slice,
                     {{shape, Fill::integers, dtype}},
                     [=](Builder& b, const Values& v) { return b.slice(v[0], cut); },
                     Match::exact});
  };
  slice({7, 5}, {{1, 0}, {6, 5}, {1, 1}});
  slice({N, 7, 8}, {{0, 1, 0}, {N, 7, 8}, {1, 2, 3}});
  slice({4, 5}, {{3, 2}, {4, 5}, {9, 2}});
  slice({100}, {{3}, {98}, {7}});
  slice({N, 50}, {{0, 10}, {N, 43}, {1, 1}});
  slice({N, 20, 5, 5}, {{0, 3, 1, 0}, {N, 19, 4, 5}, {1, 1, 2, 2}});
  slice({9, 37}, {{0, 1}, {9, 37}, {2, 3}}, DType::u8);
  slice({9, 37}, {{0, 1}, {9, 37}, {2, 3}}, DType::f16);
  add_after_conv(cases, Op::slice, 20, [](Builder& b, ValueId y) {
    return b.slice(y, {{0, 3, 1, 0}, {N, 19, 4, 5}, {1, 1, 2, 2}});
  });
  add_after_conv(cases, Op::slice, 48, [](Builder& b, ValueId y) {
    return b.slice(y, {{0, 16, 0, 0}, {N, 36, 4, 5}, {1, 1, 1, 1}});
  });
}

inline void add_pads(std::vector<Case>& cases) {
  const auto pad = [&](const Shape& shape, const PadAttrs& around, DType dtype = DType::f32) {
    cases.push_back({Op::pad,
                     {{shape, Fill::integers, dtype}},
                     [=](Builder& b, const Values& v) { return b.pad(v[0], around); },
                     Match::exact});
  };
  pad({N, 3, 4}, {{0, 1, 2}, {0, 0, 3}, {0, 0, 0}, 0.5});
  pad({3, 4}, {{1, 0}, {2, 1}, {2, 1}, 0});
  pad({9, 20}, {{-2, 3}, {1, -4}, {0, 0}, -1});
  pad({9, 20}, {{-2, -3}, {-1, -4}, {2, 3}, 7});
  pad({5}, {{-3}, {20}, {1}, 1});
  pad({4}, {{9}, {-8}, {2}, 3});
  pad({4}, {{-30}, {40}, {2}, 3});
  pad({N, 17, 3, 3}, {{0, 0, 1, 1}, {0, 0, 1, 1}, {0, 0, 0, 0}, 0});
  pad({N, 17, 3, 3}, {{0, 2, 0, 1}, {0, 3, 0, 0}, {0, 0, 1, 2}, 2});
  pad({N, 4}, {{0, -30}, {0, 40}, {0, 2}, 3});
  pad({N, 5, 19}, {{0, -2, -3}, {0, 3, -8}, {0, 1, 0}, 1});
  pad({5, 7}, {{1, 2}, {2, 1}, {1, 0}, 3}, DType::u8);
  pad({5, 7}, {{1, 2}, {2, 1}, {1, 0}, -3}, DType::i32);
  pad({5, 7}, {{1, 2}, {2, 1}, {1, 0}, 0.1}, DType::f16);
  pad({5, 7}, {{1, 2}, {2, 1}, {1, 0}, 0.1}, DType::bf16);
  add_after_conv(cases, Op::pad, 17, [](Builder& b, ValueId y) {
    return b.pad(y, {{0, 2, 1, 0}, {0, 3, -1, 2}, {0, 0, 0, 1}, 2});
  });
}

inline void add_concats(std::vector<Case>& cases) {
  const auto concat = [&](const std::vector<Shape>& shapes, std::int64_t axis,
                          DType dtype = DType::f32) {
    std::vector<Operand> operands;
    for (const Shape& shape : shapes) operands.push_back({shape, Fill::integers, dtype});
    cases.push_back({Op::concat, operands,
                     [=](Builder& b, const Values& v) { return b.concat(v, axis); }, Match::exact});
  };
  concat({{N, 2, 3}, {N, 4, 3}, {N, 1, 3}}, 1);
  concat({{N, 20, 3}, {N, 20, 17}}, 2);
  concat({{7}, {33}, {1}}, 0);
  concat({{N, 5}}, 1);
  concat({{N, 16, 3, 3}, {N, 5, 3, 3}, {N, 17, 3, 3}}, 1);
  concat({{7, 3}, {33, 3}}, 0, DType::i8);
  concat({{N, 3}, {N, 8}}, 1, DType::f16);
  cases.push_back({Op::concat,
                   {{{3, 2}}},
                   [](Builder& b, const Values& v) {
                     return b.concat({v[0], v[0]}, 0);
                   },
                   Match::exact});
  for (const std::int64_t channels : {5, 16, 20}) {
    add_after_conv(cases, Op::concat, channels, [](Builder& b, ValueId y) {
      return b.concat({y, b.relu(y), y}, 1);
    });
    add_after_conv(cases, Op::concat, channels, [](Builder& b, ValueId y) {
      return b.concat({y, b.neg(y)}, 3);
    });
  }
}

inline void add_movement(std::vector<Case>& cases) {
  add_shapes(cases);
  add_transposes(cases);
  add_slices(cases);
  add_pads(cases);
  add_concats(cases);
}

inline void add_reduce(std::vector<Case>& cases) {
  const auto kinds = {ReduceKind::sum, ReduceKind::mean, ReduceKind::max};
  const auto add = [&](const Shape& shape, ReduceKind kind, const Axes& axes, bool keep) {
    const Fill fill = kind == ReduceKind::max ? Fill::integers : Fill::spread;
    cases.push_back({Op::reduce,
                     {{shape, fill}},
                     [=](Builder& b, const Values& v) { return b.reduce(v[0], kind, axes, keep); },
                     kind == ReduceKind::max ? Match::exact : Match::tensor});
  };
  for (const ReduceKind kind : kinds) {
    for (unsigned subset = 0; subset < 16; ++subset) {
      Axes axes;
      for (std::int64_t axis = 0; axis < 4; ++axis)
        if (subset >> axis & 1) axes.push_back(axis);
      for (const bool keep : {false, true}) add({N, 3, 4, 5}, kind, axes, keep);
      add_after_conv(cases, Op::reduce, subset % 2 == 0 ? 20 : 33,
                     [=](Builder& b, ValueId y) { return b.reduce(b.relu(y), kind, axes, true); });
    }
    add({N, 37}, kind, {1}, false);
    add({N, 37}, kind, {0}, false);
    add({129, 3}, kind, {0}, false);
    add({3, 129}, kind, {1}, true);
    add({5000}, kind, {0}, false);
    add({7, 1, 300}, kind, {0, 2}, false);
    add({2, 3, 2, 3, 2, 3}, kind, {1, 3, 5}, false);
    cases.push_back({Op::reduce,
                     {{{N, 21}, Fill::special}},
                     [=](Builder& b, const Values& v) { return b.reduce(v[0], kind, {1}, false); },
                     Match::tensor,
                     false});
  }
  for (const ReduceKind kind : kinds)
    for (const Axes& axes : {Axes{0}, Axes{0, 1}, Axes{1}})
      cases.push_back(
          {Op::reduce,
           {{{N, 37}}},
           [=](Builder& b, const Values& v) { return b.reduce(v[0], kind, axes, false); },
           Match::tensor,
           true,
           150});
  // A prologue and an epilogue: the variance of each column.
  cases.push_back({Op::reduce, {{{N, 3, 21}}}, [](Builder& b, const Values& v) {
                     const ValueId mean = b.reduce(v[0], ReduceKind::mean, {0}, true);
                     const ValueId off = b.sub(v[0], mean);
                     const ValueId variance =
                         b.reduce(b.mul(off, off), ReduceKind::mean, {0}, true);
                     const ValueId shifted = b.add(variance, b.scalar(0.1));
                     return b.div(off, b.sqrt(shifted));
                   }});
}

}  // namespace taper::op_cases
