#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "ir/attrs.h"
#include "tests/kernel_everywhere.h"

namespace taper::testing {
namespace {

using ir::kBatch;
using ir::ReduceKind;

struct Case {
  std::vector<ir::Dim> dims;
  std::vector<bool> reduced;
  std::int64_t batch = 1;
  std::vector<std::int64_t> strides{};  // of the input; empty: dense
};

std::int64_t extent(ir::Dim dim, std::int64_t batch) {
  return dim == kBatch ? batch : dim;
}

ir::ReduceSpec make_spec(const Case& c, ReduceKind kind, EpilogueKind epilogue) {
  ir::ReduceSpec spec;
  spec.kind = kind;
  spec.dims = c.dims;
  spec.reduced = c.reduced;
  spec.epilogue = make_epilogue(epilogue);
  ir::Stream input{.strides = std::vector<std::int64_t>(c.dims.size())};
  spec.result.strides.resize(c.dims.size());
  std::int64_t in = 1, out = 1;
  for (std::size_t i = c.dims.size(); i-- > 0;) {
    input.strides[i] = in;
    spec.result.strides[i] = c.reduced[i] ? 0 : out;
    in *= c.dims[i];
    if (!c.reduced[i]) out *= c.dims[i];
  }
  if (!c.strides.empty()) input.strides = c.strides;
  spec.inputs = {input};
  return spec;
}

struct Reference {
  std::vector<double> value, magnitude;
};

// Naive: every input element is added to (or compared with) its result element.
Reference reduce(const ir::ReduceSpec& spec, const Case& c, Buffer& input, std::int64_t results) {
  Reference r;
  const auto n = static_cast<std::size_t>(results);
  r.value.assign(n, spec.kind == ReduceKind::max ? -INFINITY : 0.0);
  r.magnitude.assign(n, 0.0);
  std::int64_t total = 1, count = 1;
  for (std::size_t i = 0; i < c.dims.size(); ++i) {
    total *= extent(c.dims[i], c.batch);
    if (c.reduced[i]) count *= extent(c.dims[i], c.batch);
  }
  for (std::int64_t flat = 0; flat < total; ++flat) {
    std::int64_t index = flat, from = 0, to = 0;
    for (std::size_t i = c.dims.size(); i-- > 0;) {
      const std::int64_t size = extent(c.dims[i], c.batch);
      from += index % size * spec.inputs[0].strides[i];
      to += index % size * spec.result.strides[i];
      index /= size;
    }
    const double x = input[from];
    double& y = r.value[static_cast<std::size_t>(to)];
    if (spec.kind == ReduceKind::max) {
      y = std::isnan(x) || x > y ? x : y;
    } else {
      y += x;
      r.magnitude[static_cast<std::size_t>(to)] += std::fabs(x);
    }
  }
  if (spec.kind == ReduceKind::mean) {
    for (std::size_t i = 0; i < n; ++i) {
      r.value[i] /= static_cast<double>(count);
      r.magnitude[i] /= static_cast<double>(count);
    }
  }
  return r;
}

void check(const Case& c, ReduceKind kind, EpilogueKind epilogue) {
  const ir::ReduceSpec spec = make_spec(c, kind, epilogue);
  SCOPED_TRACE(ir::to_string(ir::KernelSpec(spec)) + " N=" + std::to_string(c.batch));
  std::int64_t elements = 1, results = 1;
  for (std::size_t i = 0; i < c.dims.size(); ++i) {
    elements += (extent(c.dims[i], c.batch) - 1) * spec.inputs[0].strides[i];
    if (!c.reduced[i]) results *= extent(c.dims[i], c.batch);
  }
  std::mt19937 generator(7);
  Buffer input(elements);
  for (std::int64_t i = 0; i < elements; ++i) input[i] = random_value(generator);
  EpilogueData extra(epilogue, results, results, generator);
  std::vector<void*> operands{input.data()};
  for (Buffer& b : extra.buffers) operands.push_back(b.data());
  const auto got = run_everywhere([&](const ir::Isa& isa) { return codegen::compile(spec, isa); },
                                  operands, {results * 4}, c.batch);
  const Reference want = reduce(spec, c, input, results);
  for (std::int64_t i = 0; i < results; ++i) {
    const auto at = static_cast<std::size_t>(i);
    const double expected = extra.reference(want.value[at], i, 0);
    ASSERT_NEAR(floats(got[0])[i], expected, 1e-6 * (1 + want.magnitude[at])) << "element " << i;
  }
}

std::vector<Case> cases() {
  return {
      {{kBatch, 7}, {true, false}, 5},
      {{kBatch, 130}, {true, false}, 37},
      {{kBatch, 16}, {true, false}, 1100},
      {{kBatch, 5}, {false, true}, 9},
      {{kBatch, 100}, {false, true}, 3},
      {{kBatch, 9}, {true, true}, 4},
      {{kBatch}, {true}, 1},
      {{kBatch}, {true}, 250},
      {{kBatch}, {false}, 6},
      {{kBatch, 3, 49, 16}, {true, false, true, false}, 5},
      {{kBatch, 3, 49, 16}, {false, false, true, false}, 5},
      {{kBatch, 3, 49, 16}, {false, true, true, true}, 2},
      {{kBatch, 3, 4, 5}, {true, false, true, true}, 6},
      {{kBatch, 6, 7, 2}, {false, true, false, true}, 3},
      {{5, 6, 7}, {true, false, false}},
      {{5, 6, 7}, {false, true, false}},
      {{5, 6, 7}, {true, false, true}},
      {{5, 1, 7}, {true, true, true}},
      {{3, 30000}, {false, true}},
      {{4, 3, 5, 6, 2}, {false, true, false, true, false}},
      {{3, 5}, {false, false}},
      {{6, 35}, {true, false}, 1, {1, 6}},   // transposed input
      {{6, 35}, {false, true}, 1, {1, 6}},   //
      {{6, 35}, {false, true}, 1, {70, 2}},  // no contiguous dim
      {{6, 35}, {true, false}, 1, {0, 1}},   // broadcast input
  };
}

TEST(Reduce, MatchesNaiveSums) {
  for (const Case& c : cases()) {
    for (const ReduceKind kind : {ReduceKind::sum, ReduceKind::mean, ReduceKind::max}) {
      check(c, kind, EpilogueKind::none);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(Reduce, AppliesItsEpilogue) {
  for (const Case& c : cases()) {
    check(c, ReduceKind::sum, EpilogueKind::residual);
    check(c, ReduceKind::mean, EpilogueKind::mask);
    if (HasFatalFailure()) return;
  }
}

std::int64_t input_elements(const Case& c, const ir::ReduceSpec& spec) {
  std::int64_t elements = 1;
  for (std::size_t i = 0; i < c.dims.size(); ++i)
    elements += (extent(c.dims[i], c.batch) - 1) * spec.inputs[0].strides[i];
  return elements;
}

// Calls visit(offset into a tensor, index of the result) for every element that is reduced.
template <class Visit>
void for_each_element(const Case& c, const ir::ReduceSpec& spec, Visit visit) {
  std::int64_t total = 1;
  for (const ir::Dim dim : c.dims) total *= extent(dim, c.batch);
  for (std::int64_t flat = 0; flat < total; ++flat) {
    std::int64_t index = flat, from = 0, to = 0;
    for (std::size_t i = c.dims.size(); i-- > 0;) {
      const std::int64_t size = extent(c.dims[i], c.batch);
      from += index % size * spec.inputs[0].strides[i];
      to += index % size * spec.result.strides[i];
      index /= size;
    }
    visit(from, to);
  }
}

// select(mask, g * (x - mean), -0.5), as many values as a prologue may keep alive.
ir::ReduceSpec with_prologue(ir::ReduceSpec spec) {
  const ir::Stream tensor = spec.inputs[0];
  spec.inputs = {tensor, {ir::DType::f32, spec.result.strides}, tensor, tensor};
  spec.inputs[3].dtype = ir::DType::boolean;
  spec.prologue = {4,
                   {{.op = ir::Op::sub, .args = {0, 1, -1}},
                    {.op = ir::Op::mul, .args = {2, 4, -1}},
                    {.op = ir::Op::constant, .value = -0.5},
                    {.op = ir::Op::select, .args = {3, 5, 6}}},
                   {7}};
  return spec;
}

void check_prologue(const Case& c, ReduceKind kind) {
  const ir::ReduceSpec plain = make_spec(c, kind, EpilogueKind::residual);
  SCOPED_TRACE(ir::to_string(ir::KernelSpec(plain)) + " N=" + std::to_string(c.batch));
  const std::int64_t elements = input_elements(c, plain);
  std::int64_t results = 1;
  for (std::size_t i = 0; i < c.dims.size(); ++i)
    if (!c.reduced[i]) results *= extent(c.dims[i], c.batch);
  std::mt19937 generator(11);
  Buffer x(elements), g(elements), mean(results), value(elements);
  std::vector<std::uint8_t> mask(static_cast<std::size_t>(elements) + 64);
  for (std::int64_t i = 0; i < elements; ++i) x[i] = random_value(generator) / 3.0f;
  for (std::int64_t i = 0; i < elements; ++i) g[i] = random_value(generator) / 7.0f;
  for (std::int64_t i = 0; i < results; ++i) mean[i] = random_value(generator) / 9.0f;
  for (auto& m : mask) m = generator() % 3 != 0;
  for_each_element(c, plain, [&](std::int64_t from, std::int64_t to) {
    const float centred = x[from] - mean[to];
    value[from] = mask[static_cast<std::size_t>(from)] != 0 ? g[from] * centred : -0.5f;
  });
  EpilogueData extra(EpilogueKind::residual, results, results, generator);
  std::vector<void*> fused{x.data(), mean.data(), g.data(), mask.data()}, alone{value.data()};
  for (Buffer& b : extra.buffers) {
    fused.push_back(b.data());
    alone.push_back(b.data());
  }
  const auto run = [&](const ir::ReduceSpec& spec, const std::vector<void*>& operands) {
    return run_everywhere([&](const ir::Isa& isa) { return codegen::compile(spec, isa); }, operands,
                          {results * 4}, c.batch);
  };
  const auto got = run(with_prologue(plain), fused), want = run(plain, alone);
  for (std::int64_t i = 0; i < results; ++i)
    ASSERT_EQ(floats(got[0])[i], floats(want[0])[i]) << "element " << i;
}

// A row whose mean differs per row has no one value for each element of a broadcast tensor.
TEST(Reduce, ReducesItsPrologue) {
  for (const Case& c : cases()) {
    if (!c.strides.empty() && c.strides[0] == 0) continue;
    for (const ReduceKind kind : {ReduceKind::sum, ReduceKind::mean, ReduceKind::max}) {
      check_prologue(c, kind);
      if (HasFatalFailure()) return;
    }
  }
}

// Two results are those of two kernels, to the bit.
TEST(Reduce, HasAResultForEachOutput) {
  for (const Case& c : cases()) {
    if (!c.strides.empty() && c.strides[0] == 0) continue;
    const ir::ReduceSpec plain = make_spec(c, ReduceKind::sum, EpilogueKind::none);
    SCOPED_TRACE(ir::to_string(ir::KernelSpec(plain)));
    const std::int64_t elements = input_elements(c, plain);
    std::int64_t results = 1;
    for (std::size_t i = 0; i < c.dims.size(); ++i)
      if (!c.reduced[i]) results *= extent(c.dims[i], c.batch);
    std::mt19937 generator(5);
    Buffer x(elements), g(elements), mean(results);
    for (Buffer* b : {&x, &g})
      for (std::int64_t i = 0; i < elements; ++i) (*b)[i] = random_value(generator) / 3.0f;
    for (std::int64_t i = 0; i < results; ++i) mean[i] = random_value(generator);
    ir::ReduceSpec both = plain;
    both.inputs = {plain.inputs[0], plain.inputs[0], {ir::DType::f32, plain.result.strides}};
    const ir::ExprInstr centred{.op = ir::Op::sub, .args = {0, 2, -1}};
    const ir::ExprInstr unused{.op = ir::Op::neg, .args = {1, -1, -1}};
    const ir::ExprInstr product{.op = ir::Op::mul, .args = {3, 1, -1}};
    both.prologue = {3, {centred, unused, product}, {1, 5}};
    const auto run = [&](const ir::ReduceSpec& spec, std::size_t count) {
      return run_everywhere([&](const ir::Isa& isa) { return codegen::compile(spec, isa); },
                            {x.data(), g.data(), mean.data()},
                            std::vector<std::int64_t>(count, results * 4), c.batch);
    };
    const auto got = run(both, 2);
    for (const std::size_t term : {0u, 1u}) {
      ir::ReduceSpec alone = both;
      alone.prologue.outputs = {both.prologue.outputs[term]};
      const auto want = run(alone, 1);
      for (std::int64_t i = 0; i < results; ++i)
        ASSERT_EQ(floats(got[term])[i], floats(want[0])[i]) << "result " << term << " at " << i;
    }
  }
}

TEST(Reduce, RefusesProloguesThatItCannotWalk) {
  const ir::Isa& isa = *host_isas().front();
  const Case rows{{8, 40}, {false, true}};
  const auto refused = [&](auto change) {
    ir::ReduceSpec spec = with_prologue(make_spec(rows, ReduceKind::sum, EpilogueKind::none));
    change(spec);
    EXPECT_THROW(codegen::compile(spec, isa), Error);
  };
  refused([](ir::ReduceSpec& spec) { spec.inputs[2].strides = {1, 8}; });
  refused([](ir::ReduceSpec& spec) { spec.inputs[1].strides = {0, 1}; });
  refused([](ir::ReduceSpec& spec) { spec.inputs.push_back(spec.inputs[0]); });
  refused([](ir::ReduceSpec& spec) { spec.prologue = {}; });
}

TEST(Reduce, CutsBatchedResultsByImages) {
  const ir::Isa& isa = *host_isas().front();
  const auto kept = make_spec({{kBatch, 40}, {false, true}}, ReduceKind::sum, EpilogueKind::none);
  const auto gone = make_spec({{kBatch, 40}, {true, false}}, ReduceKind::sum, EpilogueKind::none);
  const auto by_images = codegen::compile(kept, isa);
  EXPECT_EQ(by_images->partition(), codegen::Partition::images);
  EXPECT_EQ(by_images->units(11), 11);
  const auto by_units = codegen::compile(gone, isa);
  EXPECT_EQ(by_units->partition(), codegen::Partition::units);
  EXPECT_EQ(by_units->units(11), 3);
}

TEST(Reduce, SumsInTheDocumentedOrder) {
  constexpr std::int64_t kSize = 16 * 517 + 5;
  Buffer input(kSize);
  std::mt19937 generator(3);
  for (std::int64_t i = 0; i < kSize; ++i) input[i] = random_value(generator) / 3.0f;
  std::array<float, 16> totals{};
  for (std::int64_t lane = 0; lane < 16; ++lane) {
    float& total = totals[static_cast<std::size_t>(lane)];
    for (const auto& [first, rows] : {std::array<std::int64_t, 2>{0, 512}, {512, 5}}) {
      std::array<float, 4> chains{};
      for (std::int64_t r = 0; r < rows; ++r) {
        const std::int64_t chain = r < rows / 4 * 4 ? r % 4 : 0;
        chains[static_cast<std::size_t>(chain)] += input[(first + r) * 16 + lane];
      }
      if (first == 512 && lane < 5) chains[0] += input[517 * 16 + lane];
      total += (chains[0] + chains[1]) + (chains[2] + chains[3]);
    }
  }
  for (std::size_t width = 8; width > 0; width /= 2) {
    for (std::size_t i = 0; i < width; ++i) totals[i] += totals[i + width];
  }
  const auto spec = make_spec({{kSize}, {true}}, ReduceKind::sum, EpilogueKind::none);
  const auto got = run_everywhere([&](const ir::Isa& isa) { return codegen::compile(spec, isa); },
                                  {input.data()}, {4}, 1);
  EXPECT_EQ(floats(got[0])[0], totals[0]);
}

TEST(Reduce, MaxPropagatesNaN) {
  for (const std::vector<bool>& reduced : {std::vector<bool>{true, false}, {false, true}}) {
    const auto spec = make_spec({{40, 40}, reduced}, ReduceKind::max, EpilogueKind::none);
    for (const std::int64_t at : {0, 1, 17, 39}) {
      Buffer input(1600);
      for (std::int64_t i = 0; i < 1600; ++i) input[i] = static_cast<float>(-i);
      input[at * 40 + at] = std::nanf("");
      const auto got =
          run_everywhere([&](const ir::Isa& isa) { return codegen::compile(spec, isa); },
                         {input.data()}, {160}, 1);
      for (std::int64_t i = 0; i < 40; ++i) {
        EXPECT_EQ(std::isnan(floats(got[0])[i]), i == at) << i;
      }
    }
  }
}

}  // namespace
}  // namespace taper::testing
