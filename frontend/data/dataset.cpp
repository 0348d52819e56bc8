#include "frontend/data/dataset.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "ir/error.h"
#include "ir/eval.h"
#include "runtime/aligned.h"

namespace taper::data {
namespace {

constexpr std::int64_t kMostSamples = std::numeric_limits<std::uint32_t>::max();

void check(const SampleType& type, const char* what) {
  for (const ir::DType dtype : {ir::DType::f32, ir::DType::u8, ir::DType::i8, ir::DType::i32})
    if (type.dtype == dtype) return;
  throw Error("Dataset: {} of {} cannot be given to a compiled function", what,
              ir::name(type.dtype));
}

}  // namespace

std::size_t SampleType::bytes() const {
  return static_cast<std::size_t>(ir::element_count(shape, 1)) * ir::byte_size(dtype);
}

Array::Array(ir::DType dtype, ir::Shape sample, std::span<const std::byte> bytes)
    : sample_{dtype, std::move(sample)}, sample_bytes_(sample_.bytes()), bytes_(bytes) {
  if (sample_bytes_ == 0 || bytes.size() % sample_bytes_ != 0)
    throw Error("Array: {} values make no whole number of samples of {}",
                bytes.size() / ir::byte_size(dtype), ir::to_string(sample_.shape));
  size_ = static_cast<std::int64_t>(bytes.size() / sample_bytes_);
  if (bytes.size() < runtime::kHugePage) return;
  std::shared_ptr<std::byte[]> copy(runtime::allocate_aligned(bytes.size()));
  std::ranges::copy(bytes, copy.get());
  bytes_ = {copy.get(), bytes.size()};
  owner_ = std::move(copy);
}

Dataset::Dataset(std::int64_t size, SampleType input, SampleType target, Read read)
    : size_(size), input_(std::move(input)), target_(std::move(target)) {
  check(input_, "inputs");
  check(target_, "targets");
  if (size < 0 || size > kMostSamples || !read)
    throw Error("Dataset: {} samples from {} callback are no data set", size, read ? "a" : "no");
  read_ = std::make_shared<const Read>(std::move(read));
}

Dataset::Dataset(const Array& inputs, const Array& targets)
    : size_(inputs.size()),
      input_(inputs.sample()),
      target_(targets.sample()),
      arrays_(std::pair(inputs, targets)) {
  check(input_, "inputs");
  check(target_, "targets");
  if (size_ > kMostSamples) throw Error("Dataset: {} samples are too many", size_);
  if (size_ != targets.size())
    throw Error("Dataset: {} targets for {} inputs", targets.size(), size_);
}

std::optional<Dataset::Sample> Dataset::in_memory(std::int64_t index) const {
  if (!arrays_) return std::nullopt;
  const auto& [inputs, targets] = *arrays_;
  return Sample{inputs[index_of(index)], targets[index_of(index)]};
}

void Dataset::read(std::int64_t index, std::span<std::byte> input,
                   std::span<std::byte> target) const {
  const std::optional<Sample> sample = in_memory(index);
  if (!sample) return (*read_)(index_of(index), input, target);
  std::ranges::copy(sample->input, input.begin());
  std::ranges::copy(sample->target, target.begin());
}

Dataset Dataset::subset(std::vector<std::int64_t> indices) const {
  for (std::int64_t& index : indices) {
    if (index < 0 || index >= size_)
      throw Error("Dataset: subset asks for sample {} of {}", index, size_);
    index = index_of(index);
  }
  Dataset part = *this;
  part.size_ = static_cast<std::int64_t>(indices.size());
  part.indices_ = std::make_shared<const std::vector<std::int64_t>>(std::move(indices));
  return part;
}

std::pair<Dataset, Dataset> Dataset::split(double fraction, std::uint64_t seed) const {
  const double wanted = std::round(fraction * static_cast<double>(size_));
  if (!(wanted >= 1 && wanted < static_cast<double>(size_)))
    throw Error("Dataset: a split of {} samples at {} leaves one side empty", size_, fraction);
  const std::vector<std::uint32_t> order = shuffled(size_, seed, 0, Purpose::split);
  std::vector<std::int64_t> first(order.begin(), order.begin() + static_cast<std::int64_t>(wanted));
  std::vector<std::int64_t> second(order.begin() + static_cast<std::int64_t>(wanted), order.end());
  std::ranges::sort(first);
  std::ranges::sort(second);
  return {subset(std::move(first)), subset(std::move(second))};
}

std::vector<std::uint32_t> shuffled(std::int64_t count, std::uint64_t seed, std::uint64_t epoch,
                                    Purpose purpose) {
  std::vector<std::uint32_t> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), 0u);
  for (std::size_t i = order.size(); i-- > 1;) {
    // The high half of a 32x32-bit product: uniform in [0, i] up to 2^-32 * i.
    const std::uint64_t draw = ir::philox(i, static_cast<std::uint32_t>(purpose), epoch, seed);
    std::swap(order[i], order[static_cast<std::size_t>(draw * (i + 1) >> 32)]);
  }
  return order;
}

}  // namespace taper::data
