#include "codegen/winograd_lines.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace taper::codegen {

LineTransform::LineTransform(Masm& m, Matrix matrix) : m_(m), matrix_(std::move(matrix)) {
  for (std::size_t row = 0; row < matrix_.size(); ++row) {
    const std::vector<double>& factors = matrix_[row];
    if (std::ranges::all_of(factors, [](double f) { return f == 0; })) continue;
    if (groups_.empty() || groups_.back().size() == 2) groups_.emplace_back();
    groups_.back().push_back(static_cast<int>(row));
    for (const double f : factors)
      if (f != 0 && std::fabs(f) != 1) needed_.push_back(static_cast<float>(std::fabs(f)));
  }
}

void LineTransform::prepare(Constants& constants) {
  for (const float value : needed_) {
    if (constants.contains(value)) continue;
    const Vec v = constants[value] = m_.vec();
    m_.constant(v, value);
  }
  constants_ = &constants;
}

std::vector<int> LineTransform::needs(const Group& group) const {
  std::set<int> columns;
  for (const int row : group) {
    const std::vector<double>& factors = matrix_[static_cast<std::size_t>(row)];
    for (std::size_t c = 0; c < factors.size(); ++c)
      if (factors[c] != 0) columns.insert(static_cast<int>(c));
  }
  return {columns.begin(), columns.end()};
}

LineTransform::Line LineTransform::values(const Group& group, const Line& line) {
  Line values;
  for (const int row : group) {
    const std::vector<double>& factors = matrix_[static_cast<std::size_t>(row)];
    const Vec v = values.emplace_back(m_.vec());
    // Starts with the largest factor; rows of negative ones with zero.
    const auto largest = std::ranges::max_element(factors);
    const auto start = static_cast<std::size_t>(largest - factors.begin());
    if (*largest <= 0)
      m_.zero(v);
    else if (*largest == 1)
      m_.move(v, line[start]);
    else
      m_.mul(v, line[start], constant(*largest));
    for (std::size_t i = 0; i < factors.size(); ++i)
      if (factors[i] < 0 || (factors[i] > 0 && i != start)) add(v, factors[i], line[i]);
  }
  return values;
}

void LineTransform::add(Vec sum, double factor, Vec x) {
  if (factor == 1) return m_.add(sum, sum, x);
  if (factor == -1) return m_.sub(sum, sum, x);
  const Vec size = constant(std::fabs(factor));
  factor > 0 ? m_.fma(sum, size, x) : m_.fnma(sum, size, x);
}

void LineTransform::apply(const Line& line, const Store& store) {
  for (const Group& group : groups_) {
    const Line results = values(group, line);
    for (std::size_t i = 0; i < group.size(); ++i) {
      store(group[i], results[i]);
      m_.release(results[i]);
    }
  }
}

LineTransform::Line LineTransform::sums_and_differences(const Group& group, Vec even, Vec odd) {
  Line values{even};
  if (group.size() == 2) {
    values = {m_.vec(), even};
    m_.add(values[0], even, odd);
  }
  if (group.back() % 2 == 1)
    m_.add(even, even, odd);
  else
    m_.sub(even, even, odd);
  return values;
}

}  // namespace taper::codegen
