// GEMM kernels against a reference in double; equal bits on every ISA and for every cut.
#include <algorithm>

#include "contraction.h"

namespace taper::testing {
namespace {

using ir::kBatch;

struct GemmCase {
  std::int64_t m = 0, n = 0, k = 0;
  bool batch_m = false, batch_k = false, transposed_a = false, plain_b = false, c_blocks = false,
       dots = false;
  EpilogueKind epilogue = EpilogueKind::none;
};

std::string describe(const GemmCase& c) {
  return "m=" + std::to_string(c.m) + " n=" + std::to_string(c.n) + " k=" + std::to_string(c.k) +
         " batch_m=" + std::to_string(c.batch_m) + " batch_k=" + std::to_string(c.batch_k) +
         " transposed_a=" + std::to_string(c.transposed_a) +
         " plain_b=" + std::to_string(c.plain_b) + " c_blocks=" + std::to_string(c.c_blocks) +
         " dots=" + std::to_string(c.dots) +
         " epilogue=" + std::to_string(static_cast<int>(c.epilogue));
}

// One problem: operands, reference, and the results of all runs.
class Problem {
 public:
  explicit Problem(const GemmCase& c)
      : c_(c),
        blocks_((c.n + 15) / 16),
        spec_(make_spec()),
        a_(c.m * c.k),
        b_(c.plain_b ? c.k * c.n
           : c.dots  ? (c.k + 15) / 16 * c.n * 16
                     : blocks_ * c.k * 16),
        extra_(c.epilogue, result_size(), c.n, generator_) {
    for (std::int64_t i = 0; i < a_.size(); ++i) a_[i] = random_value(generator_);
    for (std::int64_t k = 0; k < c.k; ++k) {
      for (std::int64_t n = 0; n < c.n; ++n) b_[b_offset(k, n)] = random_value(generator_);
    }
  }

  Buffer run(const ir::Isa& isa, std::int64_t cut) {
    Buffer result(result_size());
    std::vector<void*> buffers{a_.data(), b_.data()};
    for (Buffer& e : extra_.buffers) buffers.push_back(e.data());
    buffers.push_back(result.data());
    const auto kernel = codegen::compile(spec_, isa);
    run_cut(*kernel, buffers, c_.batch_m ? c_.m : c_.k, cut);
    return result;
  }

  void expect_reference(Buffer& result) {
    std::vector<bool> written(static_cast<std::size_t>(result.size()));
    for (std::int64_t m = 0; m < c_.m; ++m) {
      for (std::int64_t n = 0; n < c_.n; ++n) {
        double sum = 0, magnitude = 1;
        for (std::int64_t k = 0; k < c_.k; ++k) {
          const double product =
              static_cast<double>(a_[m * spec_.a_m + k * spec_.a_k]) * b_[b_offset(k, n)];
          sum += product;
          magnitude += std::fabs(product);
        }
        const std::int64_t at = c_offset(m, n);
        written[static_cast<std::size_t>(at)] = true;
        ASSERT_NEAR(result[at], extra_.reference(sum, at, n), 1e-6 * magnitude)
            << describe(c_) << " at " << m << "," << n;
      }
    }
    if (spec_.c_padded) return;
    for (std::int64_t i = 0; i < result.size(); ++i) {
      if (!written[static_cast<std::size_t>(i)]) {
        ASSERT_TRUE(std::isnan(result[i])) << describe(c_) << ": stored past column n at " << i;
      }
    }
  }

  void expect_equal(Buffer& x, Buffer& y) {
    for (std::int64_t m = 0; m < c_.m; ++m) {
      for (std::int64_t n = 0; n < c_.n; ++n) {
        const std::int64_t at = c_offset(m, n);
        ASSERT_EQ(std::memcmp(&x[at], &y[at], 4), 0) << describe(c_) << " at " << m << "," << n;
      }
    }
  }

 private:
  ir::GemmSpec make_spec() const {
    ir::GemmSpec s;
    s.m = c_.batch_m ? kBatch : c_.m;
    s.n = c_.n;
    s.k = c_.batch_k ? kBatch : c_.k;
    s.a_m = c_.transposed_a ? 1 : c_.k;
    s.a_k = c_.transposed_a ? c_.m : 1;
    s.b_k = c_.plain_b ? c_.n : 16;
    s.b_block = c_.plain_b ? 16 : c_.k * 16;
    // Rows are apart, so that a store past column n shows.
    s.c_m = c_.c_blocks ? 16 : c_.n + 5;
    s.c_block = c_.c_blocks ? c_.m * 16 : 16;
    s.c_padded = c_.c_blocks;
    if (c_.dots) {
      s.dots = true;
      s.b_k = c_.plain_b ? c_.k : 16;
      s.b_block = c_.plain_b ? 16 : c_.n * 16;
    }
    s.epilogue = make_epilogue(c_.epilogue);
    return s;
  }
  std::int64_t result_size() const { return c_.c_blocks ? blocks_ * c_.m * 16 : c_.m * (c_.n + 5); }
  std::int64_t b_offset(std::int64_t k, std::int64_t n) const {
    if (c_.dots) return k / 16 * spec_.b_block + n * spec_.b_k + k % 16;
    return n / 16 * spec_.b_block + k * spec_.b_k + n % 16;
  }
  std::int64_t c_offset(std::int64_t m, std::int64_t n) const {
    return m * spec_.c_m + n / 16 * spec_.c_block + n % 16;
  }

