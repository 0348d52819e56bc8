// Every rule of `simplify`, proved on random instances: it fires, and the interpreter computes the
// same values before and after. A rule without a generator here fails.
#include <gtest/gtest.h>

#include <functional>
#include <map>

#include "passes/passes.h"
#include "passes/pattern.h"
#include "passes/simplify_rules.h"
#include "tests/random_instance.h"

namespace taper {
namespace {

using namespace ir;
using passes::Pattern;

constexpr int kInstances = 60;

// The replacement must have the type and the values of what it replaces.
void expect_proved(Instance& instance, ValueId root, ValueId replacement) {
  ASSERT_NE(replacement, kNoValue) << "the rule does not apply to\n"
                                   << [&] {
                                        instance.graph().outputs = {{"y", root}};
                                        return print(instance.graph());
                                      }();
  ASSERT_NE(replacement, root);
  const std::vector<Value> values = instance.evaluate({root, replacement});
  expect_same(values[0], values[1]);
}

// Builds a pattern on random operands that broadcast to `full`.
class PatternInstance {
 public:
  PatternInstance(Instance& instance, Shape full) : instance_(instance), full_(std::move(full)) {}

  ValueId build(const Pattern& pattern, bool condition = false) {
    const DType dtype = condition ? DType::boolean : DType::f32;
    if (pattern.kind == Pattern::Kind::constant) {
      return instance_.constant(instance_.part_of(full_), pattern.value, dtype);
    }
    if (pattern.kind == Pattern::Kind::variable) {
      ValueId& bound = bindings_[pattern.variable];
      if (bound == kNoValue) bound = instance_.input(instance_.part_of(full_), dtype);
      return bound;
    }
    std::vector<ValueId> operands;
    for (const Pattern& arg : pattern.args) {
      operands.push_back(build(arg, pattern.op == Op::select && operands.empty()));
    }
    return instance_.builder().add_node(pattern.op, operands);
  }

