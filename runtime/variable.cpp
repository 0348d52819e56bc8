#include <fmt/format.h>

#include <utility>

#include "ir/eval.h"
#include "runtime/executable.h"

namespace taper::runtime {
namespace {

// The elements of a tensor in row-major order. Offsets in storage are sums of one term per axis.
class Walk {
 public:
  explicit Walk(const ir::TensorType& type) : offsets_(type.shape.size()) {
    const ir::PhysicalShape shape = ir::physical(type);
    std::vector<std::int64_t> at(type.shape.size(), 0);
    for (std::size_t axis = 0; axis < at.size(); ++axis) {
      for (at[axis] = 0; at[axis] < type.shape[axis]; ++at[axis])
        offsets_[axis].push_back(ir::offset_of(shape, at));
      at[axis] = 0;
    }
  }

  // Calls visit(offset in storage, row-major index) for every element.
  template <class Visit>
  void for_each(Visit&& visit) const {
    std::int64_t index = 0;
    from_axis(0, 0, index, visit);
  }

 private:
  template <class Visit>
  void from_axis(std::size_t axis, std::int64_t base, std::int64_t& index, Visit& visit) const {
    if (axis == offsets_.size()) return visit(base, index++);
    if (axis + 1 == offsets_.size()) {
      for (const std::int64_t offset : offsets_[axis]) visit(base + offset, index++);
      return;
    }
    for (const std::int64_t offset : offsets_[axis])
      from_axis(axis + 1, base + offset, index, visit);
  }

  std::vector<std::vector<std::int64_t>> offsets_;  // by axis and coordinate
};

}  // namespace

Variable::Variable(std::string name, ir::TensorType type)
    : name_(std::move(name)), type_(std::move(type)) {
  const bool storable = type_.dtype == ir::DType::f32 || type_.dtype == ir::DType::i8;
  if (!storable || type_.has_batch())
    throw Error(fmt::format("variable \"{}\": {} is not a static f32 or i8 tensor", name_,
                            ir::to_string(type_)));
  data_ = allocate_aligned(static_cast<std::size_t>(ir::byte_size(type_, 1)));
}

std::vector<float> Variable::read() const {
  std::vector<float> values(static_cast<std::size_t>(ir::element_count(type_.shape, 1)));
  const auto read_as = [&]<class Element>(const Element* elements) {
    Walk(type_).for_each([&](std::int64_t offset, std::int64_t index) {
      values[static_cast<std::size_t>(index)] = static_cast<float>(elements[offset]);
    });
  };
  if (type_.dtype == ir::DType::i8)
    read_as(reinterpret_cast<const std::int8_t*>(data_.get()));
  else
    read_as(reinterpret_cast<const float*>(data_.get()));
  return values;
}

void Variable::write(std::span<const float> values) {
  const auto count = static_cast<std::size_t>(ir::element_count(type_.shape, 1));
  if (values.size() != count)
    throw Error(fmt::format("variable \"{}\": {} holds {} elements but {} were given", name_,
                            ir::to_string(type_), count, values.size()));
  zeros_ = false;
  if (type_.dtype == ir::DType::i8) {
    auto* bytes = reinterpret_cast<std::int8_t*>(data_.get());
    Walk(type_).for_each([&](std::int64_t offset, std::int64_t index) {
      bytes[offset] = static_cast<std::int8_t>(
          ir::round_to(ir::DType::i8, values[static_cast<std::size_t>(index)]));
    });
  } else {
    auto* floats = reinterpret_cast<float*>(data_.get());
    Walk(type_).for_each([&](std::int64_t offset, std::int64_t index) {
      floats[offset] = values[static_cast<std::size_t>(index)];
    });
  }
}

void Variable::set_layout(ir::Layout layout) {
  if (layout == type_.layout) return;
  const std::vector<float> values = zeros_ ? std::vector<float>() : read();
  type_.layout = layout;
  data_ = allocate_aligned(static_cast<std::size_t>(ir::byte_size(type_, 1)));
  if (!zeros_) write(values);
}

}  // namespace taper::runtime
