// KernelSpec -> Kernel: picks the generator of the skeleton, and the process-wide cache.
#include <algorithm>
#include <list>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>

#include "codegen/kernel.h"
#include "codegen/masm.h"
#include "codegen/parallel.h"

namespace taper::codegen {
namespace {

std::shared_ptr<const Kernel> compile_any_conv(const ir::ConvSpec& spec, const ir::Isa& isa) {
  if (spec.each_image) {
    ir::ConvSpec one = spec;
    one.images = 1;
    one.each_image = false;
    return repeat_each_image(spec, compile_any_conv(one, isa));
  }
  if (spec.winograd) {
    if (spec.pass == ir::ConvPass::backward_weights) return compile_winograd_weights(spec, isa);
    const bool images =
        spec.pass == ir::ConvPass::forward || spec.pass == ir::ConvPass::backward_data;
    return images ? compile_winograd(spec, isa) : compile_winograd_filter(spec, isa);
  }
  if (spec.groups > 1) return compile_depthwise(spec, isa);
  if (spec.pass == ir::ConvPass::backward_weights) return compile_conv_weights(spec, isa);
  if (ir::by_columns(spec)) return compile_conv_col2im(spec, isa);
  return compile_conv(spec, isa);
}

struct Generate {
  const ir::Isa& isa;
  auto operator()(const ir::MapSpec& spec) const { return compile_map(spec, isa); }
  auto operator()(const ir::ReduceSpec& spec) const { return compile_reduce(spec, isa); }
  auto operator()(const ir::GemmSpec& spec) const { return compile_gemm(spec, isa); }
  auto operator()(const ir::ConvSpec& spec) const { return compile_any_conv(spec, isa); }
  auto operator()(const ir::PoolSpec& spec) const { return compile_pool(spec, isa); }
  auto operator()(const ir::RowSpec& spec) const { return compile_row(spec, isa); }
  auto operator()(const ir::GatherSpec& spec) const { return compile_gather(spec, isa); }
  auto operator()(const ir::CopySpec& spec) const { return compile_copy(spec, isa); }
};

// The kernels used last. Kernels in use outlive their eviction.
class Cache {
 public:
  std::shared_ptr<const Kernel> find(const std::string& key) {
    const std::lock_guard lock(mutex_);
    const auto found = index_.find(key);
    if (found == index_.end()) return nullptr;
    entries_.splice(entries_.begin(), entries_, found->second);
    return found->second->second;
  }

  // Returns the kernel that is in the cache: `kernel`, or that of a thread that was faster.
  std::shared_ptr<const Kernel> insert(const std::string& key,
                                       std::shared_ptr<const Kernel> kernel) {
    const std::lock_guard lock(mutex_);
    if (const auto found = index_.find(key); found != index_.end()) return found->second->second;
    entries_.emplace_front(key, std::move(kernel));
    index_[key] = entries_.begin();
    if (entries_.size() > kCapacity) {
      index_.erase(entries_.back().first);
      entries_.pop_back();
    }
    return entries_.front().second;
  }

 private:
  static constexpr std::size_t kCapacity = 1024;
  using Entry = std::pair<std::string, std::shared_ptr<const Kernel>>;
  std::mutex mutex_;
  std::list<Entry> entries_;  // the latest use first
  std::unordered_map<std::string, std::list<Entry>::iterator> index_;
};

std::string key_of(const ir::KernelSpec& spec, const ir::Isa& isa) {
  // Kernels compiled without a listing cannot be dumped later.
  return std::string(isa.name) + (recording_listings() ? " listed " : " ") + ir::to_string(spec);
}

// By at most `threads` threads, published together.
Kernels generate(std::span<const ir::KernelSpec* const> specs, const ir::Isa& isa, int threads) {
  constexpr std::size_t kWorthAThread = 4;  // kernels
  Kernels kernels(specs.size());
  const auto useful = std::min(static_cast<std::size_t>(threads), specs.size() / kWorthAThread);
  for_each_in_parallel(specs.size(), useful,
                       [&](std::size_t i) { kernels[i] = std::visit(Generate{isa}, *specs[i]); });
  publish(kernels);
  return kernels;
}

}  // namespace

std::shared_ptr<const Kernel> compile(const ir::KernelSpec& spec, const ir::Isa& isa) {
  const ir::KernelSpec* only = &spec;
  return generate(std::span(&only, 1), isa, 1).front();
}

Kernels compile_cached(std::span<const ir::KernelSpec* const> specs, const ir::Isa& isa,
                       int threads) {
  static Cache cache;
  Kernels kernels;
  std::vector<std::string> keys;
  std::vector<const ir::KernelSpec*> missing;
  std::unordered_map<std::string, std::size_t> places;  // of the keys of the missing ones
  for (const ir::KernelSpec* spec : specs) {
    keys.push_back(key_of(*spec, isa));
    kernels.push_back(cache.find(keys.back()));
    if (!kernels.back() && places.emplace(keys.back(), missing.size()).second)
      missing.push_back(spec);
  }
  const auto generated = generate(missing, isa, threads);
  for (std::size_t i = 0; i < specs.size(); ++i)
    if (!kernels[i]) kernels[i] = cache.insert(keys[i], generated[places.at(keys[i])]);
  return kernels;
}

}  // namespace taper::codegen
