// Generated code against oneDNN, forward and backward, over plain nchw/oihw f32 tensors.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <dnnl.hpp>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "ir/builder.h"
#include "ir/eval.h"
#include "runtime/executable.h"

namespace taper {
namespace {

using namespace ir;
using dnnl::memory;

constexpr Dim N = kBatch;
constexpr Dim kImages = 3;

struct Tensor {
  Shape shape;  // concrete
  std::vector<float> data;
};

Tensor random_tensor(Shape shape, std::uint64_t stream) {
  if (!shape.empty() && shape[0] == N) shape[0] = kImages;
  Tensor tensor{shape, {}};
  const auto count = static_cast<std::uint64_t>(element_count(shape, 1));
  for (std::uint64_t i = 0; i < count; ++i)
    tensor.data.push_back(static_cast<float>(philox(i, 1, stream, 5) * 0x1p-31 - 1));
  return tensor;
}

// ---- Ours: a result and its gradients for a given gradient of the result ----

using Values = std::vector<ValueId>;
using Build = std::function<ValueId(Builder&, const Values&)>;

struct Problem {
  std::vector<Shape> operands;
  Build build;
};

ValueId record(Builder& b, const Problem& problem) {
  Values values;
  for (const Shape& shape : problem.operands)
    values.push_back(b.input(fmt::format("x{}", values.size()), {DType::f32, shape}));
  return problem.build(b, values);
}

Shape result_shape(const Problem& problem) {
  Graph graph;
  Builder b(graph);
  return b.type(record(b, problem)).shape;
}

Graph training_graph(const Problem& problem) {
  Graph graph;
  Builder b(graph);
  const ValueId y = record(b, problem);
  const Shape shape = b.type(y).shape;
  const ValueId dy = b.input("dy", {DType::f32, shape});
  std::vector<std::int64_t> axes;
  for (std::size_t i = 0; i < shape.size(); ++i) axes.push_back(std::ssize(axes));
  const ValueId weighted = b.mul(y, dy);
  const ValueId scalar = b.reduce(weighted, ReduceKind::sum, axes, false);
  graph.outputs.push_back({"y", y});
  for (std::size_t i = 0; i < problem.operands.size(); ++i)
    graph.outputs.push_back({fmt::format("d{}", i), b.gradient(scalar, graph.id(i))});
  return graph;
}

// `tensors` are the operands, then dy. Returns the result and the gradients of the operands.
std::vector<std::vector<float>> run_ours(const Problem& problem, const Isa* isa,
                                         const std::vector<Tensor>& tensors) {
  runtime::Executable program = runtime::compile(
      training_graph(problem), {}, {.max_batch = kImages + 1, .threads = 2, .isa = isa});
  std::vector<runtime::InputBytes> inputs;
  for (const std::string& name : program.input_names()) {
    const std::size_t index = name == "dy" ? problem.operands.size() : std::stoul(name.substr(1));
    inputs.push_back(std::as_bytes(std::span(tensors[index].data)));
  }
  program.run(inputs, kImages);
  std::vector<std::vector<float>> results;
  for (std::size_t i = 0; i <= problem.operands.size(); ++i) {
    const std::span<const float> output = program.output(i);
    results.emplace_back(output.begin(), output.end());
  }
  return results;
}

void expect_close(const std::vector<float>& ours, const Tensor& theirs, double length,
                  const std::string& what) {
  ASSERT_EQ(ours.size(), theirs.data.size()) << what;
  double largest = ours.size() < 16 ? 1 : 0;
  for (const float x : theirs.data) largest = std::max(largest, std::fabs(static_cast<double>(x)));
  const double tolerance = (8 + 4 * std::sqrt(length)) * 0x1p-24 * largest;
  for (std::size_t i = 0; i < ours.size(); ++i)
    ASSERT_NEAR(ours[i], theirs.data[i], tolerance) << what << "[" << i << "]";
}

// ---- oneDNN ----

memory::desc plain(const Shape& shape, memory::dims strides = {}) {
  memory::dims dims(shape.begin(), shape.end());
  if (strides.empty()) {
    strides.assign(dims.size(), 1);
    for (std::size_t i = dims.size(); i-- > 1;) strides[i - 1] = strides[i] * dims[i];
  }
  return {dims, memory::data_type::f32, strides};
}

class Engine {
 public:
  memory wrap(const memory::desc& desc, Tensor& tensor) {
    return {desc, engine_, tensor.data.data()};
  }
  memory wrap(const memory::desc& desc, const Tensor& tensor) {  // only read
    return {desc, engine_, const_cast<float*>(tensor.data.data())};
  }
  memory make(const memory::desc& desc) { return {desc, engine_}; }
  void execute(const dnnl::primitive& primitive, const std::unordered_map<int, memory>& arguments) {
    primitive.execute(stream_, arguments);
    stream_.wait();
  }
  const dnnl::engine& get() const { return engine_; }

