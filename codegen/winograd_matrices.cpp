// The transforms as matrices, by Toom and Cook: a line of results is the product of two polynomials
// transposed, which its values at some points determine. Those of F(results, 3) are 0, 1, -1, 2 and
// -2, as many as there are results and one, and infinity.
#include <array>
#include <cmath>

#include "codegen/winograd_lines.h"

namespace taper::codegen {
namespace {

using Numbers = std::vector<double>;
using Matrix = LineTransform::Matrix;

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

}  // namespace

WinogradLines winograd_lines(Masm& m, int tile_results, int results) {
  const Matrices all = matrices(tile_results, results);
  const auto of = [&](const Matrix& matrix) { return std::make_unique<LineTransform>(m, matrix); };
  WinogradLines lines{of(all.input), of(all.output), of(all.filter), of(transposed(all.output)),
                      of(transposed(all.filter))};
  if (results == 4) share_sums(m, lines);
  return lines;
}

}  // namespace taper::codegen
