// Cases of tests/op_sweep.cpp: tensors without elements, and ops that meet in larger graphs.
#pragma once

#include "tests/op_case.h"

namespace taper::op_cases {

inline void add_empty(std::vector<Case>& cases) {
  const auto add = [&](Op op, const std::vector<Operand>& operands, const Attrs& attrs = {}) {
    const auto build = [=](Builder& b, const Values& v) { return b.add_node(op, v, attrs); };
    cases.push_back({op, operands, build, Match::exact, false});
  };
  add(Op::add, {{{0, 3}}, {{3}}});
  add(Op::add, {{{N, 0}}, {{1}}});
  add(Op::concat, {{{N, 0}}, {{N, 3}}}, AxisAttrs{1});
  add(Op::transpose, {{{4, 0}}}, AxesAttrs{{1, 0}});
  add(Op::reshape, {{{0, 3}}}, ShapeAttrs{{3, 0}});
  add(Op::broadcast_to, {{{1, 3}}}, ShapeAttrs{{0, 3}});
  add(Op::pad, {{{0, 3}}}, PadAttrs{{1, 0}, {2, 0}, {0, 0}, 4});
  add(Op::reduce, {{{0, 3}}}, ReduceAttrs{ReduceKind::sum, {1}, false});
  add(Op::matmul, {{{0, 3}}, {{3, 5}}}, MatmulAttrs{});
  add(Op::matmul, {{{4, 3}}, {{3, 0}}}, MatmulAttrs{});
  add(Op::matmul, {{{N, 0}}, {{0, 5}}}, MatmulAttrs{});
  add(Op::conv2d, {{{0, 3, 4, 4}}, {{5, 3, 3, 3}}}, ConvAttrs{});
  add(Op::conv2d_backward_weights, {{{0, 3, 4, 4}}, {{0, 5, 2, 2}}},
      ConvAttrs{{1, 1}, {1, 1}, {0, 0, 0, 0}, 1, {5, 3, 3, 3}});
  add(Op::pool2d, {{{0, 3, 4, 4}}}, PoolAttrs{});
  add(Op::pool2d, {{{N, 0, 4, 4}}}, PoolAttrs{});
  add(Op::softmax, {{{0, 3}}}, AxisAttrs{1});
  add(Op::softmax, {{{3, 0}}}, AxisAttrs{1});
  add(Op::cross_entropy, {{{0, 3}}, {{0}, Fill::labels, DType::i32}});
}

inline ValueId same_conv(Builder& b, ValueId x, ValueId weight) {
  return b.conv2d(x, weight, {{1, 1}, {1, 1}, {1, 1, 1, 1}, 1, {}});
}

inline ValueId normalized(Builder& b, ValueId x, const std::vector<std::int64_t>& axes) {
  const ValueId mean = b.reduce(x, ReduceKind::mean, axes, true);
  const ValueId off = b.sub(x, mean);
  const ValueId variance = b.reduce(b.mul(off, off), ReduceKind::mean, axes, true);
  const ValueId shifted = b.add(variance, b.scalar(0.1));
  return b.div(off, b.sqrt(shifted));
}

inline void add_blocks(std::vector<Case>& cases) {
  const auto add = [&](Op op, const std::vector<Operand>& operands, const Build& build) {
    cases.push_back({op, operands, build});
  };
  add(Op::reduce, {{{N, 20, 4, 5}}, {{20, 20, 3, 3}}, {{20, 1, 1}}, {{20, 1, 1}}},
      [](Builder& b, const Values& v) {  // batch normalization
        const ValueId y = normalized(b, same_conv(b, v[0], v[1]), {0, 2, 3});
        const ValueId scaled = b.mul(y, v[2]);
        return b.relu(b.add(scaled, v[3]));
      });
  add(Op::reduce, {{{N, 7, 33}}, {{33}}, {{33}}}, [](Builder& b, const Values& v) {
    const ValueId scaled = b.mul(normalized(b, v[0], {2}), v[1]);
    return b.add(scaled, v[2]);
  });
  add(Op::matmul, {{{17, 20}}, {{17, 20}}, {{17, 20}}}, [](Builder& b, const Values& v) {
    const ValueId scores = b.matmul(v[0], v[1], {false, true});
    return b.matmul(b.softmax(scores, 1), v[2]);
  });
  add(Op::random, {{{N, 3, 5, 5}}, {{20, 3, 3, 3}}, {{}, Fill::labels}},
      [](Builder& b, const Values& v) {  // dropout of a blocked tensor
        const ValueId y = same_conv(b, v[0], v[1]);
        const ValueId random = b.random(v[2], {1, 2, {N, 20, 5, 5}});
        const ValueId kept = b.lt(random, b.scalar(0.3));
        return b.select(kept, y, b.scalar(0));
      });
  add(Op::concat, {{{N, 16, 5, 5}}, {{16, 16, 3, 3}}}, [](Builder& b, const Values& v) {
    const ValueId both = b.concat({v[0], same_conv(b, v[0], v[1])}, 1);
    const ValueId middle = b.slice(both, {{0, 8, 0, 0}, {N, 24, 5, 5}, {1, 1, 1, 1}});
    return same_conv(b, middle, v[1]);
  });
  add(Op::pool2d, {{{N, 16, 8, 8}}, {{16, 16, 3, 3}}}, [](Builder& b, const Values& v) {
    const ValueId y = same_conv(b, v[0], v[1]);  // two pools of it, and a skip around one
    const ValueId largest = b.pool2d(b.relu(y), {});
    const ValueId mean = b.pool2d(y, {.kind = PoolKind::average});
    return b.add(same_conv(b, largest, v[1]), mean);
  });
  add(Op::conv2d, {{{N, 3, 7, 7}, Fill::labels, DType::u8, 256}, {{5, 20, 3, 3}}, {{5, 3, 1, 1}}},
      [](Builder& b, const Values& v) {  // a transposed weight, pictures of bytes
        const ValueId picture = b.mul(b.cast(v[0], DType::f32), b.scalar(1 / 255.0));
        const ValueId weight = b.transpose(v[1], {1, 0, 2, 3});
        return same_conv(b, b.conv2d(picture, v[2], {}), weight);
      });
  // Windows that lie in the padding only, alone and in depthwise form.
  add(Op::conv2d, {{{N, 16, 3, 3}}, {{16, 16, 3, 3}}}, [](Builder& b, const Values& v) {
    return b.conv2d(v[0], v[1], {{1, 1}, {1, 1}, {5, 5, 5, 5}, 1, {}});
  });
  add(Op::conv2d, {{{N, 20, 5, 5}}, {{20, 1, 3, 3}}}, [](Builder& b, const Values& v) {
    return b.conv2d(v[0], v[1], {{2, 3}, {2, 3}, {4, 5, 3, 6}, 20, {}});
  });
  add(Op::conv2d, {{{N, 200, 3, 3}}, {{130, 200, 1, 1}}},
      [](Builder& b, const Values& v) { return b.conv2d(v[0], v[1], {}); });
}

// NaN and infinity go through, and one channel's never reaches another's lanes.
inline void add_special(std::vector<Case>& cases) {
  const Operand image{{N, 20, 6, 6}, Fill::special};
  cases.push_back({Op::pool2d,
                   {image},
                   [](Builder& b, const Values& v) {
                     return b.pool2d(v[0], {PoolKind::max, {3, 3}, {2, 2}, {1, 1, 1, 1}});
                   },
                   Match::exact});
  cases.push_back({Op::conv2d,
                   {image, {{5, 20, 1, 1}}},
                   [](Builder& b, const Values& v) { return b.conv2d(v[0], v[1], {}); },
                   Match::tensor,
                   false});
  cases.push_back({Op::softmax,
                   {{{N, 21}, Fill::integers, DType::f32, 500}},
                   [](Builder& b, const Values& v) { return b.softmax(v[0], 1); }});
}

inline void add_edges(std::vector<Case>& cases) {
  add_empty(cases);
  add_blocks(cases);
  add_special(cases);
}

}  // namespace taper::op_cases
