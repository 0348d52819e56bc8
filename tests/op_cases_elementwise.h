// Cases of tests/op_sweep.cpp: elementwise ops, leaves, casts.
#pragma once

#include "tests/op_case.h"

namespace taper::op_cases {

inline Build elementwise(Op op) {
  return [op](Builder& b, const Values& v) { return b.add_node(op, v); };
}

// Pairs of shapes that broadcast: of all ranks, both ways, with tails.
inline const std::vector<std::pair<Shape, Shape>> kPairs = {
    {{N, 17}, {N, 17}},
    {{N, 20, 3, 5}, {20, 1, 1}},
    {{N, 1, 4}, {1, 3, 1}},
    {{}, {N, 7}},
    {{}, {}},
    {{33}, {1}},
    {{5, 1}, {1, 7}},
    {{N, 1, 1, 19}, {6, 1, 1}},
    {{2, 1, 3, 1, 5}, {4, 1, 2, 1}},
    {{2, 1, 2, 1, 3, 2, 1, 2}, {3, 1, 2, 1, 1, 3, 1}},
    {{N, 48}, {48}},
    {{N, 16, 2, 2}, {N, 16, 1, 1}},
};

inline void add_binary(std::vector<Case>& cases) {
  for (const Op op : {Op::add, Op::sub, Op::mul, Op::div})
    for (const auto& [a, b] : kPairs)
      cases.push_back(
          {op, {{a}, {b, Fill::positive}}, elementwise(op), Match::exact, op != Op::div});
  for (const Op op : {Op::maximum, Op::minimum, Op::eq, Op::ne, Op::lt, Op::le, Op::gt, Op::ge})
    for (const auto& [a, b] : kPairs)  // whole numbers, so that there are ties
      cases.push_back(
          {op, {{a, Fill::integers}, {b, Fill::integers}}, elementwise(op), Match::exact});
  for (const Op op : {Op::add, Op::sub, Op::mul, Op::div, Op::maximum, Op::minimum, Op::eq, Op::ne,
                      Op::lt, Op::le, Op::gt, Op::ge})
    cases.push_back({op,
                     {{{N, 61}, Fill::special}, {{N, 61}, Fill::special}},
                     elementwise(op),
                     Match::exact,
                     false});
  for (const Shape& shape : {Shape{N, 5}, Shape{5}})
    cases.push_back({Op::div, {{{N, 5}}, {shape, Fill::positive}}, elementwise(Op::div)});
}

inline void add_unary(std::vector<Case>& cases) {
  const std::vector<Shape> shapes = {{N, 17}, {}, {1}, {67}, {N, 3, 5, 5}, {N, 64}};
  for (const Op op :
       {Op::neg, Op::abs, Op::relu, Op::relu6, Op::exp, Op::sigmoid, Op::tanh, Op::erf})
    for (const Shape& shape : shapes)
      for (const Fill fill : {Fill::spread, Fill::integers})
        cases.push_back({op, {{shape, fill}}, elementwise(op), Match::pointwise});
  for (const Op op : {Op::log, Op::sqrt})
    for (const Shape& shape : shapes)
      cases.push_back({op, {{shape, Fill::positive}}, elementwise(op), Match::pointwise});
  for (const Op op : {Op::neg, Op::abs, Op::relu, Op::relu6, Op::exp, Op::sigmoid, Op::tanh,
                      Op::erf, Op::log, Op::sqrt})
    cases.push_back({op, {{{N, 61}, Fill::special}}, elementwise(op), Match::pointwise, false});
}

inline void add_select(std::vector<Case>& cases) {
  const auto add = [&](const Shape& condition, const Shape& a, const Shape& b) {
    cases.push_back({Op::select,
                     {{condition, Fill::integers, DType::boolean, 1}, {a}, {b}},
                     elementwise(Op::select),
                     Match::exact});
  };
  add({N, 19}, {N, 19}, {N, 19});
  add({N, 1}, {19}, {});
  add({19}, {N, 19}, {N, 1});
  add({3, 1, 1}, {N, 3, 4, 5}, {5});
  add({}, {7}, {7});
  cases.push_back({Op::select,
                   {{{N, 21}, Fill::integers}, {{N, 21}, Fill::integers}, {{21}}},
                   [](Builder& b, const Values& v) {
                     const ValueId less = b.lt(v[0], v[1]);
                     return b.select(less, v[2], v[0]);
                   },
                   Match::exact});
}

// Chains that fuse into one kernel: several uses, several results, more values than registers.
inline void add_chains(std::vector<Case>& cases) {
  cases.push_back(
      {Op::mul, {{{N, 37}}, {{37}}, {{N, 1}, Fill::positive}}, [](Builder& b, const Values& v) {
         const ValueId hidden = b.tanh(b.add(v[0], v[1]));
         const ValueId gate = b.sigmoid(b.div(v[0], v[2]));
         return b.mul(hidden, gate);
       }});
  cases.push_back({Op::add, {{{N, 45}}}, [](Builder& b, const Values& v) {
                     Values terms;
                     for (int i = 1; i <= 24; ++i) terms.push_back(b.mul(v[0], b.scalar(0.1 * i)));
                     ValueId product = v[0];
                     for (const ValueId term : terms) product = b.sub(term, product);
                     ValueId sum = product;
                     for (const ValueId term : terms) sum = b.add(sum, b.abs(term));
                     return sum;
                   }});
}

inline void add_elementwise(std::vector<Case>& cases) {
  add_binary(cases);
  add_unary(cases);
  add_select(cases);
  add_chains(cases);
}

inline void add_constants(std::vector<Case>& cases) {
  for (const DType dtype :
       {DType::f32, DType::f16, DType::bf16, DType::i8, DType::u8, DType::i32, DType::boolean})
    for (const Shape& shape : {Shape{}, Shape{5}, Shape{3, 21}})
      for (const bool splat : {false, true})
        cases.push_back({Op::constant,
                         {{{21}}},
                         [=](Builder& b, const Values& v) {
                           const Operand operand{shape, Fill::integers, dtype, 90};
                           std::vector<double> values = make_value(operand, 1, 7).data;
                           if (splat) values.resize(1);
                           const ValueId c = b.constant({dtype, shape}, values);
                           const ValueId moved = b.reshape(c, {1, kInferDim});
                           const ValueId sum = b.reduce(v[0], ReduceKind::max, {0}, true);
                           return b.add(b.cast(moved, DType::f32), sum);
                         },
                         Match::exact});
  for (const DType dtype : {DType::f16, DType::bf16, DType::i8, DType::boolean})  // one in memory
    cases.push_back(
        {Op::constant,
         {{{3, 5}, Fill::integers, dtype, 90}},
         [=](Builder& b, const Values& v) {
           const Operand operand{{3, 4}, Fill::spread, dtype};
           const ValueId c = b.constant({dtype, {3, 4}}, make_value(operand, 1, 7).data);
           return b.concat({v[0], c}, 1);
         },
         Match::exact});
  cases.push_back({Op::constant,
                   {},
                   [](Builder& b, const Values&) {
                     return b.constant({DType::f32, {2, 3}}, {4});
                   },
                   Match::exact});
}

// A variable that is read, one that is replaced and one that moves by its gradient.
inline ValueId updated_variables(Builder& b, const Values& v) {
  const ValueId weight = b.parameter("weight", {DType::f32, {19, 21}});
  const ValueId bias = b.parameter("bias", {DType::f32, {21}});
  const ValueId state = b.state("state", {DType::f32, {21}});
  const ValueId y = b.add(b.matmul(v[0], weight), bias);
  const ValueId loss = b.reduce(b.mul(y, y), ReduceKind::sum, {0, 1}, false);
  const ValueId slope = b.gradient(loss, weight);
  const ValueId step = b.mul(slope, b.scalar(0.01));
  b.graph().updates.push_back({weight, b.sub(weight, step)});
  b.graph().updates.push_back({state, b.add(bias, b.scalar(1))});
  return b.add(y, state);
}

inline void add_leaves(std::vector<Case>& cases) {
  const auto identity = [](Builder&, const Values& v) { return v[0]; };
  for (const DType dtype :
       {DType::f32, DType::f16, DType::bf16, DType::i8, DType::u8, DType::i32, DType::boolean})
    for (const Shape& shape : {Shape{}, Shape{N}, Shape{3, 21}})
      cases.push_back({Op::input, {{shape, Fill::integers, dtype, 90}}, identity, Match::exact});
  cases.push_back({Op::parameter, {{{N, 19}}}, updated_variables, Match::tensor});
  cases.push_back({Op::state, {{{4, 19}}}, updated_variables, Match::tensor});
  cases.push_back({Op::state,
                   {{{3, 5}}},
                   [](Builder& b, const Values& v) {  // two variables change places
                     const ValueId first = b.state("first", {DType::f32, {3, 5}});
                     const ValueId second = b.state("second", {DType::f32, {3, 5}});
                     b.graph().updates.push_back({first, second});
                     b.graph().updates.push_back({second, first});
                     return b.add(v[0], first);
                   },
                   Match::exact});
  add_constants(cases);
  for (const Shape& shape : {Shape{N, 3, 5}, Shape{N}, Shape{}, Shape{4, 33}, Shape{N, 20, 3, 3}})
    for (const std::uint64_t seed : {std::uint64_t{0}, std::uint64_t{0x123456789abcdef0}})
      cases.push_back({Op::random,
                       {{{}, Fill::labels, DType::f32, 1000}},
                       [=](Builder& b, const Values& v) {
                         return b.random(v[0], {seed, seed / 3, shape});
                       },
                       Match::exact});
  cases.push_back({Op::random, {{{N, 37}}, {{1}, Fill::integers}}, [](Builder& b, const Values& v) {
                     const ValueId keep = b.random(v[1], {3, 1, {N, 37}});
                     const ValueId kept = b.lt(keep, b.scalar(0.4));
                     return b.select(kept, v[0], b.scalar(0));
                   }});
  for (const Shape& shape : std::vector<Shape>{{N}, {N, 7}, {3, 5}})
    cases.push_back({Op::in_range,
                     {{shape, Fill::labels, DType::i32, 6}},
                     [=](Builder& b, const Values& v) {
                       return b.in_range(v[0], {.low = 0, .high = 5, .others = {5, -100}});
                     },
                     Match::exact});
  for (const std::vector<std::int64_t>& axes :
       std::vector<std::vector<std::int64_t>>{{}, {0}, {1}, {0, 1}, {1, 2}})
    cases.push_back({Op::extent,
                     {{{N, 3, 4}}},
                     [=](Builder& b, const Values& v) { return b.extent(v[0], axes); },
                     Match::exact});
}

inline void add_casts(std::vector<Case>& cases) {
  const auto all = {DType::f32, DType::f16, DType::bf16,   DType::i8,
                    DType::u8,  DType::i32, DType::boolean};
  for (const DType from : all)
    for (const DType to : all)
      for (const Fill fill : {Fill::spread, Fill::special, Fill::integers})
        cases.push_back({Op::cast,
                         {{{N, 61}, fill, from, 40000000}},
                         [=](Builder& b, const Values& v) { return b.cast(v[0], to); },
                         Match::exact,
                         fill != Fill::special});
  for (const DType to : all)  // rounded inside a chain, and to a stored tensor that others read
    cases.push_back({Op::cast,
                     {{{N, 3, 21}, Fill::integers, DType::f32, 100}},
                     [=](Builder& b, const Values& v) {
                       const ValueId rounded = b.cast(b.mul(v[0], b.scalar(0.37)), to);
                       const ValueId moved = b.transpose(rounded, {0, 2, 1});
                       const ValueId there = b.cast(moved, DType::f32);
                       const ValueId here = b.cast(rounded, DType::f32);
                       const ValueId back = b.transpose(here, {0, 2, 1});
                       return b.add(there, b.mul(back, b.scalar(2)));
                     },
                     Match::exact});
}

}  // namespace taper::op_cases
