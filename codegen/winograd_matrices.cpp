// The transforms as matrices, by Toom and Cook: a line of results is the product of two polynomials
// transposed, which its values at some points determine. Those of F(results, 3) are 0, 1, -1, 2 and
// -2, as many as there are results and one, and infinity.
#include <algorithm>
#include <array>
#include <cmath>

#include "codegen/winograd_lines.h"

namespace taper::codegen {
namespace {

using Numbers = std::vector<double>;
using Matrix = std::vector<Numbers>;  // rows of points that are left out are empty

constexpr std::array<double, 5> kFinitePoints{0, 1, -1, 2, -2};
constexpr int kFilterTaps = 3;

struct Matrices {
  Matrix input, output, filter;
};

// p(x) (x - root), from the coefficient of 1 on.
Numbers times(Numbers p, double root) {
  p.push_back(0);
  for (std::size_t i = p.size(); i-- > 0;) p[i] = (i > 0 ? p[i - 1] : 0) - root * p[i];
  return p;
}

// Filters are divided by their point's distances to all others of a whole tile. The distances to
// those that a ragged one leaves out are factors of its input.
Matrices matrices(int tile_results, int results) {
  const auto infinity = static_cast<std::size_t>(tile_results) + 1;
  const auto count = static_cast<std::size_t>(results) + 1;
  Matrices m{Matrix(infinity + 1), Matrix(count - 1, Numbers(infinity + 1)),
             Matrix(infinity + 1, Numbers(kFilterTaps))};
  m.input[infinity] = {1};
  for (std::size_t i = 0; i < count; ++i) {
    double distances = 1;
    m.input[i] = {1};
    m.input[infinity] = times(m.input[infinity], kFinitePoints[i]);
    for (std::size_t j = 0; j < infinity; ++j) {
      if (j == i) continue;
      distances *= kFinitePoints[i] - kFinitePoints[j];
      if (j < count) m.input[i] = times(m.input[i], kFinitePoints[j]);
      if (j >= count)
        for (double& c : m.input[i]) c *= kFinitePoints[i] - kFinitePoints[j];
    }
    for (std::size_t k = 0; k + 1 < count; ++k)
      m.output[k][i] = std::pow(kFinitePoints[i], static_cast<double>(k));
    for (std::size_t k = 0; k < kFilterTaps; ++k)
      m.filter[i][k] = std::pow(kFinitePoints[i], static_cast<double>(k)) / distances;
  }
  m.output.back()[infinity] = 1;
  m.filter[infinity][kFilterTaps - 1] = 1;
  return m;
}

Matrix transposed(const Matrix& matrix) {
  Matrix result(matrix.front().size(), Numbers(matrix.size()));
  for (std::size_t i = 0; i < matrix.size(); ++i)
    for (std::size_t j = 0; j < result.size(); ++j) result[j][i] = matrix[i][j];
  return result;
}

std::vector<float> constants_of(const Matrix& matrix) {
  std::vector<float> constants;
  for (const Numbers& row : matrix)
    for (const double c : row)
      if (c != 0 && std::fabs(c) != 1) constants.push_back(static_cast<float>(std::fabs(c)));
  return constants;
}

// Rows that are not empty, two at a time.
std::vector<LineTransform::Group> pairs_of(const Matrix& matrix) {
  std::vector<LineTransform::Group> groups;
  for (std::size_t row = 0; row < matrix.size(); ++row) {
    if (std::ranges::all_of(matrix[row], [](double c) { return c == 0; })) continue;
    if (groups.empty() || groups.back().size() == 2) groups.emplace_back();
    groups.back().push_back(static_cast<int>(row));
  }
  return groups;
}

// Each result is a chain over the coefficients of its row that are not zero.
class MatrixTransform final : public LineTransform {
 public:
  MatrixTransform(Masm& m, const Matrix& matrix)
      : LineTransform(m, constants_of(matrix), pairs_of(matrix)), matrix_(matrix) {}

  std::vector<int> needs(const Group& group) const override {
    std::vector<int> columns;
    for (std::size_t c = 0; c < kFinitePoints.size() + 1; ++c)
      if (std::ranges::any_of(group, [&](int row) { return coefficient(row, c) != 0; }))
        columns.push_back(static_cast<int>(c));
    return columns;
  }

  Line values(const Group& group, const Line& line) override {
    Line values;
    for (const int row : group) values.push_back(chain(row, line));
    return values;
  }

 private:
  double coefficient(int row, std::size_t column) const {
    const Numbers& numbers = matrix_[static_cast<std::size_t>(row)];
    return column < numbers.size() ? numbers[column] : 0;
  }

  Vec chain(int row, const Line& line) {
    const Numbers& numbers = matrix_[static_cast<std::size_t>(row)];
    const Vec v = m_.vec();
    const auto largest = std::ranges::max_element(numbers);
    const auto start = static_cast<std::size_t>(largest - numbers.begin());
    if (*largest <= 0)
      m_.zero(v);
    else if (*largest == 1)
      m_.move(v, line[start]);
    else
      m_.mul(v, line[start], constant(static_cast<float>(*largest)));
    for (std::size_t i = 0; i < numbers.size(); ++i)
      if (numbers[i] != 0 && !(i == start && *largest > 0)) add(v, numbers[i], line[i]);
    return v;
  }

  void add(Vec v, double factor, Vec x) {
    if (factor == 1) return m_.add(v, v, x);
    if (factor == -1) return m_.sub(v, v, x);
    const Vec size = constant(static_cast<float>(std::fabs(factor)));
    factor > 0 ? m_.fma(v, size, x) : m_.fnma(v, size, x);
  }

  Matrix matrix_;
};

}  // namespace

WinogradLines winograd_lines(Masm& m, int tile_results, int results) {
  const Matrices all = matrices(tile_results, results);
  const auto of = [&](const Matrix& matrix) {
    return std::make_unique<MatrixTransform>(m, matrix);
  };
  WinogradLines lines{of(all.input), of(all.output), of(all.filter), of(transposed(all.output)),
                      of(transposed(all.filter))};
  if (results == 4) share_sums(m, lines);
  return lines;
}

}  // namespace taper::codegen
