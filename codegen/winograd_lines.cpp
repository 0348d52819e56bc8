#include "codegen/winograd_lines.h"

namespace taper::codegen {

void LineTransform::prepare(Constants& constants) {
  for (const float value : needed_) {
    if (constants.contains(value)) continue;
    const Vec v = constants[value] = m_.vec();
    m_.constant(v, value);
  }
  constants_ = &constants;
}

Vec LineTransform::temporary() {
  temporaries_.push_back(m_.vec());
  return temporaries_.back();
}

void LineTransform::done() {
  for (const Vec v : temporaries_) m_.release(v);
  temporaries_.clear();
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

}  // namespace taper::codegen
