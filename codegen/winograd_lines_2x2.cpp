// The lines of F(2x2, 3x3): additions alone, and halves of filters.
#include "codegen/winograd_lines.h"

namespace taper::codegen {
namespace {

class Input2x2 final : public GroupedTransform {
 public:
  explicit Input2x2(Masm& m) : GroupedTransform(m, {}, {{0}, {1, 2}, {3}}) {}

  std::vector<int> needs(const Group& group) const override {
    if (group[0] == 0) return {0, 2};
    if (group[0] == 3) return {1, 3};
    return {1, 2};
  }

  // d0 - d2, d2 +- d1, d1 - d3.
  Line values(const Group& group, const Line& d) override {
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
};

class Output2x2 final : public GroupedTransform {
 public:
  explicit Output2x2(Masm& m) : GroupedTransform(m, {}, {{0}, {1}}) {}

  std::vector<int> needs(const Group& group) const override {
    if (group[0] == 0) return {0, 1, 2};
    return {1, 2, 3};
  }

  // m0 + m1 + m2, m1 - m2 - m3.
  Line values(const Group& group, const Line& m) override {
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
};

class Filter2x2 final : public LineTransform {
 public:
  explicit Filter2x2(Masm& m) : LineTransform(m, {1.0f / 2}) {}

  // g0, (g0 + g2 +- g1) / 2, g2.
  void apply(const Line& g, const Store& store) override {
    const Vec half = constant(0), sum = temporary(), odd = temporary(), t = temporary();
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
};

}  // namespace

WinogradLines lines_of_2x2(Masm& m) {
  return {.input = std::make_unique<Input2x2>(m),
          .output = std::make_unique<Output2x2>(m),
          .filter = std::make_unique<Filter2x2>(m),
          .gradient = nullptr,
          .filter_gradient = nullptr};
}

}  // namespace taper::codegen