 private:
  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
};

Tensor empty_like(const Tensor& tensor) {
  return {tensor.shape, std::vector<float>(tensor.data.size())};
}

// The result and gradients that oneDNN computes from the same tensors.
using Theirs = std::function<std::vector<Tensor>(Engine&, const std::vector<Tensor>&)>;

void check(const Problem& problem, double length, const Theirs& theirs) {
  std::vector<Tensor> tensors;
  for (const Shape& shape : problem.operands)
    tensors.push_back(random_tensor(shape, tensors.size()));
  tensors.push_back(random_tensor(result_shape(problem), 9));
  Engine engine;
  const std::vector<Tensor> expected = theirs(engine, tensors);
  for (const Isa* isa : {&kAvx2, &kAvx512}) {
    if (select_isa(host_features(), std::string(isa->name)) != isa) continue;
    const auto ours = run_ours(problem, isa, tensors);
    for (std::size_t i = 0; i < ours.size(); ++i)
      expect_close(ours[i], expected[i], length, fmt::format("{}, output {}", isa->name, i));
  }
}

// ---- Convolution ----

struct ConvCase {
  Shape x, weight;
  Pair stride{1, 1}, dilation{1, 1};
  Padding padding{0, 0, 0, 0};
  std::int64_t groups = 1;
};

std::vector<Tensor> conv_of_onednn(Engine& engine, const ConvCase& c,
                                   const std::vector<Tensor>& tensors) {
  const Shape& w = c.weight;
  const Shape grouped{c.groups, w[0] / c.groups, w[1], w[2], w[3]};
  const memory::desc x = plain(tensors[0].shape), weight = plain(c.groups == 1 ? w : grouped),
                     y = plain(tensors[2].shape);
  const memory::dims stride{c.stride[0], c.stride[1]};
  const memory::dims gaps{c.dilation[0] - 1, c.dilation[1] - 1};
  const memory::dims low{c.padding[0], c.padding[1]}, high{c.padding[2], c.padding[3]};
  const auto algorithm = dnnl::algorithm::convolution_direct;
  using Forward = dnnl::convolution_forward;
  using BackwardData = dnnl::convolution_backward_data;
  using BackwardWeights = dnnl::convolution_backward_weights;
  const Forward::primitive_desc forward(
      {dnnl::prop_kind::forward_training, algorithm, x, weight, y, stride, gaps, low, high},
      engine.get());
  const BackwardData::primitive_desc data({algorithm, x, weight, y, stride, gaps, low, high},
                                          engine.get(), forward);
  const BackwardWeights::primitive_desc weights({algorithm, x, weight, y, stride, gaps, low, high},
                                                engine.get(), forward);
  std::vector<Tensor> out{empty_like(tensors[2]), empty_like(tensors[0]), empty_like(tensors[1])};
  const memory source = engine.wrap(x, tensors[0]), kernel = engine.wrap(weight, tensors[1]);
  const memory gradient = engine.wrap(y, tensors[2]);
  engine.execute(
      Forward(forward),
      {{DNNL_ARG_SRC, source}, {DNNL_ARG_WEIGHTS, kernel}, {DNNL_ARG_DST, engine.wrap(y, out[0])}});
  engine.execute(BackwardData(data), {{DNNL_ARG_DIFF_DST, gradient},
                                      {DNNL_ARG_WEIGHTS, kernel},
                                      {DNNL_ARG_DIFF_SRC, engine.wrap(x, out[1])}});
  engine.execute(BackwardWeights(weights), {{DNNL_ARG_SRC, source},
                                            {DNNL_ARG_DIFF_DST, gradient},
                                            {DNNL_ARG_DIFF_WEIGHTS, engine.wrap(weight, out[2])}});
  return out;
}

TEST(OneDnn, Convolution) {
  const std::vector<ConvCase> cases = {
      {{N, 1, 28, 28}, {32, 1, 3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}},
      {{N, 32, 28, 28}, {32, 32, 3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}},
      {{N, 32, 14, 14}, {64, 32, 3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}},
      {{N, 64, 7, 7}, {128, 64, 1, 1}},
      {{N, 3, 23, 17}, {20, 3, 5, 5}, {2, 2}, {1, 1}, {2, 2, 2, 2}},
      {{N, 5, 9, 11}, {17, 5, 2, 3}, {1, 1}, {1, 1}, {0, 1, 1, 1}},
      {{N, 16, 13, 12}, {32, 16, 3, 3}, {2, 2}, {1, 1}, {1, 1, 1, 1}},
      {{N, 16, 13, 12}, {24, 16, 3, 3}, {1, 1}, {2, 2}, {2, 2, 2, 2}},
      {{N, 20, 10, 9}, {17, 20, 3, 3}, {3, 1}, {1, 2}, {1, 2, 0, 1}},
      {{N, 17, 8, 8}, {16, 17, 5, 5}, {1, 1}, {1, 1}, {2, 2, 2, 2}},
      {{N, 32, 8, 8}, {16, 32, 1, 1}, {2, 2}},
      {{N, 3, 8, 8}, {5, 3, 7, 7}, {2, 2}, {1, 1}, {3, 3, 3, 3}},
      {{2, 6, 5, 5}, {6, 6, 5, 5}},
      {{N, 32, 14, 14}, {32, 1, 3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, 32},
      {{N, 20, 15, 13}, {20, 1, 3, 3}, {2, 2}, {1, 1}, {1, 1, 1, 1}, 20},
      {{N, 5, 9, 9}, {5, 1, 5, 5}, {1, 1}, {1, 1}, {2, 2, 2, 2}, 5},
      {{N, 16, 9, 9}, {16, 1, 2, 3}, {1, 1}, {2, 1}, {0, 1, 1, 0}, 16},
      {{N, 32, 9, 9}, {32, 16, 3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, 2},
      {{N, 20, 7, 6}, {40, 5, 3, 3}, {2, 1}, {1, 1}, {1, 1, 1, 1}, 4},
      {{N, 6, 5, 4}, {9, 2, 1, 1}, {1, 1}, {1, 1}, {0, 0, 0, 0}, 3},
  };
  for (const ConvCase& c : cases) {
    SCOPED_TRACE(fmt::format("conv2d of {} with {}, groups {}", to_string(c.x), to_string(c.weight),
                             c.groups));
    const ConvAttrs attrs{c.stride, c.dilation, c.padding, c.groups, {}};
    const Problem problem{{c.x, c.weight},
                          [=](Builder& b, const Values& v) { return b.conv2d(v[0], v[1], attrs); }};
    const Shape y = result_shape(problem);
    const Dim pixels = kImages * y[2] * y[3];
    const Dim taps = std::max(c.weight[0] / c.groups, c.weight[1]) * c.weight[2] * c.weight[3];
    check(problem, static_cast<double>(std::max(pixels, taps)),
          [&](Engine& engine, const std::vector<Tensor>& tensors) {
            return conv_of_onednn(engine, c, tensors);
          });
    if (HasFatalFailure()) return;
  }
}

// ---- Pooling ----

std::vector<Tensor> pool_of_onednn(Engine& engine, const PoolAttrs& pool,
                                   const std::vector<Tensor>& tensors) {
  const Shape &in = tensors[0].shape, &out_shape = tensors[1].shape;
  const memory::desc x = plain(in), y = plain(out_shape);
  const auto algorithm = pool.kind == PoolKind::max ? dnnl::algorithm::pooling_max
                         : pool.count_include_pad   ? dnnl::algorithm::pooling_avg_include_padding
                                                    : dnnl::algorithm::pooling_avg_exclude_padding;
  const memory::dims stride{pool.stride[0], pool.stride[1]};
  const memory::dims kernel{pool.kernel[0], pool.kernel[1]};
  const memory::dims low{pool.padding[0], pool.padding[1]};
  memory::dims high;  // up to the end of the last window: in ceil mode past the padding
  for (std::size_t i = 0; i < 2; ++i)
    high.push_back((out_shape[2 + i] - 1) * stride[i] + kernel[i] - in[2 + i] - low[i]);
  using Forward = dnnl::pooling_forward;
  using Backward = dnnl::pooling_backward;
  const Forward::primitive_desc forward(
      {dnnl::prop_kind::forward_training, algorithm, x, y, stride, kernel, low, high},
      engine.get());
  const Backward::primitive_desc backward({algorithm, x, y, stride, kernel, low, high},
                                          engine.get(), forward);
  std::vector<Tensor> out{empty_like(tensors[1]), empty_like(tensors[0])};
  const memory workspace = engine.make(forward.workspace_desc());
  engine.execute(Forward(forward), {{DNNL_ARG_SRC, engine.wrap(x, tensors[0])},
                                    {DNNL_ARG_DST, engine.wrap(y, out[0])},
                                    {DNNL_ARG_WORKSPACE, workspace}});
  engine.execute(Backward(backward), {{DNNL_ARG_DIFF_DST, engine.wrap(y, tensors[1])},
                                      {DNNL_ARG_DIFF_SRC, engine.wrap(x, out[1])},
                                      {DNNL_ARG_WORKSPACE, workspace}});
  return out;
}

void check_pool(const Shape& x, const PoolAttrs& pool) {
  SCOPED_TRACE(fmt::format("pool2d {} of {}, kernel {}x{}, stride {}x{}",
                           pool.kind == PoolKind::max ? "max" : "average", to_string(x),
                           pool.kernel[0], pool.kernel[1], pool.stride[0], pool.stride[1]));
  const Problem problem{{x}, [=](Builder& b, const Values& v) { return b.pool2d(v[0], pool); }};
  check(problem, static_cast<double>(pool.kernel[0] * pool.kernel[1]),
        [&](Engine& engine, const std::vector<Tensor>& tensors) {
          return pool_of_onednn(engine, pool, tensors);
        });
}

TEST(OneDnn, Pooling) {
  const Shape even{N, 32, 14, 14}, odd{N, 20, 13, 9}, few{N, 3, 10, 11};
  for (const PoolKind kind : {PoolKind::max, PoolKind::average}) {
    for (const bool include : {false, true}) {
      check_pool(even, {kind, {2, 2}, {2, 2}, {0, 0, 0, 0}, false, include});
      check_pool(odd, {kind, {2, 2}, {2, 2}, {0, 0, 0, 0}, false, include});
      check_pool(odd, {kind, {3, 3}, {2, 2}, {1, 1, 1, 1}, false, include});
      check_pool(odd, {kind, {3, 3}, {1, 1}, {1, 1, 1, 1}, false, include});
      check_pool(few, {kind, {3, 2}, {2, 1}, {1, 0, 1, 1}, false, include});
      check_pool(few, {kind, {5, 4}, {3, 2}, {2, 1, 1, 2}, false, include});
      check_pool(few, {kind, {10, 11}, {1, 1}, {0, 0, 0, 0}, false, include});
    }
    // With count_include_pad, oneDNN also counts what lies past the padding; PyTorch and we do not.
    check_pool(few, {kind, {3, 3}, {2, 2}, {0, 0, 0, 0}, true, false});
    check_pool(odd, {kind, {2, 2}, {2, 2}, {1, 1, 1, 1}, true, false});
  }
}

// ---- Matrix products ----

memory::desc matrix(const Shape& shape, bool transposed) {
  if (!transposed) return plain(shape);
  return plain({shape[1], shape[0]}, {1, shape[1]});
}

// out = op(a) op(b), with `out` transposed on request.
Tensor product(Engine& engine, const Tensor& a, bool ta, const Tensor& b, bool tb,
               const Shape& shape, bool transposed = false) {
  Tensor out{shape, std::vector<float>(static_cast<std::size_t>(element_count(shape, 1)))};
  const memory::desc left = matrix(a.shape, ta), right = matrix(b.shape, tb);
  const memory::desc result = matrix(shape, transposed);
  const dnnl::matmul::primitive_desc desc({left, right, result}, engine.get());
  engine.execute(dnnl::matmul(desc), {{DNNL_ARG_SRC, engine.wrap(left, a)},
                                      {DNNL_ARG_WEIGHTS, engine.wrap(right, b)},
                                      {DNNL_ARG_DST, engine.wrap(result, out)}});
  return out;
}

void check_matmul(const Shape& a, bool ta, const Shape& b, bool tb) {
  SCOPED_TRACE(fmt::format("matmul of {}{} and {}{}", to_string(a), ta ? " transposed" : "",
                           to_string(b), tb ? " transposed" : ""));
  const Problem problem{{a, b}, [=](Builder& builder, const Values& v) {
                          return builder.matmul(v[0], v[1], {ta, tb});
                        }};
  const double length = static_cast<double>(std::max({a[0], a[1], b[0], b[1]}));
  check(problem, length, [&](Engine& engine, const std::vector<Tensor>& t) {
    // dA = g op(b)' and dB = op(a)' g, stored as op() has them.
    return std::vector<Tensor>{product(engine, t[0], ta, t[1], tb, t[2].shape),
                               product(engine, t[2], false, t[1], !tb, t[0].shape, ta),
                               product(engine, t[0], !ta, t[2], false, t[1].shape, tb)};
  });
}

TEST(OneDnn, Matmul) {
  for (const bool tb : {false, true}) {
    check_matmul({N, 784}, false, tb ? Shape{128, 784} : Shape{784, 128}, tb);
    check_matmul({N, 37}, false, tb ? Shape{10, 37} : Shape{37, 10}, tb);
    for (const bool ta : {false, true})
      for (const auto& [m, k, n] :
           {std::array<Dim, 3>{33, 65, 17}, {1, 100, 1}, {64, 48, 80}, {7, 1, 130}})
        check_matmul(ta ? Shape{k, m} : Shape{m, k}, ta, tb ? Shape{n, k} : Shape{k, n}, tb);
  }
  check_matmul({N, 21}, true, {N, 18}, false);
}

// ---- Softmax ----

template <class Forward, class Backward>
std::vector<Tensor> softmax_of_onednn(Engine& engine, int axis,
                                      const std::vector<Tensor>& tensors) {
  const memory::desc x = plain(tensors[0].shape);
  const typename Forward::primitive_desc forward({dnnl::prop_kind::forward_training, x, axis},
                                                 engine.get());
  const typename Backward::primitive_desc backward({x, x, axis}, engine.get(), forward);
  std::vector<Tensor> out{empty_like(tensors[0]), empty_like(tensors[0])};
  const memory y = engine.wrap(x, out[0]);
  engine.execute(Forward(forward), {{DNNL_ARG_SRC, engine.wrap(x, tensors[0])}, {DNNL_ARG_DST, y}});
  engine.execute(Backward(backward), {{DNNL_ARG_DST, y},
                                      {DNNL_ARG_DIFF_DST, engine.wrap(x, tensors[1])},
                                      {DNNL_ARG_DIFF_SRC, engine.wrap(x, out[1])}});
  return out;
}

TEST(OneDnn, Softmax) {
  const std::vector<std::pair<Shape, int>> cases = {
      {{N, 10}, 1},       {{N, 1}, 1},  {{N, 1000}, 1},     {{17, 33}, 0},
      {{N, 20, 4, 5}, 1}, {{N, 37}, 1}, {{N, 3, 4, 19}, 3}, {{N, 3, 18, 5}, 2}};
  for (const auto& [x, axis] : cases) {
    SCOPED_TRACE(fmt::format("softmax of {} over axis {}", to_string(x), axis));
    const double length = static_cast<double>(x[static_cast<std::size_t>(axis)]);
    const int along = axis;
    check({{x}, [=](Builder& b, const Values& v) { return b.softmax(v[0], along); }}, length,
          [=](Engine& engine, const std::vector<Tensor>& tensors) {
            return softmax_of_onednn<dnnl::softmax_forward, dnnl::softmax_backward>(engine, along,
                                                                                    tensors);
          });
    // oneDNN's logarithm is 20 times as far from the exact one as ours.
    check({{x}, [=](Builder& b, const Values& v) { return b.log_softmax(v[0], along); }},
          length + 1000, [=](Engine& engine, const std::vector<Tensor>& tensors) {
            return softmax_of_onednn<dnnl::logsoftmax_forward, dnnl::logsoftmax_backward>(
                engine, along, tensors);
          });
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace taper
