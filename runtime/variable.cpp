#include <fmt/format.h>

#include <utility>

#include "ir/eval.h"
#include "runtime/executable.h"

namespace taper::runtime {
namespace {

// Calls visit(offset in storage, row-major index) for every element.
template <class Visit>
void for_each_element(const ir::TensorType& type, Visit&& visit) {
  const ir::PhysicalShape walk = ir::physical(type);
  const std::int64_t count = ir::element_count(type.shape, 1);
  std::vector<std::int64_t> at(type.shape.size(), 0);
  for (std::int64_t i = 0; i < count; ++i) {
    visit(ir::offset_of(walk, at), i);
    for (std::size_t axis = at.size(); axis-- > 0;) {
      if (++at[axis] < type.shape[axis]) break;
      at[axis] = 0;
    }
  }
}

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
  const auto* floats = reinterpret_cast<const float*>(data_.get());
  const auto* bytes = reinterpret_cast<const std::int8_t*>(data_.get());
  for_each_element(type_, [&](std::int64_t offset, std::int64_t index) {
    const bool narrow = type_.dtype == ir::DType::i8;
    values[static_cast<std::size_t>(index)] =
        narrow ? static_cast<float>(bytes[offset]) : floats[offset];
  });
  return values;
}

void Variable::write(std::span<const float> values) {
  const auto count = static_cast<std::size_t>(ir::element_count(type_.shape, 1));
  if (values.size() != count)
    throw Error(fmt::format("variable \"{}\": {} holds {} elements but {} were given", name_,
                            ir::to_string(type_), count, values.size()));
  auto* floats = reinterpret_cast<float*>(data_.get());
  auto* bytes = reinterpret_cast<std::int8_t*>(data_.get());
  for_each_element(type_, [&](std::int64_t offset, std::int64_t index) {
    const float value = values[static_cast<std::size_t>(index)];
    if (type_.dtype == ir::DType::i8)
      bytes[offset] = static_cast<std::int8_t>(ir::round_to(ir::DType::i8, value));
    else
      floats[offset] = value;
  });
}

void Variable::set_layout(ir::Layout layout) {
  if (layout == type_.layout) return;
  const std::vector<float> values = read();
  type_.layout = layout;
  data_ = allocate_aligned(static_cast<std::size_t>(ir::byte_size(type_, 1)));
  write(values);
}

}  // namespace taper::runtime
