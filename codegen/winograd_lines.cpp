#include "codegen/winograd_lines.h"

namespace taper::codegen {

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

void WinogradLines::prepare_input() {
  constant(4);
  constant(2);
}

// d0..d5 -> 4 d0 - 5 d2 + d4, +-(4 d1 - d3) - 4 d2 + d4, ...
void WinogradLines::input(const Line& d, const Store& store) {
  const Vec four = constants_[0], two = constants_[1];
  const Vec p = temporary(), q = temporary(), t = temporary();
  m_.move(p, d[4]);
  m_.fnma(p, four, d[2]);  // d4 - 4 d2
  m_.move(q, d[3]);
  m_.fnma(q, four, d[1]);  // d3 - 4 d1
  m_.add(t, p, q);
  store(1, t);
  m_.sub(t, p, q);
  store(2, t);
  m_.sub(p, d[4], d[2]);
  m_.sub(q, d[3], d[1]);
  m_.add(q, q, q);  // 2 (d3 - d1)
  m_.add(t, p, q);
  store(3, t);
  m_.sub(t, p, q);
  store(4, t);
  m_.sub(t, d[0], d[2]);
  m_.fma(p, four, t);
  store(0, p);
  m_.sub(t, d[5], d[3]);
  m_.fnma(t, two, q);
  store(5, t);
  done();
}

std::vector<int> WinogradLines::input_needs(int index) {
  if (index == 0) return {0, 2, 4};
  if (index == 5) return {1, 3, 5};
  return {1, 2, 3, 4};
}

Vec WinogradLines::input_value(int index, const Line& d) {
  const Vec four = constants_[0], two = constants_[1];
  const Vec p = m_.vec(), q = temporary();
  if (index == 0) {
    m_.sub(p, d[4], d[2]);
    m_.sub(q, d[0], d[2]);
    m_.fma(p, four, q);
  } else if (index == 5) {
    m_.sub(q, d[3], d[1]);
    m_.add(q, q, q);
    m_.sub(p, d[5], d[3]);
    m_.fnma(p, two, q);
  } else if (index < 3) {
    m_.move(p, d[4]);
    m_.fnma(p, four, d[2]);
    m_.move(q, d[3]);
    m_.fnma(q, four, d[1]);
  } else {
    m_.sub(p, d[4], d[2]);
    m_.sub(q, d[3], d[1]);
    m_.add(q, q, q);
  }
  if (index == 1 || index == 3) m_.add(p, p, q);
  if (index == 2 || index == 4) m_.sub(p, p, q);
  done();
  return p;
}

void WinogradLines::prepare_output() {
  constant(2);
  constant(4);
  constant(8);
}

void WinogradLines::output(const Line& m, const Store& store) {
  const Vec two = constants_[0], four = constants_[1], eight = constants_[2];
  const Vec sum = temporary(), other = temporary(), t = temporary();
  m_.add(sum, m[1], m[2]);
  m_.add(other, m[3], m[4]);
  m_.add(t, m[0], sum);
  m_.add(t, t, other);
  store(0, t);
  m_.fma(sum, four, other);
  store(2, sum);
  m_.sub(sum, m[1], m[2]);
  m_.sub(other, m[3], m[4]);
  m_.move(t, sum);
  m_.fma(t, two, other);
  store(1, t);
  m_.fma(sum, eight, other);
  m_.add(sum, sum, m[5]);
  store(3, sum);
  done();
}

void WinogradLines::prepare_gradient() {
  constant(4);
}

void WinogradLines::gradient(const Line& y, const Store& store) {
  for (int i = 0; i < 6; ++i) {
    const Vec v = gradient_value(i, y);
    store(i, v);
    m_.release(v);
  }
}

std::vector<int> WinogradLines::gradient_needs(int index) {
  if (index == 0) return {0};
  if (index == 5) return {3};
  return {0, 1, 2, 3};
}

// y0, y0 +- y1 + y2 +- y3, y0 +- 2 y1 + 4 y2 +- 8 y3, y3.
Vec WinogradLines::gradient_value(int index, const Line& y) {
  const Vec even = m_.vec(), odd = temporary();
  if (index == 0 || index == 5) {
    m_.move(even, index == 0 ? y[0] : y[3]);
  } else if (index < 3) {
    m_.add(even, y[0], y[2]);
    m_.add(odd, y[1], y[3]);
  } else {
    const Vec four = constants_[0];
    m_.move(even, y[0]);
    m_.fma(even, four, y[2]);
    m_.move(odd, y[1]);
    m_.fma(odd, four, y[3]);
    m_.add(odd, odd, odd);
  }
  if (index == 1 || index == 3) m_.add(even, even, odd);
  if (index == 2 || index == 4) m_.sub(even, even, odd);
  done();
  return even;
}

void WinogradLines::prepare_filter() {
  constant(1.0f / 4);
  constant(1.0f / 6);
  constant(1.0f / 12);
  constant(1.0f / 24);
}

void WinogradLines::filter(const Line& g, const Store& store) {
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

void WinogradLines::prepare_filter_gradient() {
  prepare_filter();
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
