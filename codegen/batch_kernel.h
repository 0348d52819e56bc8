// Kernels that work image by image, or part by part where the number of images is fixed.
#pragma once

#include "codegen/kernel.h"

namespace taper::codegen {

class BatchKernel : public Kernel {
 public:
  // `images` of `parts` each; a unit is an image of the batch, or a part of a fixed number of them.
  BatchKernel(ir::Dim images, std::int64_t parts)
      : batched_(images == ir::kBatch), each_(batched_ ? parts : 1), units_(images * parts) {}

  std::int64_t units(std::int64_t batch) const final { return batched_ ? batch : units_; }
  Partition partition() const final { return batched_ ? Partition::images : Partition::units; }

 protected:
  std::int64_t each() const { return each_; }  // parts of a unit

 private:
  bool batched_;
  std::int64_t each_, units_;
};

}  // namespace taper::codegen
