// The lines of F(2x2, 3x3): additions alone, and halves of filters.
#include "codegen/winograd_lines.h"

namespace taper::codegen {

using Line = WinogradLines::Line;

// d0 - d2, d2 +- d1, d1 - d3.
Line WinogradLines::small_input_values(const Group& group, const Line& d) {
  const Vec value = m_.vec();
  if (group[0] == 0) {
    m_.sub(value, d[0], d[2]);
  } else if (group[0] == 3) {
    m_.sub(value, d[1], d[3]);
  } else {
    m_.move(value, d[2]);
    return sums_and_differences(group, value, d[1]);
  }
  return {value};
}

// m0 + m1 + m2, m1 - m2 - m3.
Line WinogradLines::small_output_values(const Group& group, const Line& m) {
  const Vec value = m_.vec();
  if (group[0] == 0) {
    m_.add(value, m[1], m[2]);
    m_.add(value, m[0], value);
  } else {
    m_.sub(value, m[1], m[2]);
    m_.sub(value, value, m[3]);
  }
  return {value};
}

// g0, (g0 + g2 +- g1) / 2, g2.
void WinogradLines::small_filter(const Line& g, const Store& store) {
  const Vec half = constants_[0], sum = temporary(), odd = temporary(), t = temporary();
  store(0, g[0]);
  m_.add(sum, g[0], g[2]);
  m_.mul(sum, sum, half);
  m_.mul(odd, g[1], half);
  m_.add(t, sum, odd);
  store(1, t);
  m_.sub(t, sum, odd);
  store(2, t);
  store(3, g[2]);
  done();
}

}  // namespace taper::codegen