  GemmCase c_;
  std::int64_t blocks_;
  ir::GemmSpec spec_;
  std::mt19937 generator_{7};
  Buffer a_, b_;
  EpilogueData extra_;
};

void check(const GemmCase& c) {
  Problem problem(c);
  const std::vector<const ir::Isa*> isas = host_isas();
  if (isas.empty()) GTEST_SKIP() << "no instruction set that this build generates code for";
  Buffer first = problem.run(*isas.front(), c.m * c.n);
  problem.expect_reference(first);
  for (const ir::Isa* isa : isas) {
    for (const std::int64_t cut : {c.m * c.n, std::int64_t{1}, std::int64_t{5}}) {
      Buffer other = problem.run(*isa, cut);
      problem.expect_equal(first, other);
      if (::testing::Test::HasFatalFailure()) return;
    }
  }
}

TEST(KernelGemm, EveryRowCount) {
  for (std::int64_t m = 1; m <= 31; ++m) {
    check({.m = m, .n = 37, .k = 19, .batch_m = m % 2 == 1, .epilogue = EpilogueKind::bias_relu});
    if (HasFatalFailure()) return;
  }
}

TEST(KernelGemm, EveryColumnCount) {
  for (std::int64_t n = 1; n <= 50; ++n) {
    for (const std::int64_t m : {1, 3, 6}) {
      check({.m = m, .n = n, .k = 9, .plain_b = n % 2 == 1, .epilogue = EpilogueKind::residual});
      if (HasFatalFailure()) return;
    }
  }
}

TEST(KernelGemm, WideRows) {
  for (const std::int64_t n : {120, 128, 150, 300}) {
    for (const std::int64_t m : {1, 2, 9, 14}) {
      check({.m = m, .n = n, .k = 33, .batch_m = true});
      if (HasFatalFailure()) return;
    }
  }
}

TEST(KernelGemm, Epilogues) {
  for (const EpilogueKind e : kEpilogues) {
    for (const bool c_blocks : {false, true}) {
      for (const std::int64_t n : {10, 24, 32, 45}) {
        check({.m = 17, .n = n, .k = 21, .batch_m = true, .c_blocks = c_blocks, .epilogue = e});
        if (HasFatalFailure()) return;
      }
    }
  }
}

// The weight gradient of a dense layer: the reduction runs over the batch.
TEST(KernelGemm, ReductionOverTheBatch) {
  for (const std::int64_t k : {1, 2, 7, 8, 15, 16, 64, 131}) {
    for (const bool c_blocks : {false, true}) {
      check({.m = 29,
             .n = 26,
             .k = k,
             .batch_k = true,
             .transposed_a = true,
             .plain_b = true,
             .c_blocks = c_blocks});
      if (HasFatalFailure()) return;
    }
  }
}

// Batches that are no sum of few equal tiles, with all remainders of the largest tiles.
TEST(KernelGemm, EveryBatch) {
  for (std::int64_t m = 1; m <= 72; ++m) check({.m = m, .n = 37, .k = 5, .batch_m = true});
}

// Dot products: blocks of the matrix or its rows, every rest of columns and steps. The lanes that
// pad the last block are not numbers here.
TEST(KernelGemm, DotProducts) {
  for (const bool plain_b : {false, true}) {
    for (std::int64_t n = 1; n <= 34; ++n) {
      for (const std::int64_t k : {1, 7, 16, 29, 64}) {
        check({.m = 1, .n = n, .k = k, .plain_b = plain_b, .dots = true});
        if (HasFatalFailure()) return;
      }
    }
    for (const EpilogueKind e : kEpilogues) {
      check({.m = 1, .n = 45, .k = 37, .plain_b = plain_b, .dots = true, .epilogue = e});
      if (HasFatalFailure()) return;
    }
  }
}

// One kernel serves every batch size; b is large enough to be walked panel by panel.
TEST(KernelGemm, LargeOperand) {
  check({.m = 30, .n = 272, .k = 500, .batch_m = true, .epilogue = EpilogueKind::bias_relu});
}

// Operands whose strides suit no cache are packed first.
TEST(KernelGemm, PackedRows) {
  check({.m = 9, .n = 100, .k = 1024, .batch_m = true, .epilogue = EpilogueKind::bias_relu});
  check({.m = 15, .n = 97, .k = 1024});
}

TEST(KernelGemm, PackedColumns) {
  for (const std::int64_t k : {1, 8, 45}) {
    check({.m = 71, .n = 106, .k = k, .batch_k = true, .transposed_a = true, .plain_b = true});
    check({.m = 65, .n = 20, .k = k, .plain_b = true, .epilogue = EpilogueKind::residual});
    check({.m = 100, .n = 100, .k = k, .transposed_a = true, .c_blocks = true});
    if (HasFatalFailure()) return;
  }
}

TEST(KernelGemm, EmptyReductionGivesTheEpilogueOfZero) {
  check({.m = 5, .n = 18, .k = 0, .epilogue = EpilogueKind::bias_relu});
}

TEST(KernelGemm, TooManyEpilogueOperands) {
  ir::GemmSpec spec;
  spec.m = spec.n = spec.k = 4;
  spec.epilogue = make_epilogue(EpilogueKind::bias_relu);
  spec.epilogue.operands.resize(40);
  for (const ir::Isa* isa : host_isas()) {
    EXPECT_THROW(codegen::compile(spec, *isa), Error);
  }
}

}  // namespace
}  // namespace taper::testing
