#include "frontend/quantize_measure.h"

#include <algorithm>
#include <chrono>
#include <limits>

#include "frontend/compile.h"
#include "frontend/ops.h"

namespace taper::quantize {
namespace {

constexpr int kTurns = 7;

// A layer with its activation, or without its product: what remains is bringing the input into the
// layout of kernels and reading the result, which is not to be counted.
struct Probed {
  bool integers = false, product = true;
};

class Probe {
 public:
  Probe(const ir::Graph& graph, const Candidate& layer, const Probed& what, CompileOptions options)
      : options_(std::move(options)) {
    options_.dump = {};
    const ir::Node& node = graph[layer.node];
    const Shape& shape = graph[node.operands[0]].type.shape;
    const Tensor x = tape_.input("x", shape, what.integers ? DType::u8 : DType::f32);
    Tensor y = x;
    if (what.product) y = activated(node, x, graph[node.operands[1]].type.shape);
    if (y.shape().size() == 4) {
      const ir::Pair whole{y.shape()[2], y.shape()[3]};
      y = max_pool2d(y, {.kernel = whole, .stride = whole});
    }
    function_.emplace(taper::compile(cast(y, DType::f32), options_));
    const auto count = static_cast<std::size_t>(ir::element_count(shape, options_.max_batch));
    if (what.integers)
      bytes_.assign(count, 1);
    else
      floats_.assign(count, 1);
  }

  double run() {
    const auto start = std::chrono::steady_clock::now();
    const InputView x = bytes_.empty() ? InputView(floats_) : InputView(bytes_);
    function_->run({&x, 1});
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }

 private:
  Tensor activated(const ir::Node& node, const Tensor& x, const Shape& shape) {
    const bool integers = x.dtype() == DType::u8;
    const auto weight =
        std::make_shared<Variable>("w", ir::TensorType{integers ? DType::i8 : DType::f32, shape});
    const Tensor w = tape_.parameter(weight);
    ir::Builder builder(tape_.graph());
    const ir::ValueId product =
        node.op == ir::Op::conv2d
            ? builder.conv2d(x.id(), w.id(), std::get<ir::ConvAttrs>(node.attrs))
            : builder.matmul(x.id(), w.id(), std::get<ir::MatmulAttrs>(node.attrs));
    const Tensor sum(tape_, product);
    const Tensor y = relu((integers ? cast(sum, DType::f32) : sum) * 0.5);
    return integers ? cast(y + 0.5, DType::u8) : y;
  }

  CompileOptions options_;
  Tape tape_;
  std::optional<Function> function_;
  std::vector<float> floats_;
  std::vector<std::uint8_t> bytes_;
};

}  // namespace

Duration measure(const ir::Graph& graph, const Candidate& layer,
                 const runtime::CompileOptions& options) {
  Probe probes[] = {{graph, layer, {false, true}, options},
                    {graph, layer, {false, false}, options},
                    {graph, layer, {true, true}, options},
                    {graph, layer, {true, false}, options}};
  double shortest[4];
  std::fill(std::begin(shortest), std::end(shortest), std::numeric_limits<double>::infinity());
  for (int turn = 0; turn < kTurns; ++turn)
    for (std::size_t i = 0; i < 4; ++i) shortest[i] = std::min(shortest[i], probes[i].run());
  return {std::max(shortest[0] - shortest[1], 0.0), std::max(shortest[2] - shortest[3], 0.0)};
}

}  // namespace taper::quantize
