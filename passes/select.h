// The parts of `select`: one function per op family, from a laid-out node to its KernelSpec.
#pragma once

#include <optional>
#include <vector>

#include "ir/graph.h"
#include "passes/fuse.h"
#include "passes/passes.h"

namespace taper::passes {

// Everything a lowering may look at: the node and the types of its operands.
struct Lowering {
  const ir::Node& node;
  std::vector<ir::TensorType> operands;
};

Lowering lowering_of(const ir::Graph&, const ir::Node&);

ir::KernelSpec select_map(const Lowering&);
ir::KernelSpec select_reduce(const Lowering&);
ir::KernelSpec select_matmul(const Lowering&);
ir::ConvSpec select_conv(const Lowering&);
// The same by the lowering that is fastest.
ir::ConvSpec choose_lowering(ir::ConvSpec, const PassOptions&, bool kept);
// The reduction `reduce` over the pixels of each image as the moments of a convolution that it
// reads: its other operands, and the epilogue of that convolution with it.
struct TakenMoments {
  ir::ValueId reduce;
  std::vector<ir::ValueId> operands;
  ir::Epilogue epilogue;
};
std::optional<TakenMoments> select_moments(const ir::Graph&, const Users&, ir::ValueId conv,
                                           const ir::ConvSpec&, ir::Dim max_batch);
// The kernel that makes (for backward_weights: takes) the points that `spec`, a pass over images by
// Winograd's lowering, works on, and their type.
struct FilterTransform {
  ir::ConvSpec spec;
  ir::TensorType points;
};
FilterTransform filter_transform(const ir::ConvSpec& spec);
// Results along a side of the tiles with which Winograd's convolution is fastest, 0 where a direct
// one is: the cost model, of shapes alone and of whether the filters are those of the run before
// (`kept`): then their transforms are, too.
int winograd_tile(const ir::ConvSpec&, ir::Dim max_batch, bool kept);
// Parts of the batch that Winograd's gradient of weights sums up by themselves.
std::int64_t winograd_segments(const ir::ConvSpec&, ir::Dim max_batch);
// Whether the gradient of weights should be that of each image, summed over the images afterwards:
// such a kernel finds the images in the caches that others have just been at.
bool sums_each_image(const ir::ConvSpec&, ir::Dim max_batch);
// The kernel that sums them, and their type.
struct ImageSum {
  ir::ReduceSpec spec;
  ir::TensorType images;
};
ImageSum sum_of_images(const ir::ConvSpec& spec);
ir::PoolSpec select_pool(const Lowering&);
ir::KernelSpec select_row(const Lowering&);
ir::KernelSpec select_gather(const Lowering&);
ir::KernelSpec select_transpose(const Lowering&);
ir::KernelSpec select_slice(const Lowering&);
ir::KernelSpec select_pad(const Lowering&);
ir::KernelSpec select_concat(const Lowering&);
// Nothing when both layouts place every element alike: a view.
std::optional<ir::KernelSpec> select_relayout(const Lowering&);

// The epilogue of a node whose own operands are the first `own`.
ir::Epilogue lower_epilogue(const Lowering&, std::size_t own);

// Physical iteration dims, outermost first, with the logical axis of each; a blocked axis has two:
// its blocks and, innermost, its lanes.
struct Walk {
  ir::Indices dims;
  std::vector<int> axes;
  std::vector<bool> lanes;  // the innermost half of a blocked axis
};
Walk walk_of(const ir::TensorType& type);

// Strides of `operand`, broadcast to `shape`, along `walk`, which walks `shape`.
ir::Indices strides_along(const Walk& walk, const ir::TensorType& operand, const ir::Shape& shape);

}  // namespace taper::passes
