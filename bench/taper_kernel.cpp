#include "bench/contestant.h"
#include "codegen/kernel.h"
#include "passes/select.h"
#include "runtime/aligned.h"
#include "runtime/thread_pool.h"

namespace taper::bench {
namespace {

// A kernel and the work of each thread.
struct Stage {
  std::shared_ptr<const codegen::Kernel> kernel;
  std::vector<void*> buffers;
  std::vector<runtime::AlignedBytes> scratch;
  std::vector<codegen::Call> calls;
};

// What the pipeline would run: one kernel or, where it chooses Winograd's convolution, also the one
// that transforms the filters, where it chooses the gradients of each image, the one that sums
// them. A transform's time counts in backward passes, which come after an update of the filters;
// inference keeps it from one run to the next.
class TaperKernel final : public Contestant {
 public:
  TaperKernel(const Problem& problem, const ir::Isa& isa, int threads, const Operands& operands)
      : isa_(isa),
        batch_(problem.batch),
        threads_(threads),
        result_type_(problem.tensors().back()),
        pool_(runtime::ThreadPool::shared(threads)) {
    const std::array<ir::TensorType, 3> tensors = problem.tensors();
    for (std::size_t i = 0; i < 2; ++i) pack(operands.tensors[i], tensors[i], allocate(tensors[i]));
    if (problem.epilogue) pack(operands.bias, problem.bias(), allocate(problem.bias()));
    allocate(tensors[2]);
    // The gradient of plain weights is the product of the operands in the other order.
    if (problem.dense() && problem.pass == Pass::backward_weights &&
        tensors[2].layout == ir::Layout::plain)
      std::swap(buffers_[0], buffers_[1]);
    if (const auto* convolution = std::get_if<ir::ConvSpec>(&problem.spec))
      add_convolution(passes::choose_lowering(*convolution, {.max_batch = batch_},
                                              convolution->pass == Pass::forward));
    else
      add_stage(problem.spec, buffers_);
  }
  TaperKernel(const TaperKernel&) = delete;
  TaperKernel& operator=(const TaperKernel&) = delete;

  void run() override {
    for (const Stage& stage : stages_) {
      if (threads_ == 1) {
        stage.kernel->run(stage.calls[0]);
        continue;
      }
      const auto body = [](void* of, int thread) {
        const auto& s = *static_cast<const Stage*>(of);
        s.kernel->run(s.calls[static_cast<std::size_t>(thread)]);
      };
      pool_->run(body, const_cast<Stage*>(&stage));
    }
  }
  std::vector<float> result() override {
    return unpack(static_cast<const float*>(buffers_.back()), result_type_);
  }
  std::string implementation() const override {
    return tile_ > 0 ? fmt::format("winograd {0}x{0}", tile_) : "";
  }

 private:
  float* allocate(const ir::TensorType& type) {
    memory_.push_back(runtime::allocate_aligned(static_cast<std::size_t>(ir::byte_size(type, 1))));
    buffers_.push_back(memory_.back().get());
    return static_cast<float*>(buffers_.back());
  }

  void add_convolution(const ir::ConvSpec& spec) {
    tile_ = spec.winograd;
    if (tile_ > 0) return add_winograd(spec);
    if (!spec.each_image) return add_stage(spec, buffers_);
    const passes::ImageSum sum = passes::sum_of_images(spec);
    std::vector<void*> buffers = buffers_;
    memory_.push_back(
        runtime::allocate_aligned(static_cast<std::size_t>(ir::byte_size(sum.images, batch_))));
    buffers.back() = memory_.back().get();
    add_stage(spec, buffers);
    add_stage(sum.spec, {buffers.back(), buffers_.back()});
  }

  void add_winograd(const ir::ConvSpec& spec) {
    const passes::FilterTransform filter = passes::filter_transform(spec);
    std::vector<void*> buffers = buffers_;
    memory_.push_back(
        runtime::allocate_aligned(static_cast<std::size_t>(ir::byte_size(filter.points, 1))));
    void* points = memory_.back().get();
    if (spec.pass == Pass::backward_weights) {
      buffers.back() = points;
      add_stage(spec, buffers);
      add_stage(filter.spec, {points, buffers_.back()});
    } else {
      buffers[1] = points;
      add_stage(filter.spec, {buffers_[1], points});
      if (spec.pass == Pass::forward) {
        run();
        stages_.clear();
      }
      add_stage(spec, buffers);
    }
  }

  void add_stage(const ir::KernelSpec& spec, std::vector<void*> buffers) {
    Stage stage{codegen::compile(spec, isa_), std::move(buffers), {}, {}};
    const std::int64_t units = stage.kernel->units(batch_);
    for (std::int64_t t = 0; t < threads_; ++t) {
      stage.scratch.push_back(runtime::allocate_aligned(stage.kernel->scratch_bytes(batch_)));
      stage.calls.push_back({stage.buffers.data(), batch_, units * t / threads_,
                             units * (t + 1) / threads_, stage.scratch.back().get()});
    }
    stages_.push_back(std::move(stage));
  }

  const ir::Isa& isa_;
  ir::Dim batch_;
  int threads_;
  ir::TensorType result_type_;
  std::shared_ptr<runtime::ThreadPool> pool_;
  std::vector<runtime::AlignedBytes> memory_;
  std::vector<void*> buffers_;  // operands and result of the problem
  std::vector<Stage> stages_;
  int tile_ = 0;  // of Winograd's convolution
};

}  // namespace

std::unique_ptr<Contestant> make_taper(const Problem& problem, const ir::Isa& isa, int threads,
                                       const Operands& operands) {
  return std::make_unique<TaperKernel>(problem, isa, threads, operands);
}

}  // namespace taper::bench
