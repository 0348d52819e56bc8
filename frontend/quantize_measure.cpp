#include <algorithm>
#include <limits>
#include <variant>
#include <vector>

#include "frontend/compile.h"
#include "frontend/ops.h"
#include "frontend/quantize_parts.h"

namespace taper::quantize {
namespace {

constexpr int kTurns = 7;

// The layer with its activation, and the time of the kernels that compute it: what brings its input
// into their layout and reads their result is not of the layer.
class Probe {
 public:
  Probe(const ir::Graph& graph, const Candidate& layer, bool integers,
        const CompileOptions& options)
      : executable_(
            runtime::compile(graph_of(tape_, {recorded(graph, layer, integers)}, Mode::evaluate),
                             tape_.variables(), options)),
        batch_(options.max_batch),
        bytes_(static_cast<std::size_t>(
            ir::byte_size(executable_.input_types().front(), options.max_batch))) {}

  bool has_kernels() const { return executable_.report().isa != "interpreter"; }

  double run() {
    const runtime::InputBytes x(bytes_);
    std::vector<double> seconds(static_cast<std::size_t>(executable_.report().threads));
    for (const runtime::ProfileEvent& event : executable_.profile({&x, 1}, batch_))
      if (!event.wait && multiplies(executable_.kernel(event.call)))
        seconds[static_cast<std::size_t>(event.thread)] += event.end - event.begin;
    return *std::ranges::max_element(seconds);
  }

 private:
  static bool multiplies(const ir::KernelSpec& spec) {
    return std::holds_alternative<ir::ConvSpec>(spec) || std::holds_alternative<ir::GemmSpec>(spec);
  }

  // Followed by a maximum of the whole image, which takes any layout and keeps bytes.
  Tensor recorded(const ir::Graph& graph, const Candidate& layer, bool integers) {
    const ir::Node& node = graph[layer.node];
    const Shape& shape = graph[node.operands[0]].type.shape;
    const Tensor x = tape_.input("x", shape, integers ? DType::u8 : DType::f32);
    Tensor y = activated(node, x, graph[node.operands[1]].type.shape);
    if (y.shape().size() == 4) {
      const ir::Pair whole{y.shape()[2], y.shape()[3]};
      y = max_pool2d(y, {.kernel = whole, .stride = whole});
    }
    return cast(y, DType::f32);
  }

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

  Tape tape_;
  runtime::Executable executable_;
  Dim batch_;
  std::vector<std::byte> bytes_;  // zeros: no kernel's time depends on values
};

}  // namespace

std::optional<Duration> measure(const ir::Graph& graph, const Candidate& layer,
                                runtime::CompileOptions options) {
  options.dump = {};
  Probe f32(graph, layer, false, options), integers(graph, layer, true, options);
  if (!f32.has_kernels() || !integers.has_kernels()) return std::nullopt;
  constexpr double kNever = std::numeric_limits<double>::infinity();
  Duration shortest{kNever, kNever};
  for (int turn = 0; turn < kTurns; ++turn) {
    shortest.f32 = std::min(shortest.f32, f32.run());
    shortest.integers = std::min(shortest.integers, integers.run());
  }
  return shortest;
}

}  // namespace taper::quantize
