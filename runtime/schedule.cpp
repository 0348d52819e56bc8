#include "runtime/schedule.h"

#include <cstddef>

namespace taper::runtime {
namespace {

struct Access {
  int buffer;
  bool write;
};

std::vector<Access> accesses(const PlannedCall& call) {
  std::vector<Access> list;
  for (std::size_t i = 0; i < call.buffers.size(); ++i)
    list.push_back({call.buffers[i], i >= call.operands});
  return list;
}

bool must_wait(const Plan& plan, const PlannedCall& before, const PlannedCall& after,
               bool both_by_images) {
  for (const Access a : accesses(before))
    for (const Access b : accesses(after)) {
      if (!a.write && !b.write) continue;
      const Buffer& x = plan.buffers[static_cast<std::size_t>(a.buffer)];
      const Buffer& y = plan.buffers[static_cast<std::size_t>(b.buffer)];
      if (a.buffer == b.buffer ? !both_by_images || !x.type.has_batch() : overlap(x, y))
        return true;
    }
  return false;
}

}  // namespace

std::vector<bool> place_barriers(const Plan& plan,
                                 const std::vector<const codegen::Kernel*>& kernels) {
  const auto by_images = [&](std::size_t call) {
    return kernels[call]->partition() == codegen::Partition::images;
  };
  std::vector<bool> barriers(plan.calls.size(), false);
  std::size_t since = 0;
  for (std::size_t i = 0; i < plan.calls.size(); ++i)
    for (std::size_t j = since; j < i; ++j)
      if (must_wait(plan, plan.calls[j], plan.calls[i], by_images(i) && by_images(j))) {
        barriers[i] = true;
        since = i;
        break;
      }
  return barriers;
}

}  // namespace taper::runtime
