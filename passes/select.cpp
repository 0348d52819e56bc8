#include "passes/select.h"

#include <map>
#include <utility>

#include "ir/builder.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

namespace taper::passes {
namespace {

using namespace ir;

constexpr std::string_view kBatchInput = "$batch";

class Selector {
 public:
  Selector(const Graph& graph, const PassOptions& options)
      : graph_(graph), options_(options), users_(users_of(graph)), copy_(graph) {}

  Graph run() {
    for (const ValueId old : graph_.ids()) copy_.map(old, select_node(old));
    return copy_.finish();
  }

 private:
  ValueId select_node(ValueId old) {
    const Node& node = graph_[old];
    const Lowering lowering = lowering_of(graph_, node);
    switch (node.op) {
      case Op::input:
      case Op::parameter:
      case Op::state:
      case Op::constant:
      case Op::view:
      case Op::kernel:
        return copy_.copy(old);
      case Op::result: {
        const std::int64_t index = std::get<ResultAttrs>(node.attrs).index;
        const auto taken = taken_.find(node.operands[0]);
        return taken == taken_.end() ? copy_.copy(old) : result(taken->second, 1 + index);
      }
      case Op::map:
        return kernel(node, select_map(lowering));
      case Op::reduce:
        if (const auto taken = taken_.find(old); taken != taken_.end())
          return result(taken->second, 1);
        return kernel(node, select_reduce(lowering));
      case Op::matmul:
        return kernel(node, select_matmul(lowering));
      case Op::conv2d:
      case Op::conv2d_backward_data:
      case Op::conv2d_backward_weights:
        return convolution(old, select_conv(lowering));
      case Op::pool2d:
      case Op::pool2d_backward:
      case Op::max_pool2d_with_indices:
      case Op::max_unpool2d:
        return kernel(node, select_pool(lowering));
      case Op::softmax:
      case Op::log_softmax:
      case Op::cross_entropy:
      case Op::cross_entropy_backward:
      case Op::cross_entropy_fused:
        return kernel(node, select_row(lowering));
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
    throw Error("select: " + std::string(traits(node.op).name) + " was left by an earlier pass",
                node.location);
  }

  Operands operands_of(const Node& node) const {
    Operands operands;
    for (const ValueId v : node.operands) operands.push_back(copy_[v]);
    // The transposed product: see select_matmul.
    const bool swapped = node.op == Op::matmul && node.type.layout == Layout::o16;
    if (swapped) std::swap(operands[0], operands[1]);
    return operands;
  }

  ValueId kernel(const Node& node, KernelSpec spec) {
    return kernel(node, std::move(spec), result_types(graph_, node), operands_of(node));
  }
  ValueId kernel(const Node& node, KernelSpec spec, std::vector<TensorType> results,
                 Operands operands) {
    const TensorType first = results.front();
    KernelAttrs attrs{std::move(spec), std::move(results)};
    return copy_.to().append(
        {Op::kernel, first, std::move(operands), std::move(attrs), {}, node.location});
  }

  // Winograd's is two kernels: the filters are transformed before the others use them.
  ValueId convolution(ValueId old, ConvSpec spec) {
    const Node& node = graph_[old];
    const bool kept = graph_.updates.empty();
    spec = choose_lowering(std::move(spec), options_, kept);
    if (spec.each_image) {
      const ImageSum sum = sum_of_images(spec);
      const ValueId images = kernel(node, spec, {sum.images}, operands_of(node));
      return kernel(node, sum.spec, {node.type}, {images});
    }
    if (const auto moments = select_moments(graph_, users_, old, spec, options_.max_batch))
      return with_moments(node, spec, *moments);
    if (spec.winograd == 0) return kernel(node, spec);
    const FilterTransform transform = filter_transform(spec);
    Operands operands = operands_of(node);
    if (spec.pass == ConvPass::backward_weights) {
      const ValueId points = kernel(node, spec, {transform.points}, std::move(operands));
      return kernel(node, transform.spec, {node.type}, {points});
    }
    operands[1] = kernel(node, transform.spec, {transform.points}, {operands[1]});
    return kernel(node, spec, {node.type}, std::move(operands));
  }

  // One kernel for a convolution and a reduction of its result.
  ValueId with_moments(const Node& node, ConvSpec spec, const TakenMoments& moments) {
    spec.epilogue = moments.epilogue;
    Operands operands = operands_of(node);
    for (const ValueId v : moments.operands) operands.push_back(copy_[v]);
    std::vector<TensorType> results = result_types(graph_, graph_[moments.reduce]);
    results.insert(results.begin(), node.type);
    const ValueId both = kernel(node, spec, std::move(results), std::move(operands));
    taken_[moments.reduce] = both;
    return result(both, 0);
  }

  ValueId result(ValueId kernel, std::int64_t index) {
    return Builder(copy_.to(), copy_.to()[kernel].location).result(kernel, index);
  }

  ValueId view(const Node& node) {
    return copy_.to().append({Op::view, node.type, operands_of(node), {}, {}, node.location});
  }

  ValueId leaf(Op op, Attrs attrs, const Location& where) {
    return copy_.to().append({op, {DType::f32, {}}, {}, std::move(attrs), {}, where});
  }

  // The static factor is a constant, the batch an input that the runtime fills.
  ValueId select_extent(const Node& node, const Shape& shape) {
    double factor = 1;
    bool batched = false;
    for (const std::int64_t axis : std::get<AxesAttrs>(node.attrs).axes) {
      const Dim dim = shape[static_cast<std::size_t>(axis)];
      if (dim == kBatch)
        batched = true;
      else
        factor *= static_cast<double>(dim);
    }
    if (!batched) return leaf(Op::constant, ConstantAttrs{{factor}}, node.location);
    if (batch_ == kNoValue)
      batch_ = leaf(Op::input, NameAttrs{std::string(kBatchInput)}, node.location);
    if (factor == 1) return batch_;
    const ExprInstr constant{.op = Op::constant, .value = factor};
    const ExprInstr product{.op = Op::mul, .args = {0, 1, -1}};
    const Stream scalar{DType::f32, {1}};
    const MapSpec spec{{.inputs = 1, .instrs = {constant, product}, .outputs = {2}},
                       {{{1}, {scalar}, {scalar}}}};
    return kernel(node, spec, {node.type}, {batch_});
  }

  const Graph& graph_;
  const PassOptions& options_;
  const Users users_;
  Rewriter copy_;
  std::map<ValueId, ValueId> taken_;  // the kernels that reductions became part of
  ValueId batch_ = kNoValue;
};

}  // namespace

Graph select(Graph graph, const PassOptions& options) {
  return Selector(graph, options).run();
}

}  // namespace taper::passes
