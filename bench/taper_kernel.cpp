#include "bench/contestant.h"
#include "codegen/kernel.h"
#include "runtime/aligned.h"
#include "runtime/thread_pool.h"

namespace taper::bench {
namespace {

class TaperKernel final : public Contestant {
 public:
  TaperKernel(const Problem& problem, const ir::Isa& isa, int threads, const Operands& operands)
      : result_type_(problem.tensors().back()),
        kernel_(codegen::compile_cached(problem.spec, isa)),
        pool_(runtime::ThreadPool::shared(threads)) {
    const std::array<ir::TensorType, 3> tensors = problem.tensors();
    for (std::size_t i = 0; i < 2; ++i) pack(operands.tensors[i], tensors[i], allocate(tensors[i]));
    if (problem.epilogue) pack(operands.bias, problem.bias(), allocate(problem.bias()));
    allocate(tensors[2]);
    const std::int64_t units = kernel_->units(problem.batch);
    for (std::int64_t t = 0; t < threads; ++t) {
      scratch_.push_back(runtime::allocate_aligned(kernel_->scratch_bytes(problem.batch)));
      calls_.push_back({buffers_.data(), problem.batch, units * t / threads,
                        units * (t + 1) / threads, scratch_.back().get()});
    }
  }
  TaperKernel(const TaperKernel&) = delete;
  TaperKernel& operator=(const TaperKernel&) = delete;

  void run() override {
    if (calls_.size() == 1) return kernel_->run(calls_[0]);
    const auto body = [](void* self, int thread) {
      const auto& kernel = *static_cast<const TaperKernel*>(self);
      kernel.kernel_->run(kernel.calls_[static_cast<std::size_t>(thread)]);
    };
    pool_->run(body, this);
  }
  std::vector<float> result() override {
    return unpack(static_cast<const float*>(buffers_.back()), result_type_);
  }

 private:
  float* allocate(const ir::TensorType& type) {
    memory_.push_back(runtime::allocate_aligned(static_cast<std::size_t>(ir::byte_size(type, 1))));
    buffers_.push_back(memory_.back().get());
    return static_cast<float*>(buffers_.back());
  }

  ir::TensorType result_type_;
  std::shared_ptr<const codegen::Kernel> kernel_;
  std::shared_ptr<runtime::ThreadPool> pool_;
  std::vector<runtime::AlignedBytes> memory_, scratch_;
  std::vector<void*> buffers_;
  std::vector<codegen::Call> calls_;  // one for each thread
};

}  // namespace

std::unique_ptr<Contestant> make_taper(const Problem& problem, const ir::Isa& isa, int threads,
                                       const Operands& operands) {
  return std::make_unique<TaperKernel>(problem, isa, threads, operands);
}

}  // namespace taper::bench
