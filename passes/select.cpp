#include "passes/select.h"

#include <utility>

#include "passes/passes.h"

namespace taper::passes {
namespace {

using namespace ir;

constexpr std::string_view kBatchInput = "$batch";

class Selector {
 public:
  Selector(const ir::Graph& graph, const PassOptions& options) : graph_(graph), options_(options) {}

  ir::Graph run() {
    for (std::size_t i = 0; i < graph_.size(); ++i) now_.push_back(select_node(graph_.id(i)));
    for (const ir::Output& output : graph_.outputs) {
      to_.outputs.push_back({output.name, now_[output.value.index]});
    }
    for (const ir::Update& update : graph_.updates) {
      to_.updates.push_back({now_[update.variable.index], now_[update.value.index]});
    }
    return ir::canonical(std::move(to_));
  }

 private:
  ValueId select_node(ValueId old) {
    const Node& node = graph_[old];
    Lowering lowering{node, {}};
    for (const ValueId v : node.operands) lowering.operands.push_back(graph_[v].type);
    switch (node.op) {
      case Op::input:
      case Op::parameter:
      case Op::state:
      case Op::constant:
      case Op::result:
      case Op::view:
      case Op::kernel: {
        Node same = node;
        for (ValueId& v : same.operands) v = now_[v.index];
        return to_.append(std::move(same));
      }
      case Op::map:
        return kernel(node, select_map(lowering), std::get<ir::MapAttrs>(node.attrs).results);
      case Op::reduce:
        return kernel(node, select_reduce(lowering), ir::result_types(graph_, node));
      case Op::matmul:
        return kernel(node, select_matmul(lowering));
      case Op::conv2d:
      case Op::conv2d_backward_data:
      case Op::conv2d_backward_weights:
        return convolution(node, select_conv(lowering));
      case Op::pool2d:
      case Op::pool2d_backward:
      case Op::max_unpool2d:
        return kernel(node, select_pool(lowering));
      case Op::max_pool2d_with_indices:
        return kernel(node, select_pool(lowering), ir::result_types(graph_, node));
      case Op::softmax:
      case Op::log_softmax:
      case Op::cross_entropy:
      case Op::cross_entropy_backward:
      case Op::cross_entropy_fused:
        return kernel(node, select_row(lowering), ir::result_types(graph_, node));
      case Op::gather:
      case Op::gather_backward:
        return kernel(node, select_gather(lowering));
      case Op::transpose:
        return kernel(node, select_transpose(lowering));
      case Op::slice:
        return kernel(node, select_slice(lowering));
      case Op::pad:
        return kernel(node, select_pad(lowering));
      case Op::concat:
        return kernel(node, select_concat(lowering));
      case Op::reshape:
      case Op::in_range:
        return view(node);
      case Op::relayout: {
        const auto spec = select_relayout(lowering);
        return spec ? kernel(node, *spec) : view(node);
      }
      case Op::extent:
        return select_extent(node, lowering.operands[0].shape);
#define TAPER_ELEMENTWISE(name, arity, result, eval, vjp, emit) case Op::name:
#include "ir/ops.def"
      case Op::cast:
      case Op::random:
      case Op::broadcast_to:
      case Op::normalize:
      case Op::gradient:
        break;
    }
    throw Error("select: " + std::string(ir::traits(node.op).name) + " was left by an earlier pass",
                node.location);
  }

  ir::Operands operands_of(const Node& node) const {
    ir::Operands operands;
    for (const ValueId v : node.operands) operands.push_back(now_[v.index]);
    // The transposed product: see select_matmul.
    const bool swapped = node.op == Op::matmul && node.type.layout == ir::Layout::o16;
    if (swapped) std::swap(operands[0], operands[1]);
    return operands;
  }

  ValueId kernel(const Node& node, KernelSpec spec) {
    return kernel(node, std::move(spec), {node.type});
  }
  ValueId kernel(const Node& node, KernelSpec spec, std::vector<TensorType> results) {
    return kernel(node, std::move(spec), std::move(results), operands_of(node));
  }
  ValueId kernel(const Node& node, KernelSpec spec, std::vector<TensorType> results,
                 ir::Operands operands) {
    const TensorType first = results.front();
    return to_.append({.op = Op::kernel,
                       .type = first,
                       .operands = std::move(operands),
                       .attrs = ir::KernelAttrs{std::move(spec), std::move(results)},
                       .epilogue = {},
                       .location = node.location});
  }

  // Winograd's is two kernels: the filters are transformed before the others use them.
  ValueId convolution(const Node& node, ir::ConvSpec spec) {
    if (!options_.winograd || !prefers_winograd(spec, options_.max_batch)) {
      return kernel(node, shared_images(spec, options_.max_batch));
    }
    spec.winograd = true;
    const FilterTransform transform = filter_transform(spec);
    ir::Operands operands = operands_of(node);
    if (spec.pass == ir::ConvPass::backward_weights) {
      const ValueId points = kernel(node, spec, {transform.points}, std::move(operands));
      return kernel(node, transform.spec, {node.type}, {points});
    }
    operands[1] = kernel(node, transform.spec, {transform.points}, {operands[1]});
    return kernel(node, spec, {node.type}, std::move(operands));
  }

  ValueId view(const Node& node) {
    return to_.append({.op = Op::view,
                       .type = node.type,
                       .operands = operands_of(node),
                       .attrs = {},
                       .epilogue = {},
                       .location = node.location});
  }

  ValueId leaf(Op op, ir::Attrs attrs, const Location& where) {
    return to_.append({.op = op,
                       .type = {ir::DType::f32, {}, ir::Layout::plain},
                       .operands = {},
                       .attrs = std::move(attrs),
                       .epilogue = {},
                       .location = where});
  }

  // The static factor is a constant, the batch an input that the runtime fills.
  ValueId select_extent(const Node& node, const ir::Shape& shape) {
    double factor = 1;
    bool batched = false;
    for (const std::int64_t axis : std::get<ir::AxesAttrs>(node.attrs).axes) {
      const ir::Dim dim = shape[static_cast<std::size_t>(axis)];
      if (dim == ir::kBatch) {
        batched = true;
      } else {
        factor *= static_cast<double>(dim);
      }
    }
    if (!batched) return leaf(Op::constant, ir::ConstantAttrs{{factor}}, node.location);
    if (batch_ == ir::kNoValue) {
      batch_ = leaf(Op::input, ir::NameAttrs{std::string(kBatchInput)}, node.location);
    }
    if (factor == 1) return batch_;
    const ir::ExprInstr constant{.op = Op::constant, .value = factor};
    const ir::ExprInstr product{.op = Op::mul, .args = {0, 1, -1}};
    const ir::Stream scalar{ir::DType::f32, {1}};
    const ir::MapSpec spec{{.inputs = 1, .instrs = {constant, product}, .outputs = {2}},
                           {{{1}, {scalar}, {scalar}}}};
    return to_.append({.op = Op::kernel,
                       .type = node.type,
                       .operands = {batch_},
                       .attrs = ir::KernelAttrs{spec, {node.type}},
                       .epilogue = {},
                       .location = node.location});
  }

  const ir::Graph& graph_;
  const PassOptions& options_;
  ir::Graph to_;
  std::vector<ValueId> now_;
  ValueId batch_ = ir::kNoValue;
};

}  // namespace

ir::Graph select(ir::Graph graph, const PassOptions& options) {
  return Selector(graph, options).run();
}

}  // namespace taper::passes
