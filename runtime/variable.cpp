#include <algorithm>
#include <span>
#include <utility>

#include "codegen/parallel.h"
#include "ir/eval.h"
#include "runtime/program.h"

namespace taper::runtime {
namespace {

constexpr std::int64_t kWorthThreads = 1 << 20;  // bytes of variables that are not zero

// The elements of a tensor in two layouts at once. Offsets in storage are sums of one term per
// axis. An axis that is blocked in one of them is cut into its blocks: the blocks are the outermost
// loop and the lanes, which are evenly spaced in both, the innermost, so that each side is read or
// written a line at a time.
class Walk {
 public:
  Walk(const ir::TensorType& a, const ir::TensorType& b) {
    const ir::PhysicalShape first = ir::physical(a), second = ir::physical(b);
    const auto rank = a.shape.size();
    const int blocked = std::max(first.blocked_axis, second.blocked_axis);
    inner_ = blocked >= 0 ? static_cast<std::size_t>(blocked) : rank - 1;
    ir::Indices at(rank, 0);
    for (std::size_t axis = 0; axis < rank; ++axis) {
      std::vector<Offsets> offsets;
      for (at[axis] = 0; at[axis] < a.shape[axis]; ++at[axis])
        offsets.push_back({ir::offset_of(first, at), ir::offset_of(second, at)});
      at[axis] = 0;
      (axis == inner_ ? lanes_ : axes_.emplace_back()) = std::move(offsets);
    }
    if (rank == 0) lanes_ = {{0, 0}};
    block_ = blocked >= 0 ? static_cast<std::size_t>(ir::kBlock) : lanes_.size();
    const int grouped = std::max(first.grouped_axis, second.grouped_axis);
    if (static_cast<int>(inner_) == grouped) block_ = static_cast<std::size_t>(ir::kGroup);
  }

  // Calls visit(offset in the one, offset in the other) for every element.
  template <class Visit>
  void for_each(Visit&& visit) const {
    for (std::size_t at = 0; at < lanes_.size(); at += block_) {
      const std::size_t count = std::min(block_, lanes_.size() - at);
      const Offsets step = count > 1 ? lanes_[at + 1] - lanes_[at] : Offsets{};
      from_axis(0, lanes_[at], step, count, visit);
    }
  }

 private:
  struct Offsets {
    std::int64_t first = 0, second = 0;
    Offsets operator+(Offsets o) const { return {first + o.first, second + o.second}; }
    Offsets operator-(Offsets o) const { return {first - o.first, second - o.second}; }
  };

  template <class Visit>
  void from_axis(std::size_t axis, Offsets base, Offsets step, std::size_t lanes,
                 Visit& visit) const {
    if (axis == axes_.size()) {
      for (; lanes > 0; --lanes, base = base + step) visit(base.first, base.second);
      return;
    }
    for (const Offsets at : axes_[axis]) from_axis(axis + 1, base + at, step, lanes, visit);
  }

  std::vector<std::vector<Offsets>> axes_;  // by coordinate, of all axes but one
  std::vector<Offsets> lanes_;              // of that one
  std::size_t inner_ = 0, block_ = 1;
};

template <class Element>
void copy(const ir::TensorType& from, const std::byte* source, const ir::TensorType& to,
          std::byte* target) {
  const auto* read = reinterpret_cast<const Element*>(source);
  auto* write = reinterpret_cast<Element*>(target);
  Walk(from, to).for_each(
      [&](std::int64_t there, std::int64_t here) { write[here] = read[there]; });
}

}  // namespace

Variable::Variable(std::string name, ir::TensorType type)
    : name_(std::move(name)), type_(std::move(type)) {
  const bool storable = type_.dtype == ir::DType::f32 || type_.dtype == ir::DType::i8;
  if (!storable || type_.has_batch())
    throw Error("variable \"{}\": {} is not a static f32 or i8 tensor", name_,
                ir::to_string(type_));
  data_ = allocate_aligned(static_cast<std::size_t>(ir::byte_size(type_, 1)));
}

std::vector<float> Variable::read() const {
  std::vector<float> values(static_cast<std::size_t>(ir::element_count(type_.shape, 1)));
  const auto read_as = [&]<class Element>(const Element* elements) {
    Walk(type_, ir::concrete(type_, 1)).for_each([&](std::int64_t offset, std::int64_t index) {
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
    throw Error("variable \"{}\": {} holds {} elements but {} were given", name_,
                ir::to_string(type_), count, values.size());
  if (type_.dtype == ir::DType::i8) {
    auto* bytes = static_cast<std::int8_t*>(data());
    Walk(type_, ir::concrete(type_, 1)).for_each([&](std::int64_t offset, std::int64_t index) {
      bytes[offset] = static_cast<std::int8_t>(
          ir::round_to(ir::DType::i8, values[static_cast<std::size_t>(index)]));
    });
  } else {
    auto* floats = static_cast<float*>(data());
    Walk(type_, ir::concrete(type_, 1)).for_each([&](std::int64_t offset, std::int64_t index) {
      floats[offset] = values[static_cast<std::size_t>(index)];
    });
  }
}

void Variable::set_layout(ir::Layout layout) {
  if (layout == type_.layout) return;
  ir::TensorType type = type_;
  type.layout = layout;
  auto data = allocate_aligned(static_cast<std::size_t>(ir::byte_size(type, 1)));
  if (!zeros_) {
    const auto copy_as = type.dtype == ir::DType::i8 ? copy<std::int8_t> : copy<float>;
    copy_as(type_, data_.get(), type, data.get());
  }
  type_ = std::move(type);
  data_ = std::move(data);
}

void set_layouts(const Plan& plan, const Variables& variables, int threads) {
  std::map<Variable*, ir::Layout> layouts;
  std::int64_t bytes = 0;
  for (const Buffer& buffer : plan.buffers) {
    if (buffer.place != Buffer::Place::variable) continue;
    Variable& variable = *variables.at(buffer.name);
    if (variable.type().layout == buffer.type.layout) continue;
    layouts[&variable] = buffer.type.layout;
    if (!variable.is_zero()) bytes += ir::byte_size(buffer.type, 1);
  }
  const std::vector<std::pair<Variable*, ir::Layout>> all(layouts.begin(), layouts.end());
  const int useful = bytes < kWorthThreads ? 1 : threads;
  codegen::for_each_in_parallel(all.size(), static_cast<std::size_t>(useful),
                                [&](auto i) { all[i].first->set_layout(all[i].second); });
}

}  // namespace taper::runtime
