// Data sets: samples of any rank and element type, each with a target, in memory or from a
// callback.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "frontend/compile.h"
#include "ir/type.h"

namespace taper::data {

// One sample's input or target; the shape {} is one number.
struct SampleType {
  ir::DType dtype = ir::DType::f32;
  ir::Shape shape;

  std::size_t bytes() const;
  bool operator==(const SampleType&) const = default;
};

// Samples in memory, one after another, row-major. Copies share the memory.
class Array {
 public:
  // Throws taper::Error when the values are no whole number of samples of that shape.
  template <Element T>
  Array(std::vector<T> values, ir::Shape sample = {})
      : Array(InputView(values).dtype, std::move(sample), std::as_bytes(std::span(values))) {
    if (!owner_) owner_ = std::make_shared<const std::vector<T>>(std::move(values));
  }

  std::int64_t size() const { return size_; }
  const SampleType& sample() const { return sample_; }
  std::span<const std::byte> operator[](std::int64_t index) const {
    return bytes_.subspan(static_cast<std::size_t>(index) * sample_bytes_, sample_bytes_);
  }

 private:
  // Copies large ones into huge pages: shuffled samples come from anywhere, and with small pages
  // each would wait for address translation first.
  Array(ir::DType dtype, ir::Shape sample, std::span<const std::byte> bytes);

  SampleType sample_;
  std::int64_t size_ = 0;
  std::size_t sample_bytes_ = 0;
  std::span<const std::byte> bytes_;  // of *owner_: moving a vector keeps its elements in place
  std::shared_ptr<const void> owner_;
};

// Samples 0 to size() - 1, immutable. A copy is cheap and shares the samples.
class Dataset {
 public:
  // Writes sample `index`, both spans exactly as large as their types. Loaders with read-ahead
  // call it on their own thread, one call at a time for each loader. It may throw.
  using Read = std::function<void(std::int64_t index, std::span<std::byte> input,
                                  std::span<std::byte> target)>;

  // Throw taper::Error when the counts differ, and for element types that no input can have.
  Dataset(const Array& inputs, const Array& targets);
  Dataset(std::int64_t size, SampleType input, SampleType target, Read read);

  std::int64_t size() const { return size_; }
  const SampleType& input() const { return input_; }
  const SampleType& target() const { return target_; }
  void read(std::int64_t index, std::span<std::byte> input, std::span<std::byte> target) const;

  // Where a sample lies while the set or a copy of it lives; nothing when a callback makes it.
  struct Sample {
    std::span<const std::byte> input, target;
  };
  std::optional<Sample> in_memory(std::int64_t index) const;

  // The samples of these indices, in that order; one outside of the set is a taper::Error.
  Dataset subset(std::vector<std::int64_t> indices) const;
  // Two sets without a common sample, the first with round(fraction * size()) of them, both in the
  // order of this set. The same seed picks the same ones. Throws taper::Error when one would be
  // empty.
  std::pair<Dataset, Dataset> split(double fraction, std::uint64_t seed) const;

 private:
  std::int64_t index_of(std::int64_t sample) const {
    return indices_ ? (*indices_)[static_cast<std::size_t>(sample)] : sample;
  }

  std::int64_t size_;
  SampleType input_, target_;
  std::shared_ptr<const Read> read_;                          // or
  std::optional<std::pair<Array, Array>> arrays_;             // inputs and targets
  std::shared_ptr<const std::vector<std::int64_t>> indices_;  // null: all
};

// Uses of one seed, whose random numbers must differ: the step of their Philox counters.
enum class Purpose : std::uint32_t { epoch = 0, augmentation = 1, split = 2 };

// 0..count-1 in an order that depends on the seed, epoch and purpose alone: Fisher-Yates on Philox.
std::vector<std::uint32_t> shuffled(std::int64_t count, std::uint64_t seed, std::uint64_t epoch,
                                    Purpose purpose);

}  // namespace taper::data
