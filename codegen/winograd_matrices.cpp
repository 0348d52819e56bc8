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

using Lines = std::array<Matrix, 5>;  // by WinogradLine

// p(x) (x - root), from the coefficient of 1 on.
Numbers times(Numbers p, double root) {
  p.push_back(0);
  for (std::size_t i = p.size(); i-- > 0;) p[i] = (i > 0 ? p[i - 1] : 0) - root * p[i];
  return p;
}

Matrix transposed(const Matrix& matrix) {
  Matrix result(matrix.front().size(), Numbers(matrix.size()));
  for (std::size_t i = 0; i < matrix.size(); ++i)
    for (std::size_t j = 0; j < result.size(); ++j) result[j][i] = matrix[i][j];
  return result;
}

// Filters are divided by their point's distances to all others of a whole tile. The distances to
// those that a ragged one leaves out are factors of its input.
Lines lines_of(int tile_results, int results) {
  const auto infinity = static_cast<std::size_t>(tile_results) + 1;
  const auto count = static_cast<std::size_t>(results) + 1;
  Matrix input(infinity + 1), output(count - 1, Numbers(infinity + 1));
  Matrix filter(infinity + 1, Numbers(kFilterTaps));
  input[infinity] = {1};
  for (std::size_t i = 0; i < count; ++i) {
    double distances = 1;
    input[i] = {1};
    input[infinity] = times(input[infinity], kFinitePoints[i]);
    for (std::size_t j = 0; j < infinity; ++j) {
      if (j == i) continue;
      distances *= kFinitePoints[i] - kFinitePoints[j];
      if (j < count) input[i] = times(input[i], kFinitePoints[j]);
      if (j >= count)
        for (double& c : input[i]) c *= kFinitePoints[i] - kFinitePoints[j];
    }
    for (std::size_t k = 0; k + 1 < count; ++k)
      output[k][i] = std::pow(kFinitePoints[i], static_cast<double>(k));
    for (std::size_t k = 0; k < kFilterTaps; ++k)
      filter[i][k] = std::pow(kFinitePoints[i], static_cast<double>(k)) / distances;
  }
  output.back()[infinity] = 1;
  filter[infinity][kFilterTaps - 1] = 1;
  return {input, output, filter, transposed(output), transposed(filter)};
}

}  // namespace

std::unique_ptr<LineTransform> winograd_line(Masm& m, WinogradLine line, int tile_results,
                                             int results) {
  static const std::map<std::pair<int, int>, Lines> all = [] {
    std::map<std::pair<int, int>, Lines> lines;
    for (const int tile : {2, 4})
      for (int r = 1; r <= tile; ++r) lines[{tile, r}] = lines_of(tile, r);
    return lines;
  }();
  const Matrix& matrix = all.at({tile_results, results})[static_cast<std::size_t>(line)];
  auto shared = results == 4 ? line_of_shared_sums(m, line, matrix) : nullptr;
  return shared ? std::move(shared) : std::make_unique<LineTransform>(m, matrix);
}

}  // namespace taper::codegen
