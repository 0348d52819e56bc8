#include <gtest/gtest.h>

#include <cmath>

#include "tests/kernel_everywhere.h"

namespace taper::testing {
namespace {

using ir::RowKind;

constexpr RowKind kKinds[] = {RowKind::softmax, RowKind::log_softmax, RowKind::cross_entropy,
                              RowKind::cross_entropy_backward, RowKind::cross_entropy_fused};

struct Data {
  Buffer x, labels, dloss;
  Data(std::int64_t rows, std::int64_t columns, float scale)
      : x(rows * columns), labels(rows), dloss(rows) {
    std::mt19937 generator(11);
    for (std::int64_t i = 0; i < x.size(); ++i) x[i] = random_value(generator) * scale;
    for (std::int64_t i = 0; i < rows; ++i) {
      const auto label = static_cast<std::int32_t>(generator() % static_cast<unsigned>(columns));
      std::memcpy(&labels[i], &label, 4);
      dloss[i] = random_value(generator);
    }
  }
  std::int64_t label(std::int64_t row) {
    std::int32_t label;
    std::memcpy(&label, &labels[row], 4);
    return label;
  }
};

struct Outcome {
  std::vector<float> loss, matrix;
};

Outcome run(const ir::RowSpec& spec, Data& data, std::int64_t rows, std::int64_t batch) {
  std::vector<void*> operands{data.x.data()};
  std::vector<std::int64_t> bytes;
  const bool entropy = spec.kind != RowKind::softmax && spec.kind != RowKind::log_softmax;
  if (entropy) operands.push_back(data.labels.data());
  if (entropy && spec.kind != RowKind::cross_entropy) operands.push_back(data.dloss.data());
  const bool loss =
      spec.kind == RowKind::cross_entropy || spec.kind == RowKind::cross_entropy_fused;
  if (loss) bytes.push_back(rows * 4);
  if (spec.kind != RowKind::cross_entropy) bytes.push_back(rows * spec.columns * 4);
  const auto got = run_everywhere([&](const ir::Isa& isa) { return codegen::compile(spec, isa); },
                                  operands, bytes, batch);
  Outcome out;
  if (got.size() != bytes.size()) return out;
  if (loss) out.loss.assign(floats(got[0]), floats(got[0]) + rows);
  if (spec.kind != RowKind::cross_entropy) {
    out.matrix.assign(floats(got.back()), floats(got.back()) + rows * spec.columns);
  }
  return out;
}

void check_row(const ir::RowSpec& spec, Data& data, const Outcome& got, std::int64_t row) {
  const float* x = data.x.data() + row * spec.columns;
  double max = -INFINITY, sum = 0;
  for (std::int64_t j = 0; j < spec.columns; ++j) max = std::max(max, double{x[j]});
  for (std::int64_t j = 0; j < spec.columns; ++j) sum += std::exp(x[j] - max);
  const double tolerance = 2e-6 * (1 + std::fabs(max));
  if (!got.loss.empty()) {
    const double loss = std::log(sum) + max - x[data.label(row)];
    ASSERT_NEAR(got.loss[static_cast<std::size_t>(row)], loss, tolerance);
  }
  if (got.matrix.empty()) return;
  for (std::int64_t j = 0; j < spec.columns; ++j) {
    const double p = std::exp(x[j] - max) / sum;
    double want = p;
    if (spec.kind == RowKind::log_softmax) want = x[j] - max - std::log(sum);
    if (spec.kind == RowKind::cross_entropy_backward || spec.kind == RowKind::cross_entropy_fused) {
      want = (p - (j == data.label(row) ? 1 : 0)) * data.dloss[row];
    }
    ASSERT_NEAR(got.matrix[static_cast<std::size_t>(row * spec.columns + j)], want, tolerance)
        << "column " << j;
  }
}

void check(const ir::RowSpec& spec, std::int64_t batch, float scale) {
  SCOPED_TRACE(ir::to_string(ir::KernelSpec(spec)) + " N=" + std::to_string(batch));
  const std::int64_t rows = spec.rows == ir::kBatch ? batch * spec.rows_per_image : spec.rows;
  Data data(rows, spec.columns, scale);
  const Outcome got = run(spec, data, rows, batch);
  for (std::int64_t r = 0; r < rows; ++r) check_row(spec, data, got, r);
}

ir::RowSpec make_spec(RowKind kind, ir::Dim rows, std::int64_t columns, std::int64_t each = 1) {
  ir::RowSpec spec;
  spec.kind = kind;
  spec.rows = rows;
  spec.rows_per_image = each;
  spec.columns = columns;
  return spec;
}

TEST(Row, MatchesReference) {
  for (const RowKind kind : kKinds) {
    for (const std::int64_t columns :
         {1, 2, 7, 8, 9, 10, 15, 16, 17, 31, 33, 64, 79, 80, 95, 1000}) {
      check(make_spec(kind, ir::kBatch, columns), 5, 4.0f);
      check(make_spec(kind, 7, columns), 1, 30.0f);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(Row, SeveralRowsAnImage) {
  for (const RowKind kind : kKinds) {
    check(make_spec(kind, ir::kBatch, 10, 3), 1, 1.0f);
    check(make_spec(kind, ir::kBatch, 10, 3), 4, 1.0f);
  }
}

TEST(Row, LargeLogitsDoNotOverflow) {
  for (const RowKind kind : kKinds) check(make_spec(kind, ir::kBatch, 12), 3, 5000.0f);
}

TEST(Row, NaNStaysInItsRow) {
  for (const RowKind kind : kKinds) {
    for (const std::int64_t column : {0, 5, 11}) {
      const ir::RowSpec spec = make_spec(kind, ir::kBatch, 12);
      Data data(3, 12, 1.0f);
      data.x[12 + column] = std::nanf("");
      const Outcome got = run(spec, data, 3, 3);
      for (std::size_t r = 0; r < got.loss.size(); ++r) EXPECT_EQ(std::isnan(got.loss[r]), r == 1);
      for (std::size_t i = 0; i < got.matrix.size(); ++i) {
        EXPECT_EQ(std::isnan(got.matrix[i]), i / 12 == 1) << i;
      }
    }
  }
}

TEST(Row, MinusInfinityHasNoProbability) {
  const ir::RowSpec spec = make_spec(RowKind::softmax, ir::kBatch, 3);
  Data data(1, 3, 1.0f);
  data.x[0] = 1.0f;
  data.x[1] = -INFINITY;
  data.x[2] = 1.0f;
  const Outcome got = run(spec, data, 1, 1);
  EXPECT_EQ(got.matrix, (std::vector<float>{0.5f, 0.0f, 0.5f}));
}

}  // namespace
}  // namespace taper::testing
