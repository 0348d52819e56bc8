// Softmax and cross entropy, row by row. Per row: m = max, then s = sum of exp(x - m) over 16
// virtual lanes (column j in lane j % 16), then
//   softmax        exp(x - m) / s          log_softmax  (x - m) - log(s)
//   cross entropy  (m - x[label]) + log(s)
//   its gradient   (exp(x - m) / s) * dloss, at the label (exp(x - m) / s - 1) * dloss
// The max ignores NaN; the sum does not, so that a NaN reaches all results of its row.
#include <cstddef>
#include <vector>

#include "codegen/batch_kernel.h"
#include "codegen/row_code.h"

namespace taper::codegen {
namespace {

using ir::RowKind;

class RowKernel final : public BatchKernel {
 public:
  RowKernel(const ir::RowSpec& spec, const ir::Isa& isa)
      : BatchKernel(spec.rows, spec.rows == ir::kBatch ? spec.rows_per_image : 1),
        spec_(spec),
        routine_(emit_rows(spec, isa)) {}

  std::vector<const Routine*> routines() const override { return {&routine_}; }

  void run(const Call& call) const override {
    const std::int64_t first = call.begin * each(), rows = (call.end - call.begin) * each();
    if (rows <= 0) return;
    RowArgs args{};
    args.x = at<const float>(call, 0, first * spec_.columns);
    args.rows = rows;
    std::size_t next = 1;
    if (spec_.kind != RowKind::softmax && spec_.kind != RowKind::log_softmax) {
      args.labels = at<const std::int32_t>(call, next++, first);
      if (spec_.kind != RowKind::cross_entropy) args.dloss = at<const float>(call, next++, first);
      if (spec_.kind != RowKind::cross_entropy_backward) args.loss = at<float>(call, next++, first);
    }
    if (spec_.kind != RowKind::cross_entropy)
      args.result = at<float>(call, next, first * spec_.columns);
    routine_(&args);
  }

 private:
  template <class T>
  static T* at(const Call& call, std::size_t buffer, std::int64_t element) {
    return static_cast<T*>(call.buffers[buffer]) + element;
  }

  ir::RowSpec spec_;
  Routine routine_;
};

}  // namespace

std::shared_ptr<const Kernel> compile_row(const ir::RowSpec& spec, const ir::Isa& isa) {
  return std::make_shared<RowKernel>(spec, isa);
}

}  // namespace taper::codegen
