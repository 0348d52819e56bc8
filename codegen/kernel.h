// A compiled kernel and how the runtime calls it.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ir/isa.h"
#include "ir/kernel.h"

namespace taper::codegen {

// Code that may be executed. The memory is never writable and executable at once: mprotect, else a
// mapped memfd; throws taper::Error where the system forbids both.
class CodeMemory {
 public:
  struct Part {
    std::size_t offset = 0;
    std::span<const std::uint8_t> bytes;
  };
  explicit CodeMemory(std::span<const Part> parts);  // at least one, by offset
  explicit CodeMemory(std::span<const std::uint8_t> bytes)
      : CodeMemory(std::array{Part{0, bytes}}) {}
  ~CodeMemory();
  CodeMemory(const CodeMemory&) = delete;
  CodeMemory& operator=(const CodeMemory&) = delete;

  // Whether this process may have such memory at all; tried once.
  static bool allowed();

  using Function = void (*)(const void* args);
  Function entry(std::size_t offset = 0) const;
  std::size_t size() const { return size_; }

 private:
  void* executable_ = nullptr;
  std::size_t size_ = 0, mapped_ = 0;
};

// One generated function: its code and its listing. It may be called once it is published.
struct Routine {
  struct Code {
    std::vector<std::uint8_t> bytes;
    std::shared_ptr<const CodeMemory> memory;  // shared by all that were published together
    CodeMemory::Function entry = nullptr;
  };
  std::string name;
  std::string listing;
  std::shared_ptr<Code> code;
  void operator()(const void* args) const { code->entry(args); }
};

// What a call works on. `buffers`: operands, then results, in the order of the spec. `scratch`:
// scratch_bytes(batch) of this thread's own memory, 64-byte aligned.
struct Call {
  void* const* buffers = nullptr;
  std::int64_t batch = 0;
  std::int64_t begin = 0, end = 0;  // range of work units
  std::byte* scratch = nullptr;
  // Cache lines that this thread writes in a later call, and that others have read. A product over
  // the batch takes them over while it multiplies.
  std::span<std::byte> written_later = {};
  std::int64_t planes = 1;  // Kernel::planes(), where units are planes
};

// `bytes` behind `base`, as routines are given it: an integer, because where padding comes first it
// may lie before the buffer.
inline std::intptr_t address(const void* base, std::int64_t bytes = 0) {
  return reinterpret_cast<std::intptr_t>(base) + bytes;
}

// Lets other threads see what this one stored past the caches, which no order of usual stores holds
// back; an atomic operation of the barrier after it might be one.
inline void fence_streamed() {
  std::atomic_thread_fence(std::memory_order_seq_cst);
}

// How work units relate to the batch. Consecutive `images` kernels need no barrier between them:
// unit i of each touches only image (row) i of batched buffers.
enum class Partition : std::uint8_t { images, units };

// Calls with disjoint ranges may run at the same time; the union of the ranges [0, units) is the
// whole result, and the bits do not depend on how it is cut.
class Kernel {
 public:
  virtual ~Kernel() = default;
  virtual std::int64_t units(std::int64_t batch) const = 0;
  virtual Partition partition() const { return Partition::units; }
  // Equal parts that an image may be cut into, such as blocks of channels: unit i * planes + p then
  // touches only part p of image i of every buffer that has a batch.
  virtual std::int64_t planes() const { return 1; }
  virtual std::size_t scratch_bytes([[maybe_unused]] std::int64_t batch) const { return 0; }
  virtual void run(const Call& call) const = 0;
  // What a call writes of its result `index`, where that is one run of bytes.
  virtual std::span<std::byte> written([[maybe_unused]] const Call& call,
                                       [[maybe_unused]] std::size_t index) const {
    return {};
  }
  virtual std::vector<const Routine*> routines() const = 0;
};

// Whether the parts of images that dim 1 counts follow one another in all streams that have images.
inline bool in_planes(const ir::Indices& dims, std::span<const ir::Stream> streams) {
  const auto follow = [&](const ir::Stream& s) {
    return s.strides[0] == 0 || s.strides[0] == s.strides[1] * dims[1];
  };
  return dims.size() > 2 && dims[0] == ir::kBatch && dims[1] > 1 &&
         std::ranges::all_of(streams, follow);
}

using Kernels = std::vector<std::shared_ptr<const Kernel>>;

// Makes the routines of `kernels` executable, in one piece of memory: asking the system for each of
// them took longer than generating it. Throws taper::Error (no executable memory).
void publish(std::span<const std::shared_ptr<const Kernel>> kernels);

// Generates and publishes the code of `spec` for `isa`. Throws taper::Error (no emitter, no
// executable memory).
std::shared_ptr<const Kernel> compile(const ir::KernelSpec& spec, const ir::Isa& isa);

// The kernels of `specs`, in their order, through a bounded, thread-safe, process-wide cache keyed
// by spec and ISA. What is missing is generated on up to `threads` threads.
Kernels compile_cached(std::span<const ir::KernelSpec* const> specs, const ir::Isa& isa,
                       int threads);

// Per skeleton, called by compile(): one generator each, in the file of that name.
std::shared_ptr<const Kernel> compile_map(const ir::MapSpec&, const ir::Isa&);
std::shared_ptr<const Kernel> compile_reduce(const ir::ReduceSpec&, const ir::Isa&);
std::shared_ptr<const Kernel> compile_gemm(const ir::GemmSpec&, const ir::Isa&);
std::shared_ptr<const Kernel> compile_gemm_dots(const ir::GemmSpec&, const ir::Isa&);
std::shared_ptr<const Kernel> compile_conv(const ir::ConvSpec&, const ir::Isa&);
std::shared_ptr<const Kernel> compile_conv_col2im(const ir::ConvSpec&, const ir::Isa&);
std::shared_ptr<const Kernel> compile_conv_weights(const ir::ConvSpec&, const ir::Isa&);
// `one`: that of a single image.
std::shared_ptr<const Kernel> repeat_each_image(const ir::ConvSpec&,
                                                std::shared_ptr<const Kernel> one);
std::shared_ptr<const Kernel> compile_winograd(const ir::ConvSpec&, const ir::Isa&);
std::shared_ptr<const Kernel> compile_winograd_filter(const ir::ConvSpec&, const ir::Isa&);
std::shared_ptr<const Kernel> compile_winograd_weights(const ir::ConvSpec&, const ir::Isa&);
std::shared_ptr<const Kernel> compile_depthwise(const ir::ConvSpec&, const ir::Isa&);
std::shared_ptr<const Kernel> compile_pool(const ir::PoolSpec&, const ir::Isa&);
std::shared_ptr<const Kernel> compile_row(const ir::RowSpec&, const ir::Isa&);
std::shared_ptr<const Kernel> compile_gather(const ir::GatherSpec&, const ir::Isa&);
std::shared_ptr<const Kernel> compile_copy(const ir::CopySpec&, const ir::Isa&);

// What Kernel::routines() gives: those of `lists` behind `all`.
inline std::vector<const Routine*> with_routines(
    std::initializer_list<std::span<const Routine>> lists, std::vector<const Routine*> all = {}) {
  for (const std::span<const Routine> list : lists)
    for (const Routine& routine : list) all.push_back(&routine);
  return all;
}

}  // namespace taper::codegen
