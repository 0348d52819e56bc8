// Map kernels against the oracle of expressions: shapes, strides, dtypes, tails; the same bits on
// every ISA and for every cut of the work.
#include <gtest/gtest.h>

#include <cmath>
#include <thread>

#include "codegen/kernel.h"
#include "ir/error.h"
#include "ir/eval.h"
#include "ir/op.h"
#include "map_stage.h"
#include "masm_run.h"

namespace taper {
namespace {

using ir::Expr;
using ir::ExprInstr;
using ir::Op;

ExprInstr instr(Op op, std::vector<std::int16_t> args, DType dtype = DType::f32) {
  ExprInstr i;
  i.op = op;
  i.dtype = dtype;
  std::copy(args.begin(), args.end(), i.args.begin());
  return i;
}
ExprInstr constant(double value) {
  ExprInstr i;
  i.value = value;
  return i;
}
ExprInstr random(std::int16_t step) {
  ExprInstr i = instr(Op::random, {step});
  i.seed = 0x123456789abull, i.stream = 9;
  return i;
}

// `bytes` against the oracle, for segment `s`.
void check_segment(const Stage& stage, const std::vector<Bytes>& bytes, std::size_t s) {
  const MapSegment& segment = stage.spec.segments[s];
  const std::size_t inputs = segment.inputs.size(), outputs = segment.outputs.size();
  const std::size_t first_output = stage.spec.segments.size() * inputs + s * outputs;
  std::vector<double> in(inputs), want(outputs);
  for (std::int64_t i = 0; i < stage.count(segment); ++i) {
    const auto at = [&](const ir::Stream& stream, std::size_t buffer) {
      const auto element = static_cast<std::size_t>(Stage::offset(stage.dims(segment), stream, i));
      return decode(stream.dtype, bytes[buffer].data() + element * ir::byte_size(stream.dtype));
    };
    for (std::size_t k = 0; k < inputs; ++k) in[k] = at(segment.inputs[k], s * inputs + k);
    ir::evaluate(stage.spec.expr, in.data(), i, want.data());
    for (std::size_t k = 0; k < outputs; ++k) {
      const double got = at(segment.outputs[k], first_output + k);
      const bool half = segment.outputs[k].dtype == DType::f16;
      const double tolerance = std::fabs(want[k]) * (half ? 1e-3 : 5e-7);
      if (std::isnan(want[k]) && std::isnan(got)) continue;
      if (got == want[k]) continue;
      ASSERT_LE(std::fabs(got - want[k]), tolerance)
          << "element " << i << " output " << k << ": " << got << ", not " << want[k];
    }
  }
}

void check(const MapSpec& spec, std::int64_t batch = 1) {
  SCOPED_TRACE(ir::to_string(ir::KernelSpec(spec)) + " N=" + std::to_string(batch));
  std::vector<Bytes> first;
  for (const ir::Isa* isa : host_isas()) {
    const auto kernel = codegen::compile(spec, *isa);
    for (const std::int64_t pieces : {1, 3, 7}) {
      Stage stage(spec, batch);
      const std::vector<Bytes> got = stage.run(*kernel, pieces);
      if (first.empty()) {
        first = got;
        for (std::size_t s = 0; s < spec.segments.size(); ++s) check_segment(stage, got, s);
        for (std::size_t b = 0; b < got.size(); ++b)
          ASSERT_EQ(Bytes(got[b].end() - 64, got[b].end()), Bytes(64, 0xee)) << "past buffer " << b;
      }
      ASSERT_EQ(got, first) << isa->name << " in " << pieces << " pieces";
    }
  }
}

ir::Stream stream(std::vector<std::int64_t> strides, DType dtype = DType::f32) {
  return {dtype, std::move(strides)};
}

Expr add_relu() {
  return {2, {instr(Op::add, {0, 1}), instr(Op::relu, {2})}, {3}};
}

TEST(KernelMap, DenseWithEveryTail) {
  for (std::int64_t n = 1; n < 70; ++n)
    check({add_relu(), {{{n}, {stream({1}), stream({1})}, {stream({1})}}}});
  for (const std::int64_t n : {1, 5, 37, 64, 5000})
    check({add_relu(), {{{kBatch, n}, {stream({n, 1}), stream({n, 1})}, {stream({n, 1})}}}}, 3);
}

TEST(KernelMap, Broadcasts) {
  // Bias of a c16 tensor, of a row, of a column; a scalar; an inner dim of 1.
  check({add_relu(),
         {{{kBatch, 2, 9, 16},
           {stream({288, 144, 16, 1}), stream({0, 16, 0, 1})},
           {stream({288, 144, 16, 1})}}}},
        3);
  for (const std::int64_t n : {1, 10, 16, 33}) {
    for (const auto& bias : {stream({0, 1}), stream({1, 0}), stream({0, 0})}) {
      check({add_relu(), {{{kBatch, n}, {stream({n, 1}), bias}, {stream({n, 1})}}}}, 5);
      check({add_relu(), {{{300, n}, {stream({n, 1}), bias}, {stream({n, 1})}}}});
    }
  }
  check({add_relu(), {{{kBatch}, {stream({1}), stream({0})}, {stream({1})}}}}, 9);
}

TEST(KernelMap, StridedInputs) {
  for (const DType dtype : {DType::f32, DType::u8, DType::boolean, DType::f16, DType::i32})
    for (const std::int64_t n : {1, 7, 21, 40})
      check({{2,
              {instr(dtype == DType::boolean ? Op::select : Op::maximum,
                     dtype == DType::boolean ? std::vector<std::int16_t>{0, 1, 1}
                                             : std::vector<std::int16_t>{0, 1})},
              {2}},
             {{{13, n}, {stream({1, 13}, dtype), stream({n, 1})}, {stream({n, 1})}}}});
  check({add_relu(),
         {{{4, 6, 35}, {stream({3, 12, 72}), stream({0, 2, 0})}, {stream({210, 35, 1})}}}});
}

TEST(KernelMap, EveryDTypeInAndOut) {
  const DType dtypes[] = {DType::f32, DType::f16, DType::bf16,   DType::i8,
                          DType::u8,  DType::i32, DType::boolean};
  for (const DType from : dtypes)
    for (const DType to : dtypes)
      for (const std::int64_t n : {1, 3, 8, 15, 16, 100})
        for (const std::int64_t stride : {0, 1}) {
          check({{1, {instr(Op::cast, {0}, to)}, {1}},
                 {{{n}, {stream({stride}, from)}, {stream({1}, to)}}}});
        }
}

TEST(KernelMap, EveryElementwiseOp) {
  const auto check_op = [](Op op) {
    const ir::OpTraits& traits = ir::traits(op);
    std::vector<std::int16_t> args;
    std::vector<ir::Stream> inputs;
    for (int i = 0; i < traits.arity; ++i) {
      args.push_back(static_cast<std::int16_t>(i));
      const bool mask = op == Op::select && i == 0;
      inputs.push_back(stream({1}, mask ? DType::boolean : DType::f32));
    }
    const DType result = traits.result == ir::ResultKind::predicate ? DType::boolean : DType::f32;
    const auto arity = static_cast<std::int16_t>(traits.arity);
    check({{arity, {instr(op, args, result)}, {arity}}, {{{333}, inputs, {stream({1}, result)}}}});
  };
#define TAPER_ELEMENTWISE(name, arity, result, eval, vjp, emit) check_op(Op::name);
#include "ir/ops.def"
}

TEST(KernelMap, SeveralOutputsAndRepeatedValues) {
  const Expr expr{
      1,
      {constant(2), instr(Op::mul, {0, 1}), instr(Op::exp, {2}), instr(Op::mul, {2, 2})},
      {2, 3, 0, 2, 1, 4}};
  for (const std::int64_t n : {1, 20, 100})
    check({expr, {{{n}, {stream({1})}, std::vector<ir::Stream>(6, stream({1}))}}});
}

// The update of Adam on parameters of several sizes: 4 dense inputs, 2 scalars, 3 results.
TEST(KernelMap, Segments) {
  const Expr expr{6,
                  {constant(0.9),             // 6
                   instr(Op::mul, {2, 6}),    // 7
                   constant(0.1),             // 8
                   instr(Op::mul, {1, 8}),    // 9
                   instr(Op::add, {7, 9}),    // 10: m
                   instr(Op::mul, {1, 1}),    // 11
                   instr(Op::abs, {3}),       // 12
                   instr(Op::add, {11, 12}),  // 13: v
                   instr(Op::sqrt, {13}),     // 14
                   instr(Op::add, {14, 5}),   // 15
                   instr(Op::div, {10, 15}),  // 16
                   instr(Op::mul, {16, 4}),   // 17
                   instr(Op::sub, {0, 17})},  // 18
                  {18, 10, 13}};
  MapSpec spec{expr, {}};
  const ir::Stream dense = stream({1}), scalar = stream({0});
  for (const std::int64_t n : {9000, 17, 1, 4096, 4097})
    spec.segments.push_back(
        {{n}, {dense, dense, dense, dense, scalar, scalar}, {dense, dense, dense}});
  check(spec);

  // What calls say that they write: shares without gaps of the whole result.
  const auto kernel = codegen::compile(spec, *host_isas().front());
  std::vector<std::byte> memory(9000 * sizeof(float));
  std::vector<void*> buffers(spec.segments.size() * 9, memory.data());
  const std::int64_t units = kernel->units(1);
  for (std::size_t result = 0; result < spec.segments.size() * 3; ++result) {
    const std::int64_t elements = spec.segments[result / 3].dims[0];
    auto* next = memory.data();
    for (std::int64_t unit = 0; unit < units; ++unit) {
      const codegen::Call call{
          .buffers = buffers.data(), .batch = 1, .begin = unit, .end = unit + 1};
      const std::span<std::byte> written = kernel->written(call, result);
      if (written.empty()) continue;
      EXPECT_EQ(written.data(), next);
      next += written.size();
    }
    EXPECT_EQ(next, memory.data() + elements * 4) << result;
  }
}

TEST(KernelMap, MoreTensorsThanRegisters) {
  Expr expr{14, {}, {}};
  for (std::int16_t i = 1; i < 14; ++i) {
    const auto previous = static_cast<std::int16_t>(i == 1 ? 0 : 12 + i);
    expr.instrs.push_back(instr(Op::sub, {previous, i}));
  }
  expr.outputs = {14, 26};
  const ir::Stream dense = stream({50, 1});
  check({expr, {{{kBatch, 50}, std::vector<ir::Stream>(14, dense), {dense, dense}}}}, 3);
}

TEST(KernelMap, RandomDependsOnTheElementAlone) {
  const Expr expr{2, {random(1), instr(Op::lt, {2, 0}, DType::boolean)}, {2, 3}};
  for (const std::int64_t n : {1, 30, 50, 3000})
    check({expr,
           {{{kBatch, 2, n},
             {stream({2 * n, n, 1}), stream({0, 0, 0}, DType::u8)},
             {stream({2 * n, n, 1}), stream({2 * n, n, 1}, DType::boolean)}}}},
          4);
  check({expr,
         {{{9, 700},
           {stream({0, 1}), stream({0, 0}, DType::u8)},
           {stream({700, 1}), stream({700, 1}, DType::boolean)}}}});
}

TEST(KernelMap, ScalarsAndEmptyTensors) {
  check({add_relu(), {{{}, {stream({}), stream({})}, {stream({})}}}});
  check({add_relu(), {{{1, 1}, {stream({1, 1}), stream({0, 0})}, {stream({1, 1})}}}});
  check({add_relu(), {{{0}, {stream({1}), stream({1})}, {stream({1})}}}});
  check({add_relu(), {{{kBatch, 0}, {stream({0, 1}), stream({0, 1})}, {stream({0, 1})}}}}, 2);
}

TEST(KernelMap, ImagesAreIndependentUnits) {
  const MapSpec batched{add_relu(),
                        {{{kBatch, 8}, {stream({8, 1}), stream({8, 1})}, {stream({8, 1})}}}};
  const MapSpec fixed{add_relu(), {{{9000}, {stream({1}), stream({1})}, {stream({1})}}}};
  for (const ir::Isa* isa : host_isas()) {
    EXPECT_EQ(codegen::compile(batched, *isa)->partition(), codegen::Partition::images);
    EXPECT_EQ(codegen::compile(batched, *isa)->units(5), 5);
    EXPECT_EQ(codegen::compile(fixed, *isa)->partition(), codegen::Partition::units);
    EXPECT_EQ(codegen::compile(fixed, *isa)->units(5), 9);
  }
}

std::shared_ptr<const codegen::Kernel> cached(const ir::KernelSpec& spec, const ir::Isa& isa) {
  const ir::KernelSpec* only = &spec;
  return codegen::compile_cached(std::span(&only, 1), isa, 1).front();
}

TEST(KernelMap, TheCacheReturnsTheSameKernel) {
  const MapSpec spec{add_relu(), {{{77}, {stream({1}), stream({1})}, {stream({1})}}}};
  const MapSpec other{add_relu(), {{{78}, {stream({1}), stream({1})}, {stream({1})}}}};
  for (const ir::Isa* isa : host_isas()) {
    std::vector<std::shared_ptr<const codegen::Kernel>> kernels(4);
    std::vector<std::thread> threads;
    for (auto& kernel : kernels) threads.emplace_back([&] { kernel = cached(spec, *isa); });
    for (std::thread& t : threads) t.join();
    for (const auto& kernel : kernels) EXPECT_EQ(kernel, kernels[0]);
    EXPECT_NE(cached(other, *isa), kernels[0]);
    EXPECT_NE(codegen::compile(spec, *isa), kernels[0]);
  }
  if (host_isas().size() > 1) {
    EXPECT_NE(cached(spec, ir::kAvx2), cached(spec, ir::kAvx512));
  }
}

TEST(KernelMap, BadSpecsThrow) {
  for (const ir::Isa* isa : host_isas()) {
    const auto refused = [&](const MapSegment& segment) {
      EXPECT_THROW(codegen::compile(MapSpec{add_relu(), {segment}}, *isa), Error);
    };
    refused({{4}, {stream({1})}, {stream({1})}});
    refused({{4}, {stream({1}), stream({1, 1})}, {stream({1})}});
    refused({{4}, {stream({1}), stream({1})}, {stream({2})}});
    MapSpec unknown{{1, {instr(Op::matmul, {0, 0})}, {1}}, {{{4}, {stream({1})}, {stream({1})}}}};
    EXPECT_THROW(codegen::compile(unknown, *isa), Error);
  }
}

}  // namespace
}  // namespace taper
