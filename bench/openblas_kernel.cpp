#include <cblas.h>

#include "bench/contestant.h"

namespace taper::bench {
namespace {

// y = x w', dx = dy w, dw = dy' x.
class OpenBlasKernel final : public Contestant {
 public:
  OpenBlasKernel(const Problem& problem, const Operands& operands)
      : pass_(problem.pass),
        batch_(static_cast<int>(problem.batch)),
        in_(static_cast<int>(problem.x[1])),
        out_(static_cast<int>(problem.y[1])),
        a_(operands.tensors[0]),
        b_(operands.tensors[1]),
        c_(static_cast<std::size_t>(ir::element_count(problem.tensors().back().shape, 1))) {}

  void run() override {
    if (pass_ == Pass::forward)
      cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, batch_, out_, in_, 1, a_.data(), in_,
                  b_.data(), in_, 0, c_.data(), out_);
    else if (pass_ == Pass::backward_data)
      cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, batch_, in_, out_, 1, a_.data(), out_,
                  b_.data(), in_, 0, c_.data(), in_);
    else
      cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, out_, in_, batch_, 1, b_.data(), out_,
                  a_.data(), in_, 0, c_.data(), in_);
  }
  std::vector<float> result() override { return c_; }
  std::string implementation() const override { return openblas_get_corename(); }

 private:
  Pass pass_;
  int batch_, in_, out_;
  std::vector<float> a_, b_, c_;
};

}  // namespace

std::unique_ptr<Contestant> make_openblas(const Problem& problem, const Operands& operands) {
  return std::make_unique<OpenBlasKernel>(problem, operands);
}

}  // namespace taper::bench
