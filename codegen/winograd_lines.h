// The one-dimensional transforms of winograd_transform.h, as emitted code.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "codegen/masm.h"

namespace taper::codegen {

// Multiplies the vectors of a line by a matrix of small numbers.
class LineTransform {
 public:
  using Line = std::vector<Vec>;
  using Store = std::function<void(int index, Vec value)>;
  // Rows that are not there have no results; those that are may end early.
  using Matrix = std::vector<std::vector<double>>;
  // Indices of results that are computed together: one, or two.
  using Group = std::vector<int>;
  // Registers, by what they hold.
  using Constants = std::map<float, Vec>;

  LineTransform(Masm& m, Matrix matrix);
  virtual ~LineTransform() = default;
  LineTransform(const LineTransform&) = delete;
  LineTransform& operator=(const LineTransform&) = delete;

  const Matrix& matrix() const { return matrix_; }

  // Takes registers for those of its constants that are not there.
  void prepare(Constants& constants);

  // All results, in groups.
  const std::vector<Group>& groups() const { return groups_; }
  // The elements of the line that the results of a group, or of one of its members, depend on.
  std::vector<int> needs(const Group& group) const;
  // These results, in registers that the caller releases: chains over the row's coefficients that
  // are not zero.
  virtual Line values(const Group& group, const Line& line);

  // Transforms a line. Every value of the result is handed to `store` as soon as it is known, and
  // is free again when `store` returns.
  void apply(const Line& line, const Store& store);

 protected:
  // For results that share sums.
  LineTransform(Masm& m, Matrix matrix, std::vector<float> constants, std::vector<Group> groups)
      : m_(m),
        matrix_(std::move(matrix)),
        needed_(std::move(constants)),
        groups_(std::move(groups)) {}

  Vec constant(double value) const { return constants_->at(static_cast<float>(value)); }
  // Odd members are even + odd, the others even - odd.
  Line sums_and_differences(const Group& group, Vec even, Vec odd);

  Masm& m_;

 private:
  void add(Vec sum, double factor, Vec x);

  Matrix matrix_;
  std::vector<float> needed_;
  std::vector<Group> groups_;
  const Constants* constants_ = nullptr;
};

enum class WinogradLine : std::uint8_t {
  input,           // B^T: 6 -> 6 (4 -> 4)
  output,          // A^T: 6 -> 4 (4 -> 2)
  filter,          // G: 3 -> 6 (3 -> 4)
  gradient,        // A: 4 -> 6
  filter_gradient  // G^T: 6 -> 3
};

// Of F(results, 3) with the filters of F(tile_results, 3), of 4 or 2: a ragged tile, which ends
// where the image does, has fewer results. It leaves out points, and the others keep their indices.
std::unique_ptr<LineTransform> winograd_line(Masm& m, WinogradLine line, int tile_results,
                                             int results);
// Whether such a line has the point of this index.
constexpr bool has_point(int tile_results, int results, int index) {
  return index <= results || index == tile_results + 1;
}

// Those of F(4, 3) whose results share sums; none of filters.
std::unique_ptr<LineTransform> line_of_shared_sums(Masm& m, WinogradLine line,
                                                   const LineTransform::Matrix& matrix);

}  // namespace taper::codegen
