#include "codegen/winograd_lines.h"

namespace taper::codegen {

void LineTransform::prepare() {
  for (const float value : values_) {
    constants_.push_back(m_.vec());
    m_.constant(constants_.back(), value);
  }
}

void LineTransform::release() {
  for (const Vec v : constants_) m_.release(v);
  constants_.clear();
}

Vec LineTransform::temporary() {
  temporaries_.push_back(m_.vec());
  return temporaries_.back();
}

void LineTransform::done() {
  for (const Vec v : temporaries_) m_.release(v);
  temporaries_.clear();
}

void GroupedTransform::apply(const Line& line, const Store& store) {
  for (const Group& group : groups_) {
    const Line results = values(group, line);
    for (std::size_t i = 0; i < group.size(); ++i) {
      store(group[i], results[i]);
      m_.release(results[i]);
    }
  }
}

GroupedTransform::Line GroupedTransform::sums_and_differences(const Group& group, Vec even,
                                                              Vec odd) {
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
