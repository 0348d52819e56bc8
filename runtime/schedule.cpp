#include "runtime/schedule.h"

#include <algorithm>
#include <cstddef>
#include <set>

namespace taper::runtime {
namespace {

bool must_wait(const Plan& plan, const PlannedCall& before, const PlannedCall& after,
               bool both_by_images) {
  for (std::size_t i = 0; i < before.buffers.size(); ++i)
    for (std::size_t j = 0; j < after.buffers.size(); ++j) {
      if (i < before.operands && j < after.operands) continue;  // both read
      const Buffer& a = plan.buffer(before.buffers[i]);
      const Buffer& b = plan.buffer(after.buffers[j]);
      if (&a == &b ? !both_by_images || !a.type.has_batch() : overlap(a, b)) return true;
    }
  return false;
}

// Operations for each byte that is read, from which on products take longer than reading.
constexpr double kFlopsPerByte = 4;

// A call whose images all fit here finds them in the caches anyway.
constexpr std::int64_t kCachedBytes = std::int64_t{2} << 20;
// What a group of images may occupy of the caches that a thread has or shares.
constexpr std::int64_t kGroupBytes = std::int64_t{6} << 20;
// Groups are multiples of this, which register tiles of 7 and 14 rows divide evenly.
constexpr ir::Dim kGroupStep = 14;

std::int64_t image_bytes(const Plan& plan, const std::set<int>& buffers) {
  std::int64_t bytes = 0;
  for (const int index : buffers) {
    const ir::TensorType& type = plan.buffer(index).type;
    if (type.has_batch()) bytes += ir::byte_size(type, 1);
  }
  return bytes;
}

// The planes that all kernels of the chain cut images into.
std::int64_t common_planes(const Chain& chain, const codegen::Kernels& kernels) {
  const std::int64_t planes = kernels[chain.first]->planes();
  for (std::size_t i = chain.first; i < chain.end; ++i)
    if (kernels[i]->planes() != planes) return 1;
  return planes;
}

// See Chain::computing.
std::size_t end_of_reading(const Plan& plan, const Chain& chain) {
  std::set<int> read, written;
  double flops = 0;
  std::size_t end = chain.first;
  for (std::size_t c = chain.first; c < chain.end; ++c) {
    const PlannedCall& call = plan.calls[c];
    const auto results = call.buffers.begin() + static_cast<std::ptrdiff_t>(call.operands);
    written.insert(results, call.buffers.end());
    if (c != end || !std::holds_alternative<ir::MapSpec>(*call.spec)) {
      flops += ir::flops(*call.spec, 1);
      continue;
    }
    read.insert(call.buffers.begin(), results);
    ++end;
  }
  std::erase_if(read, [&](int buffer) { return written.contains(buffer); });
  const auto bytes = static_cast<double>(image_bytes(plan, read));
  return end > chain.first && flops >= kFlopsPerByte * bytes ? end : 0;
}

}  // namespace

std::vector<Chain> make_chains(const Plan& plan, const codegen::Kernels& kernels,
                               const std::vector<bool>& barriers, ir::Dim max_batch) {
  std::vector<Chain> chains;
  const auto streams = [&](std::size_t call) {
    const std::vector<int>& buffers = plan.calls[call].buffers;
    return kernels[call]->partition() == codegen::Partition::images &&
           image_bytes(plan, {buffers.begin(), buffers.end()}) * max_batch >= kCachedBytes;
  };
  for (std::size_t i = 0; i < kernels.size(); ++i) {
    const bool joins = i > 0 && !barriers[i] && streams(i) && streams(i - 1);
    if (!joins) chains.push_back({i, i, 0});
    chains.back().end = i + 1;
  }
  for (Chain& chain : chains) {
    if (chain.end - chain.first < 2) continue;
    std::set<int> buffers;
    for (std::size_t i = chain.first; i < chain.end; ++i)
      buffers.insert(plan.calls[i].buffers.begin(), plan.calls[i].buffers.end());
    chain.planes = common_planes(chain, kernels);
    const std::int64_t unit = image_bytes(plan, buffers) / chain.planes;
    const ir::Dim fit = kGroupBytes / std::max<std::int64_t>(1, unit);
    chain.group = fit < kGroupStep ? std::max<ir::Dim>(1, fit) : fit / kGroupStep * kGroupStep;
    chain.computing = end_of_reading(plan, chain);
  }
  return chains;
}

std::vector<Chain> single_calls(const Plan& plan) {
  std::vector<Chain> chains;
  for (std::size_t i = 0; i < plan.calls.size(); ++i) chains.push_back({i, i + 1, 0});
  return chains;
}

std::vector<bool> place_barriers(const Plan& plan, const codegen::Kernels& kernels,
                                 const std::vector<Chain>& chains) {
  const auto by_images = [&](std::size_t call) {
    return kernels[call]->partition() == codegen::Partition::images;
  };
  PlannedCall inputs;  // as a call that writes them
  for (const int index : plan.inputs)
    if (plan.buffer(index).type.has_batch()) inputs.buffers.push_back(index);
  std::size_t since = 0;
  bool copying = true;
  const auto conflicts = [&](const Chain& chain) {
    for (std::size_t i = chain.first; i < chain.end; ++i) {
      if (copying && must_wait(plan, inputs, plan.calls[i], by_images(i))) return true;
      for (std::size_t j = since; j < chain.first; ++j)
        if (must_wait(plan, plan.calls[j], plan.calls[i], by_images(i) && by_images(j)))
          return true;
    }
    return false;
  };
  std::vector<bool> barriers;
  for (const Chain& chain : chains) {
    barriers.push_back(conflicts(chain));
    if (!barriers.back()) continue;
    since = chain.first;
    if (chain.end > plan.kept) copying = false;  // else most runs leave this barrier out
  }
  return barriers;
}

}  // namespace taper::runtime
