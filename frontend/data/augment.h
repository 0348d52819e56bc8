// Augmentation: random changes of images, each a function of (seed, epoch, sample index) alone, so
// that it depends on neither threads nor batches nor what was loaded before.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "frontend/data/dataset.h"

namespace taper::data {

// Images are u8 or f32, [rows, columns] or [channels, rows, columns]. `fill` is the value of what
// lies outside, in the units of the stored image.

// Moves down and right by two numbers, each uniform in -pixels..pixels, drawn in that order.
struct Shift {
  std::int64_t pixels;
  double fill = 0;
};
// Mirrors left and right.
struct HorizontalFlip {
  double probability = 0.5;
};
// Surrounds the image with `padding` pixels and cuts rows x columns out of it: the first row, then
// the first column are drawn, uniformly. The result may have another size than the image.
struct RandomCrop {
  std::int64_t rows, columns;
  std::int64_t padding = 0;
  double fill = 0;
};
// Turns about the centre, counter-clockwise by an angle uniform in [-degrees, degrees), with
// bilinear interpolation.
struct Rotation {
  double degrees;
  double fill = 0;
};
using Augmentation = std::variant<Shift, HorizontalFlip, RandomCrop, Rotation>;

// The random numbers of one sample in one epoch, in the order that they are drawn.
class Draws {
 public:
  Draws(std::uint64_t seed, std::uint64_t epoch, std::int64_t sample)
      : seed_(seed), epoch_(epoch), index_(static_cast<std::uint64_t>(sample) << 16) {}
  double uniform();                                           // [0, 1), a multiple of 2^-32
  std::int64_t integer(std::int64_t low, std::int64_t high);  // low..high

 private:
  std::uint64_t seed_, epoch_, index_;
};

// A list of augmentations, applied in order to samples of one type. Not for concurrent use.
class Augmenter {
 public:
  // Throws taper::Error when the samples are no images or a number makes no sense for them.
  Augmenter(std::vector<Augmentation> steps, const SampleType& input, std::uint64_t seed);

  const SampleType& output() const { return output_; }
  bool empty() const { return steps_.empty(); }
  // The sample is in `image`, of the input's size; afterwards it has the output's.
  void apply(std::uint64_t epoch, std::int64_t sample, std::vector<std::byte>& image);

 private:
  std::vector<Augmentation> steps_;
  SampleType input_, output_;
  std::uint64_t seed_;
  std::vector<std::byte> scratch_;
};

}  // namespace taper::data
