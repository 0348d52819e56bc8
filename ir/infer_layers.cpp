// Result types of the ops that layers are made of.
#include "ir/graph.h"
#include "ir/infer.h"

namespace taper::ir {

TensorType infer_normalize(const Request& r) {
  const auto& [axes, eps] = r.attrs<NormalizeAttrs>();
  const TensorType& x = r.operands[0];
  if (x.dtype != DType::f32 || r.operands[1].dtype != DType::f32)
    r.fail("needs f32 operands, got {}", r.all());
  Shape kept = x.shape;
  for (std::size_t i = 0; i < axes.size(); ++i) {
    if (axes[i] < 0 || axes[i] >= x.rank() || (i > 0 && axes[i] <= axes[i - 1]))
      r.fail("its axes are not sorted axes of {}", r.text(0));
    kept[static_cast<std::size_t>(axes[i])] = 1;
  }
  if (broadcast(r.operands[1].shape, kept, "normalize", r.where) != kept)
    r.fail("scale {} varies along the axes that {} is normalized along", r.text(1), r.text(0));
  if (!(eps >= 0)) r.fail("eps {} is negative", eps);
  return {DType::f32, x.shape};
}

TensorType infer_gather(const Request& r) {
  const TensorType& table = r.operands[0];
  const TensorType& indices = r.operands[1];
  if (table.dtype != DType::f32 || table.rank() != 2 || table.has_batch())
    r.fail("needs a table f32[V,D], got {}", r.text(0));
  if (indices.dtype != DType::i32 || indices.rank() < 1)
    r.fail("needs indices i32[N,...], got {}", r.text(1));
  Shape shape = indices.shape;
  shape.push_back(table.shape[1]);
  return {DType::f32, shape};
}

TensorType infer_gather_backward(const Request& r) {
  TensorType table{DType::f32, r.attrs<ShapeAttrs>().shape};
  const std::vector<TensorType> operands{table, r.operands[1]};
  const TensorType result = infer_gather({r.op, operands, r.attributes, r.where});
  if (r.operands[0].dtype != DType::f32 || r.operands[0].shape != result.shape)
    r.fail("needs the gradient of {}, got {}", to_string(result), r.text(0));
  return table;
}

}  // namespace taper::ir