 private:
  Instance& instance_;
  Shape full_;
  passes::Bindings bindings_;
};

TEST(Rules, IdentitiesHold) {
  for (const passes::Identity& identity : passes::identities()) {
    SCOPED_TRACE(std::string(identity.text));
    for (unsigned seed = 0; seed < kInstances; ++seed) {
      Instance instance(seed);
      const ValueId root = PatternInstance(instance, instance.shape(0, 3)).build(identity.from);
      const ValueId simpler = passes::apply(identity, instance.builder(), root);
      expect_proved(instance, root, simpler);
      if (HasFatalFailure()) return;
    }
  }
}

using Generator = std::function<ValueId(Instance&)>;

ValueId add(Instance& it, Op op, ValueId x, Attrs attrs) {
  return it.builder().add_node(op, {x}, std::move(attrs));
}
Shape shape_of(Instance& it, ValueId x) {
  return it.builder().type(x).shape;
}

ValueId twice_broadcast(Instance& it) {
  const Shape full = it.shape(1, 3);
  const Shape middle = it.part_of(full);
  const ValueId x = it.input(it.part_of(middle));
  const ValueId once = add(it, Op::broadcast_to, x, ShapeAttrs{middle});
  return add(it, Op::broadcast_to, once, ShapeAttrs{full});
}

// The reshape adds leading axes of extent 1.
ValueId broadcast_reshape(Instance& it) {
  const ValueId x = it.input(it.shape(0, 2, false));
  Shape reshaped = shape_of(it, x), full = reshaped;
  for (Dim& extent : full) extent = extent == 1 ? 1 + it.below(4) : extent;
  for (std::int64_t i = 1 + it.below(2); i-- > 0;) {
    reshaped.insert(reshaped.begin(), 1);
    full.insert(full.begin(), 1 + it.below(4));
  }
  if (it.coin()) full[0] = kBatch;
  const ValueId inner = add(it, Op::reshape, x, ShapeAttrs{reshaped});
  return add(it, Op::broadcast_to, inner, ShapeAttrs{full});
}

ValueId twice_sliced(Instance& it) {
  const ValueId x = it.input({it.coin() ? kBatch : 5, 9, 8});
  const ValueId once = add(it, Op::slice, x, it.slice(shape_of(it, x)));
  return add(it, Op::slice, once, it.slice(shape_of(it, once)));
}

ValueId twice_transposed(Instance& it) {
  const ValueId x = it.input(it.shape(1, 4));
  const ValueId once = add(it, Op::transpose, x, AxesAttrs{it.permutation(shape_of(it, x))});
  return add(it, Op::transpose, once, AxesAttrs{it.permutation(shape_of(it, once))});
}

// Long axes keep their order; unit axes go between them at random.
ValueId unit_axes_transposed(Instance& it) {
  const ValueId x = it.input({it.coin() ? kBatch : 2, 1, 3, 1, 2});
  Axes axes{0, 2, 4};
  for (const std::int64_t unit : {1, 3}) axes.insert(axes.begin() + 1 + it.below(3), unit);
  return add(it, Op::transpose, x, AxesAttrs{axes});
}

ValueId unit_axes_reduced(Instance& it) {
  const ValueId x = it.input({it.coin() ? kBatch : 3, 1, 2, 1});
  const Axes choices[] = {{}, {1}, {3}, {1, 3}};
  const auto kind = static_cast<ReduceKind>(it.below(3));
  return add(it, Op::reduce, x, ReduceAttrs{kind, choices[it.below(4)], it.coin()});
}

ValueId transposed_matmul(Instance& it) {
  const MatmulAttrs attrs{it.coin(), it.coin()};
  const Dim m = 1 + it.below(4), n = 1 + it.below(4), k = 1 + it.below(4);
  const ValueId a = it.input(attrs.transpose_a ? Shape{m, k} : Shape{k, m});
  const ValueId left = add(it, Op::transpose, a, AxesAttrs{{1, 0}});
  const bool transposed = it.coin();
  const ValueId b = it.input(attrs.transpose_b != transposed ? Shape{n, k} : Shape{k, n});
  const ValueId right = transposed ? add(it, Op::transpose, b, AxesAttrs{{1, 0}}) : b;
  return it.builder().matmul(left, right, attrs);
}

ValueId counted(Instance& it) {
  const ValueId x = it.input({it.coin() ? kBatch : 3, 2, 1, 5});
  const Axes choices[] = {{}, {1}, {1, 3}, {0, 1}, {0, 1, 2, 3}};
  return add(it, Op::extent, x, AxesAttrs{choices[it.below(5)]});
}

ValueId counted_batch(Instance& it) {
  const ValueId x = it.input({kBatch, 2});
  it.input({kBatch});
  return it.builder().extent(it.builder().relu(x), {0});
}

ValueId constant_tree(Instance& it) {
  const Shape full = it.shape(0, 3, false);
  const auto random_constant = [&] {
    const Shape shape = it.part_of(full);
    std::vector<double> values;
    for (std::int64_t i = element_count(shape, 1); i-- > 0;) {
      values.push_back(static_cast<double>(1 + it.below(999)) / 64);
    }
    return it.builder().constant({DType::f32, shape}, values);
  };
  const ValueId a = random_constant();
  const ValueId b = random_constant();
  constexpr Op kBinary[] = {Op::add, Op::sub, Op::mul, Op::div, Op::maximum, Op::minimum, Op::lt};
  constexpr Op kUnary[] = {Op::neg, Op::abs, Op::sqrt, Op::relu};
  switch (it.below(5)) {
    case 0:
      return it.builder().add_node(kBinary[it.below(std::ssize(kBinary))], {a, b});
    case 1:
      return it.builder().add_node(kUnary[it.below(std::ssize(kUnary))], {a});
    case 2:
      return add(it, Op::cast, a, CastAttrs{it.coin() ? DType::i32 : DType::bf16});
    case 3:
      return add(it, Op::transpose, a, AxesAttrs{it.permutation(shape_of(it, a))});
    default:
      return add(it, Op::slice, a, it.slice(shape_of(it, a)));
  }
}

ValueId broadcast_operands(Instance& it) {
  const Shape full = it.shape(1, 3);
  const auto operand = [&] {
    const ValueId x = it.input(it.part_of(full));
    return add(it, Op::broadcast_to, x, ShapeAttrs{full});
  };
  const ValueId a = operand();
  switch (it.below(4)) {
    case 0:
      return it.builder().neg(a);
    case 1:
      return it.builder().mul(a, it.input(it.part_of(full)));
    case 2: {
      const ValueId half = it.builder().constant({DType::f32, {2, 3}}, {0.5});
      return it.builder().sub(half, it.input(it.part_of({4, 2, 3})));
    }
    default:
      return it.builder().add(a, operand());
  }
}

ValueId twice_reshaped(Instance& it) {
  const Dim lead = it.coin() ? kBatch : 2;
  const Shape shapes[] = {{lead, 24}, {lead, 4, 6}, {lead, 2, 3, 4}, {lead, 1, 24}, {lead, 3, 8}};
  const std::int64_t first = it.below(5), second = (first + 1 + it.below(4)) % 5;
  const std::int64_t third = (second + 1 + it.below(4)) % 5;
  const ValueId x = it.input(shapes[first]);
  const ValueId once = add(it, Op::reshape, x, ShapeAttrs{shapes[second]});
  return add(it, Op::reshape, once, ShapeAttrs{shapes[third]});
}

ValueId sliced_whole(Instance& it) {
  const ValueId x = it.input(it.shape(1, 3));
  SliceAttrs whole;
  for (const Dim extent : shape_of(it, x)) {
    whole.begin.push_back(0);
    whole.end.push_back(extent);
    whole.step.push_back(1);
  }
  return add(it, Op::slice, x, whole);
}

ValueId padded_by_nothing(Instance& it) {
  const ValueId x = it.input(it.shape(1, 3));
  const Axes zeros(shape_of(it, x).size(), 0);
  return add(it, Op::pad, x, PadAttrs{zeros, zeros, zeros, 7});
}

const std::map<std::string_view, Generator> kGenerators = {
    {"reshape to the same shape",
     [](Instance& it) {
       const ValueId x = it.input(it.shape(0, 3));
       return add(it, Op::reshape, x, ShapeAttrs{shape_of(it, x)});
     }},
    {"slice of everything", sliced_whole},
    {"broadcast to the same shape",
     [](Instance& it) {
       const ValueId x = it.input(it.shape(0, 3));
       return add(it, Op::broadcast_to, x, ShapeAttrs{shape_of(it, x)});
     }},
    {"cast to the same dtype",
     [](Instance& it) {
       const DType dtype = it.coin() ? DType::f32 : DType::i32;
       return add(it, Op::cast, it.input(it.shape(0, 3), dtype), CastAttrs{dtype});
     }},
    {"pad by nothing", padded_by_nothing},
    {"concat of one",
     [](Instance& it) { return add(it, Op::concat, it.input(it.shape(2, 3)), AxisAttrs{1}); }},
    {"reshape of reshape", twice_reshaped},
    {"broadcast of broadcast", twice_broadcast},
    {"broadcast of reshape", broadcast_reshape},
    {"transpose of transpose", twice_transposed},
    {"slice of slice", twice_sliced},
    {"transpose of unit axes", unit_axes_transposed},
    {"reduce of unit axes", unit_axes_reduced},
    {"matmul of transpose", transposed_matmul},
    {"extent of static axes", counted},
    {"extent of the batch", counted_batch},
    {"fold constants", constant_tree},
    {"broadcast after elementwise", broadcast_operands},
};

TEST(Rules, StructuralRulesHold) {
  for (const passes::StructuralRule& rule : passes::structural_rules()) {
    SCOPED_TRACE(std::string(rule.name));
    const auto generator = kGenerators.find(rule.name);
    ASSERT_NE(generator, kGenerators.end()) << "no generator";
    for (unsigned seed = 0; seed < kInstances; ++seed) {
      Instance instance(seed);
      const ValueId root = generator->second(instance);
      const ValueId simpler = rule.apply(instance.builder(), root);
      expect_proved(instance, root, simpler);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(Rules, EveryGeneratorHasItsRule) {
  EXPECT_EQ(kGenerators.size(), passes::structural_rules().size());
}

// The whole pass on every rule's instances at once: the same outputs, and nothing left to do.
TEST(Rules, SimplifyKeepsValuesAndReachesAFixedPoint) {
  for (unsigned seed = 0; seed < kInstances; ++seed) {
    Instance instance(seed);
    std::vector<ValueId> roots;
    for (const auto& [name, generator] : kGenerators) roots.push_back(generator(instance));
    for (const passes::Identity& identity : passes::identities()) {
      PatternInstance pattern(instance, instance.shape(0, 3));
      roots.push_back(pattern.build(identity.from));
    }
    const std::vector<Value> before = instance.evaluate(roots);
    const Graph simpler = passes::simplify(instance.graph(), {});
    verify(simpler, Stage::recorded);
    const std::vector<Value> after = instance.evaluate(simpler);
    for (std::size_t i = 0; i < before.size(); ++i) expect_same(before[i], after[i]);
    EXPECT_EQ(print(passes::simplify(simpler, {})), print(simpler));
  }
}

std::size_t simplified_size(const std::function<ValueId(Builder&, ValueId, ValueId)>& build) {
  Graph graph;
  Builder builder(graph);
  const ValueId x = builder.input("x", {DType::f32, {kBatch, 3}});
  const ValueId y = builder.input("y", {DType::f32, {kBatch, 3}});
  graph.outputs = {{"z", build(builder, x, y)}};
  return passes::simplify(graph, {}).size();
}

TEST(Rules, CommonValuesAreShared) {
  EXPECT_EQ(simplified_size([](Builder& b, ValueId x, ValueId y) {
              const ValueId product = b.mul(x, y);
              const ValueId same = b.mul(y, x);
              const ValueId tanh = b.tanh(product);
              return b.div(tanh, b.tanh(same));
            }),
            5u);
  EXPECT_EQ(simplified_size([](Builder& b, ValueId x, ValueId y) {
              const ValueId difference = b.sub(x, y);
              return b.div(difference, b.sub(y, x));
            }),
            5u)
      << "sub does not commute";
}

TEST(Rules, WhatNanAndInfinityForbidIsNotDone) {
  EXPECT_EQ(simplified_size([](Builder& b, ValueId x, ValueId) { return b.mul(x, b.scalar(0)); }),
            3u);
  EXPECT_EQ(simplified_size([](Builder& b, ValueId x, ValueId) { return b.sub(x, x); }), 2u);
  EXPECT_EQ(simplified_size([](Builder& b, ValueId x, ValueId) { return b.div(x, b.scalar(3)); }),
            3u);
}

TEST(Rules, DistinctRandomStreamsStayDistinct) {
  EXPECT_EQ(simplified_size([](Builder& b, ValueId x, ValueId) {
              const ValueId step = b.scalar(1);
              const ValueId first = b.random(step, {1, 0, {3}});
              const ValueId second = b.random(step, {1, 1, {3}});
              const ValueId sum = b.add(first, second);
              return b.add(sum, x);
            }),
            6u);
}

TEST(Rules, MalformedPatternsAreRefused) {
  for (const char* text : {"", "add(x)", "add(x, y", "add(x,y)", "word", "add(x, y) z", "X"}) {
    EXPECT_THROW(passes::parse_pattern(text), Error) << text;
  }
}

}  // namespace
}  // namespace taper
