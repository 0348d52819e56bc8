// The two libraries on one problem: set up from the same row-major data, run again and again, their
// results in row-major order for comparison.
#pragma once

#include <array>
#include <dnnl.hpp>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "bench/problem.h"
#include "codegen/kernel.h"
#include "ir/isa.h"
#include "runtime/aligned.h"

namespace taper::bench {

using Operands = std::array<std::vector<float>, 2>;  // row-major

class TaperKernel {
 public:
  TaperKernel(const Problem& problem, const ir::Isa& isa, const Operands& operands);
  void run() { kernel_->run(call_); }
  std::vector<float> result() const;

 private:
  ir::TensorType result_type_;
  std::shared_ptr<const codegen::Kernel> kernel_;
  std::vector<runtime::AlignedBytes> memory_;
  std::vector<void*> buffers_;
  runtime::AlignedBytes scratch_;
  codegen::Call call_;
};

// The fastest of what oneDNN offers: its own choice of layout and algorithm, direct convolution in
// its own layout, and its own choice of algorithm with plain or channels-last activations. Its
// operands are reordered beforehand.
class OneDnnKernel {
 public:
  OneDnnKernel(const Problem& problem, const Operands& operands);
  void run();
  std::vector<float> result();
  const std::string& implementation() const { return implementation_; }

 private:
  struct Candidate {
    std::string implementation;
    dnnl::primitive primitive;
    std::unordered_map<int, dnnl::memory> arguments;
  };
  Candidate prepare(const dnnl::primitive_desc& desc, const Operands& operands);
  void execute(const Candidate& candidate);
  double seconds(const Candidate& candidate);

  Problem problem_;
  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  std::string implementation_;
  Candidate fastest_;
};

}  // namespace taper::bench
