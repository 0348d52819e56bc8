#include "codegen/winograd_lines.h"

namespace taper::codegen {

using Line = WinogradLines::Line;

Vec WinogradLines::constant(float value) {
  const Vec v = m_.vec();
  m_.constant(v, value);
  constants_.push_back(v);
  return v;
}

Vec WinogradLines::temporary() {
  temporaries_.push_back(m_.vec());
  return temporaries_.back();
}

void WinogradLines::done() {
  for (const Vec v : temporaries_) m_.release(v);
  temporaries_.clear();
}

void WinogradLines::release() {
  for (const Vec v : constants_) m_.release(v);
  constants_.clear();
}

void WinogradLines::hand_over(const Group& group, const Line& values, const Store& store) {
  for (std::size_t i = 0; i < group.size(); ++i) {
    store(group[i], values[i]);
    m_.release(values[i]);
  }
}

// Odd members are even + odd, the others even - odd.
Line WinogradLines::sums_and_differences(const Group& group, Vec even, Vec odd) {
  if (group.size() == 1) {
    if (group[0] % 2 == 1) m_.add(even, even, odd);
    if (group[0] % 2 == 0) m_.sub(even, even, odd);
    return {even};
  }
  const Vec sum = m_.vec();
  m_.add(sum, even, odd);
  m_.sub(even, even, odd);
  return {sum, even};
}

const std::vector<WinogradLines::Group>& WinogradLines::point_groups() const {
  static const std::vector<Group> groups{{0}, {1, 2}, {3, 4}, {5}}, few{{0}, {1, 2}, {3}};
  return small() ? few : groups;
}
const std::vector<WinogradLines::Group>& WinogradLines::output_groups() const {
  static const std::vector<Group> groups{{0, 2}, {1, 3}}, few{{0}, {1}};
  return small() ? few : groups;
}

void WinogradLines::prepare_input() {
  if (small()) return;
  constant(4);
  constant(2);
}

void WinogradLines::input(const Line& d, const Store& store) {
  for (const Group& group : point_groups()) hand_over(group, input_values(group, d), store);
}

std::vector<int> WinogradLines::input_needs(const Group& group) const {
  if (small())
    return group[0] == 0   ? std::vector<int>{0, 2}
           : group[0] == 3 ? std::vector<int>{1, 3}
                           : std::vector<int>{1, 2};
  if (group[0] == 0) return {0, 2, 4};
  if (group[0] == 5) return {1, 3, 5};
  return {1, 2, 3, 4};
}

// 4 d0 - 5 d2 + d4, d4 - 4 d2 +- (d3 - 4 d1), d4 - d2 +- 2 (d3 - d1), 4 d1 - 5 d3 + d5.
Line WinogradLines::input_values(const Group& group, const Line& d) {
  if (small()) return small_input_values(group, d);
  const Vec four = constants_[0], two = constants_[1];
  const Vec p = m_.vec(), q = temporary();
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
  done();
  return values;
}

void WinogradLines::prepare_output() {
  if (small()) return;
  constant(2);
  constant(4);
  constant(8);
}

void WinogradLines::output(const Line& m, const Store& store) {
  for (const Group& group : output_groups()) hand_over(group, output_values(group, m), store);
}

std::vector<int> WinogradLines::output_needs(const Group& group) const {
  if (small()) return group[0] == 0 ? std::vector<int>{0, 1, 2} : std::vector<int>{1, 2, 3};
  std::vector<int> needs{1, 2, 3, 4};
  if (group[0] == 0) needs.push_back(0);
  if (group.back() == 3) needs.push_back(5);
  return needs;
}

// m0 + m1 + m2 + m3 + m4, m1 - m2 + 2 (m3 - m4), m1 + m2 + 4 (m3 + m4), m1 - m2 + 8 (m3 - m4) + m5.
Line WinogradLines::output_values(const Group& group, const Line& m) {
  if (small()) return small_output_values(group, m);
  const Vec two = constants_[0], four = constants_[1], eight = constants_[2];
  const Vec near = m_.vec(), far = temporary();
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
  done();
  return values;
}

void WinogradLines::prepare_gradient() {
  constant(4);
}

void WinogradLines::gradient(const Line& y, const Store& store) {
  for (const Group& group : point_groups()) hand_over(group, gradient_values(group, y), store);
}

std::vector<int> WinogradLines::gradient_needs(const Group& group) const {
  if (group[0] == 0) return {0};
  if (group[0] == 5) return {3};
  return {0, 1, 2, 3};
}

// y0, y0 +- y1 + y2 +- y3, y0 +- 2 y1 + 4 y2 +- 8 y3, y3.
Line WinogradLines::gradient_values(const Group& group, const Line& y) {
  const Vec even = m_.vec(), odd = temporary();
  Line values{even};
  if (group[0] == 0 || group[0] == 5) {
    m_.move(even, group[0] == 0 ? y[0] : y[3]);
  } else if (group[0] < 3) {
    m_.add(even, y[0], y[2]);
    m_.add(odd, y[1], y[3]);
    values = sums_and_differences(group, even, odd);
  } else {
    const Vec four = constants_[0];
    m_.move(even, y[0]);
    m_.fma(even, four, y[2]);
    m_.move(odd, y[1]);
    m_.fma(odd, four, y[3]);
    m_.add(odd, odd, odd);
    values = sums_and_differences(group, even, odd);
  }
  done();
  return values;
}

void WinogradLines::prepare_filter() {
  if (small()) {
    constant(1.0f / 2);
    return;
  }
  constant(1.0f / 4);
  constant(1.0f / 6);
  constant(1.0f / 12);
  constant(1.0f / 24);
}

void WinogradLines::filter(const Line& g, const Store& store) {
  if (small()) return small_filter(g, store);
  const Vec quarter = constants_[0], sixth = constants_[1];
  const Vec twelfth = constants_[2], small = constants_[3];
  const Vec p = temporary(), q = temporary(), t = temporary();
  m_.mul(t, g[0], quarter);
  store(0, t);
  m_.add(p, g[0], g[2]);
  m_.mul(p, p, sixth);
  m_.mul(q, g[1], sixth);
  m_.zero(t);
  m_.sub(t, t, p);
  m_.sub(t, t, q);
  store(1, t);
  m_.sub(t, q, p);
  store(2, t);
  m_.mul(p, g[0], small);
  m_.fma(p, g[2], sixth);
  m_.mul(q, g[1], twelfth);
  m_.add(t, p, q);
  store(3, t);
  m_.sub(t, p, q);
  store(4, t);
  store(5, g[2]);
  done();
}

void WinogradLines::filter_gradient(const Line& u, const Store& store) {
  const Vec quarter = constants_[0], sixth = constants_[1];
  const Vec twelfth = constants_[2], small = constants_[3];
  const Vec sum = temporary(), other = temporary(), t = temporary();
  m_.add(sum, u[1], u[2]);
  m_.add(other, u[3], u[4]);
  m_.mul(t, u[0], quarter);
  m_.fnma(t, sum, sixth);
  m_.fma(t, other, small);
  store(0, t);
  m_.sub(other, other, sum);
  m_.move(t, u[5]);
  m_.fma(t, other, sixth);
  store(2, t);
  m_.sub(sum, u[2], u[1]);
  m_.sub(other, u[3], u[4]);
  m_.mul(t, sum, sixth);
  m_.fma(t, other, twelfth);
  store(1, t);
  done();
}

}  // namespace taper::codegen
