// Result types of the ops that layers are made of.
#include "ir/graph.h"
#include "ir/infer.h"

namespace taper::ir {

TensorType infer_normalize(const Request& r) {
  const auto& [axes, eps] = r.attrs<NormalizeAttrs>();
  const TensorType& x = r.operands[0];
  need_f32(r);
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

TensorType infer_softmax(const Request& r) {
  need_f32(r);
  if (r.operands[0].shape[axis_of(r, r.attrs<AxisAttrs>().axis)] == kBatch)
    r.fail("cannot run over the batch axis of {}", r.text(0));
  return {DType::f32, r.operands[0].shape};
}
TensorType infer_log_softmax(const Request& r) {
  return infer_softmax(r);
}

TensorType infer_cross_entropy(const Request& r) {
  const TensorType& logits = r.operands[0];
  const TensorType& labels = r.operands[1];
  if (logits.rank() != 2 || logits.dtype != DType::f32)
    r.fail("needs logits f32[M,C], got {}", r.text(0));
  if (labels.dtype != DType::i32 || labels.shape != Shape{logits.shape[0]})
    r.fail("needs labels i32{} for logits {}, got {}", to_string(Shape{logits.shape[0]}), r.text(0),
           r.text(1));
  if (logits.shape[1] < 1) r.fail("{} has no classes", r.text(0));
  return {DType::f32, {logits.shape[0]}};
}
TensorType infer_cross_entropy_backward(const Request& r) {
  const TensorType loss = infer_cross_entropy(r);
  if (r.operands[2].shape != loss.shape || r.operands[2].dtype != DType::f32)
    r.fail("needs the gradient of {}, got {}", to_string(loss), r.text(2));
  return {DType::f32, r.operands[0].shape};
}
TensorType infer_cross_entropy_fused(const Request& r) {
  infer_cross_entropy_backward(r);
  return infer_cross_entropy(r);
}

}  // namespace taper::ir
