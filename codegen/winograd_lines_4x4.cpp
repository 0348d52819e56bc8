// The lines of F(4x4, 3x3), with the points 0, +-1, +-2 and infinity.
#include "codegen/winograd_lines.h"

namespace taper::codegen {
namespace {

class Input4x4 final : public LineTransform {
 public:
  Input4x4(Masm& m, const Matrix& matrix)
      : LineTransform(m, matrix, {4, 2}, {{0}, {1, 2}, {3, 4}, {5}}) {}

  // 4 d0 - 5 d2 + d4, d4 - 4 d2 +- (d3 - 4 d1), d4 - d2 +- 2 (d3 - d1), 4 d1 - 5 d3 + d5.
  Line values(const Group& group, const Line& d) override {
    const Vec four = constant(4), two = constant(2);
    const Vec p = m_.vec(), q = m_.vec();
    Line values{p};
    if (group[0] == 0) {
      m_.sub(p, d[4], d[2]);
      m_.sub(q, d[0], d[2]);
      m_.fma(p, four, q);
    } else if (group[0] == 5) {
      m_.sub(q, d[3], d[1]);
      m_.add(q, q, q);
      m_.sub(p, d[5], d[3]);
      m_.fnma(p, two, q);
    } else if (group[0] < 3) {
      m_.move(p, d[4]);
      m_.fnma(p, four, d[2]);
      m_.move(q, d[3]);
      m_.fnma(q, four, d[1]);
      values = sums_and_differences(group, p, q);
    } else {
      m_.sub(p, d[4], d[2]);
      m_.sub(q, d[3], d[1]);
      m_.add(q, q, q);
      values = sums_and_differences(group, p, q);
    }
    m_.release(q);
    return values;
  }
};

class Output4x4 final : public LineTransform {
 public:
  Output4x4(Masm& m, const Matrix& matrix)
      : LineTransform(m, matrix, {2, 4, 8}, {{0, 2}, {1, 3}}) {}

  // m0 + m1 + m2 + m3 + m4, m1 - m2 + 2 (m3 - m4), m1 + m2 + 4 (m3 + m4),
  // m1 - m2 + 8 (m3 - m4) + m5.
  Line values(const Group& group, const Line& m) override {
    const Vec two = constant(2), four = constant(4), eight = constant(8);
    const Vec near = m_.vec(), far = m_.vec();
    const bool even = group[0] % 2 == 0, both = group.size() == 2;
    if (even) {
      m_.add(near, m[1], m[2]);
      m_.add(far, m[3], m[4]);
    } else {
      m_.sub(near, m[1], m[2]);
      m_.sub(far, m[3], m[4]);
    }
    Line values;
    if (group[0] < 2) {
      const Vec first = both ? m_.vec() : near;
      values.push_back(first);
      if (even) {
        m_.add(first, m[0], near);
        m_.add(first, first, far);
      } else {
        if (both) m_.move(first, near);
        m_.fma(first, two, far);
      }
    }
    if (group.back() >= 2) {
      m_.fma(near, even ? four : eight, far);
      if (!even) m_.add(near, near, m[5]);
      values.push_back(near);
    }
    m_.release(far);
    return values;
  }
};

class Gradient4x4 final : public LineTransform {
 public:
  Gradient4x4(Masm& m, const Matrix& matrix)
      : LineTransform(m, matrix, {4}, {{0}, {1, 2}, {3, 4}, {5}}) {}

  // y0, y0 +- y1 + y2 +- y3, y0 +- 2 y1 + 4 y2 +- 8 y3, y3.
  Line values(const Group& group, const Line& y) override {
    const Vec even = m_.vec(), odd = m_.vec();
    Line values{even};
    if (group[0] == 0 || group[0] == 5) {
      m_.move(even, group[0] == 0 ? y[0] : y[3]);
    } else if (group[0] < 3) {
      m_.add(even, y[0], y[2]);
      m_.add(odd, y[1], y[3]);
      values = sums_and_differences(group, even, odd);
    } else {
      const Vec four = constant(4);
      m_.move(even, y[0]);
      m_.fma(even, four, y[2]);
      m_.move(odd, y[1]);
      m_.fma(odd, four, y[3]);
      m_.add(odd, odd, odd);
      values = sums_and_differences(group, even, odd);
    }
    m_.release(odd);
    return values;
  }
};

}  // namespace

std::unique_ptr<LineTransform> line_of_shared_sums(Masm& m, WinogradLine line,
                                                   const LineTransform::Matrix& matrix) {
  if (line == WinogradLine::input) return std::make_unique<Input4x4>(m, matrix);
  if (line == WinogradLine::output) return std::make_unique<Output4x4>(m, matrix);
  if (line == WinogradLine::gradient) return std::make_unique<Gradient4x4>(m, matrix);
  return nullptr;
}

}  // namespace taper::codegen
