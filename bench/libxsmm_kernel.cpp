#include <libxsmm.h>
#include <omp.h>

#include <limits>

#include "bench/contestant.h"

namespace taper::bench {
namespace {

// r[m][n] = sum over k of p[m][k] q[k][n]; libxsmm's vectors run along n.
struct Product {
  std::int64_t m, n, k;
};
struct Blocks {
  std::int64_t m, n, k;
};

Product product_of(const Problem& p) {
  const std::int64_t in = p.x[1], out = p.y[1];
  if (p.pass == Pass::forward) return {p.batch, out, in};
  if (p.pass == Pass::backward_data) return {p.batch, in, out};
  return {out, in, p.batch};
}

std::int64_t divisor(std::int64_t size, std::int64_t most) {
  std::int64_t d = std::min(size, most);
  while (size % d != 0) --d;
  return d;
}

class LibxsmmKernel final : public Contestant {
 public:
  LibxsmmKernel(const Problem& problem, const Operands& operands)
      : size_(product_of(problem)),
        r_(static_cast<std::size_t>(size_.m * size_.n)),
        p_(static_cast<std::size_t>(size_.m * size_.k)),
        q_(static_cast<std::size_t>(size_.k * size_.n)) {
    double best = std::numeric_limits<double>::infinity();
    Blocks fastest{};
    for (const std::int64_t m : {32, 64}) {
      for (const std::int64_t n : {32, 64}) {
        for (const std::int64_t k : {64, 128, 512}) {
          set_blocks({divisor(size_.m, m), divisor(size_.n, n), divisor(size_.k, k)});
          if (kernel_ == nullptr) continue;
          const double time = shortest_run([&] { run(); }, best);
          if (time >= best) continue;
          best = time;
          fastest = blocks_;
        }
      }
    }
    set_blocks(fastest);
    pack_operands(problem, operands);
  }

  void run() override {
    const std::int64_t rows = size_.m / blocks_.m, columns = size_.n / blocks_.n;
    const auto depth = static_cast<unsigned long long>(size_.k / blocks_.k);
#pragma omp parallel for collapse(2) schedule(static) if (omp_get_max_threads() > 1)
    for (std::int64_t column = 0; column < columns; ++column) {
      for (std::int64_t row = 0; row < rows; ++row)
        kernel_(&q_[static_cast<std::size_t>(column * size_.k * blocks_.n)],
                &p_[static_cast<std::size_t>(row * size_.k * blocks_.m)],
                &r_[static_cast<std::size_t>((column * rows + row) * blocks_.m * blocks_.n)],
                &depth);
    }
  }

  std::vector<float> result() override {
    std::vector<float> rows(r_.size());
    for (std::int64_t m = 0; m < size_.m; ++m) {
      for (std::int64_t n = 0; n < size_.n; ++n) {
        const std::int64_t block = n / blocks_.n * (size_.m / blocks_.m) + m / blocks_.m;
        const std::int64_t inside = m % blocks_.m * blocks_.n + n % blocks_.n;
        rows[static_cast<std::size_t>(m * size_.n + n)] =
            r_[static_cast<std::size_t>(block * blocks_.m * blocks_.n + inside)];
      }
    }
    return rows;
  }

  std::string implementation() const override {
    return std::to_string(blocks_.m) + "x" + std::to_string(blocks_.n) + "x" +
           std::to_string(blocks_.k);
  }

 private:
  void set_blocks(const Blocks& blocks) {
    blocks_ = blocks;
    const auto m = static_cast<int>(blocks.m), n = static_cast<int>(blocks.n);
    const auto k = static_cast<int>(blocks.k);
    const float alpha = 1, beta = 0;
    const auto bytes = static_cast<int>(sizeof(float));
    kernel_ = libxsmm_smmdispatch_reducebatch_strd(n, m, k, k * n * bytes, m * k * bytes, &n, &k,
                                                   &n, &alpha, &beta, nullptr, nullptr);
  }

  void pack_operands(const Problem& problem, const Operands& operands) {
    // The gradient of the weights is dy' x.
    const bool weights = problem.pass == Pass::backward_weights;
    const bool forward = problem.pass == Pass::forward;
    const std::vector<float>& left = operands.tensors[weights ? 1 : 0];
    const std::vector<float>& right = operands.tensors[weights ? 0 : 1];
    for (std::int64_t k = 0; k < size_.k; ++k) {
      const std::int64_t block = k / blocks_.k, inside = k % blocks_.k;
      for (std::int64_t m = 0; m < size_.m; ++m) {
        const std::int64_t at = m / blocks_.m * size_.k * blocks_.m +
                                (block * blocks_.m + m % blocks_.m) * blocks_.k + inside;
        p_[static_cast<std::size_t>(at)] =
            left[static_cast<std::size_t>(weights ? k * size_.m + m : m * size_.k + k)];
      }
      for (std::int64_t n = 0; n < size_.n; ++n) {
        const std::int64_t at = n / blocks_.n * size_.k * blocks_.n +
                                (block * blocks_.k + inside) * blocks_.n + n % blocks_.n;
        q_[static_cast<std::size_t>(at)] =
            right[static_cast<std::size_t>(forward ? n * size_.k + k : k * size_.n + n)];
      }
    }
  }

  Product size_;
  Blocks blocks_{};
  std::vector<float> r_, p_, q_;
  libxsmm_smmfunction_reducebatch_strd kernel_ = nullptr;
};

}  // namespace

std::unique_ptr<Contestant> make_libxsmm(const Problem& problem, const Operands& operands) {
  return std::make_unique<LibxsmmKernel>(problem, operands);
}

}  // namespace taper::bench
