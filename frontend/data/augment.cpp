#include "frontend/data/augment.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "ir/error.h"
#include "ir/eval.h"

namespace taper::data {
namespace {

struct Extent {
  std::int64_t channels, rows, columns;
  std::int64_t pixels() const { return channels * rows * columns; }
};

Extent extent_of(const ir::Shape& shape) {
  const std::size_t last = shape.size() - 1;
  return {shape.size() == 3 ? shape[0] : 1, shape[last - 1], shape[last]};
}

// One image on its way through the steps: from the front buffer to the back one, then swapped.
template <class T>
class Canvas {
 public:
  Canvas(Extent extent, std::vector<std::byte>& front, std::vector<std::byte>& back)
      : extent_(extent), front_(front), back_(back) {}

  void step(const Shift& shift, Draws& draws) {
    const std::int64_t down = draws.integer(-shift.pixels, shift.pixels);
    const std::int64_t right = draws.integer(-shift.pixels, shift.pixels);
    crop(-down, -right, extent_.rows, extent_.columns, shift.fill);
  }

  void step(const HorizontalFlip& flip, Draws& draws) {
    if (draws.uniform() >= flip.probability) return;
    T* row = pixels(front_);
    for (std::int64_t i = 0; i < extent_.channels * extent_.rows; ++i, row += extent_.columns)
      std::reverse(row, row + extent_.columns);
  }

  void step(const RandomCrop& window, Draws& draws) {
    const std::int64_t rows = extent_.rows + 2 * window.padding - window.rows;
    const std::int64_t columns = extent_.columns + 2 * window.padding - window.columns;
    const std::int64_t top = draws.integer(0, rows) - window.padding;
    const std::int64_t left = draws.integer(0, columns) - window.padding;
    crop(top, left, window.rows, window.columns, window.fill);
  }

  void step(const Rotation& rotation, Draws& draws) {
    const double degrees = rotation.degrees * (2 * draws.uniform() - 1);
    rotate(degrees * std::numbers::pi / 180, rotation.fill);
  }

 private:
  static T* pixels(std::vector<std::byte>& buffer) { return reinterpret_cast<T*>(buffer.data()); }

  T* resized_back(Extent extent) {
    back_.resize(static_cast<std::size_t>(extent.pixels()) * sizeof(T));
    return pixels(back_);
  }

  // rows x columns from (top, left), which may lie outside.
  void crop(std::int64_t top, std::int64_t left, std::int64_t rows, std::int64_t columns,
            double fill) {
    const Extent result{extent_.channels, rows, columns};
    T* to = resized_back(result);
    std::fill_n(to, result.pixels(), static_cast<T>(fill));
    const std::int64_t first = std::clamp<std::int64_t>(-left, 0, columns);
    const std::int64_t last = std::clamp<std::int64_t>(extent_.columns - left, first, columns);
    for (std::int64_t c = 0; c < extent_.channels; ++c)
      for (std::int64_t r = 0; r < rows; ++r) {
        if (r + top < 0 || r + top >= extent_.rows) continue;
        const T* from = pixels(front_) + (c * extent_.rows + r + top) * extent_.columns;
        // An empty range may lie anywhere: no pointer is made of it.
        if (first < last)
          std::copy(from + left + first, from + left + last, to + (c * rows + r) * columns + first);
      }
    extent_ = result;
    front_.swap(back_);
  }

  void rotate(double angle, double fill) {
    T* to = resized_back(extent_);
    const double sine = std::sin(angle), cosine = std::cos(angle);
    const double middle_y = static_cast<double>(extent_.rows - 1) / 2;
    const double middle_x = static_cast<double>(extent_.columns - 1) / 2;
    for (std::int64_t c = 0; c < extent_.channels; ++c)
      for (std::int64_t r = 0; r < extent_.rows; ++r)
        for (std::int64_t column = 0; column < extent_.columns; ++column) {
          // Where this pixel was before the turn; rows count downwards.
          const double y = static_cast<double>(r) - middle_y;
          const double x = static_cast<double>(column) - middle_x;
          const double value =
              at(c, middle_y + cosine * y + sine * x, middle_x + cosine * x - sine * y, fill);
          *to++ =
              std::is_integral_v<T> ? static_cast<T>(std::lround(value)) : static_cast<T>(value);
        }
    front_.swap(back_);
  }

  double at(std::int64_t channel, double y, double x, double fill) {
    const double top = std::floor(y), left = std::floor(x);
    const double down = y - top, right = x - left;
    const auto row = static_cast<std::int64_t>(top), column = static_cast<std::int64_t>(left);
    const double upper =
        mix(pixel(channel, row, column, fill), pixel(channel, row, column + 1, fill), right);
    const double lower = mix(pixel(channel, row + 1, column, fill),
                             pixel(channel, row + 1, column + 1, fill), right);
    return mix(upper, lower, down);
  }
  static double mix(double a, double b, double share) { return a + (b - a) * share; }
  double pixel(std::int64_t channel, std::int64_t row, std::int64_t column, double fill) {
    if (row < 0 || row >= extent_.rows || column < 0 || column >= extent_.columns) return fill;
    return static_cast<double>(
        pixels(front_)[(channel * extent_.rows + row) * extent_.columns + column]);
  }

  Extent extent_;
  std::vector<std::byte>& front_;
  std::vector<std::byte>& back_;
};

template <class T>
void apply_all(const std::vector<Augmentation>& steps, Canvas<T> canvas, Draws draws) {
  for (const Augmentation& step : steps)
    std::visit([&](const auto& which) { canvas.step(which, draws); }, step);
}

// ---- Checks, and the shape after each step ----

bool is_fill(double fill, ir::DType dtype) {
  return dtype == ir::DType::u8 ? fill >= 0 && fill <= 255 : std::isfinite(fill);
}

[[noreturn]] void refuse(const char* name, const ir::Shape& image) {
  throw Error("{}: its numbers make no sense for images of {}", name, ir::to_string(image));
}

void advance(const Shift& shift, SampleType& image) {
  const Extent extent = extent_of(image.shape);
  if (shift.pixels < 0 || shift.pixels > std::max(extent.rows, extent.columns) ||
      !is_fill(shift.fill, image.dtype))
    refuse("Shift", image.shape);
}
void advance(const HorizontalFlip& flip, SampleType& image) {
  if (!(flip.probability >= 0 && flip.probability <= 1)) refuse("HorizontalFlip", image.shape);
}
void advance(const RandomCrop& crop, SampleType& image) {
  const Extent extent = extent_of(image.shape);
  const std::int64_t most = extent.rows + extent.columns;
  if (crop.padding < 0 || crop.padding > most || crop.rows < 1 || crop.columns < 1 ||
      crop.rows > extent.rows + 2 * crop.padding ||
      crop.columns > extent.columns + 2 * crop.padding || !is_fill(crop.fill, image.dtype))
    refuse("RandomCrop", image.shape);
  image.shape[image.shape.size() - 2] = crop.rows;
  image.shape[image.shape.size() - 1] = crop.columns;
}
void advance(const Rotation& rotation, SampleType& image) {
  if (!(rotation.degrees >= 0 && rotation.degrees <= 180) || !is_fill(rotation.fill, image.dtype))
    refuse("Rotation", image.shape);
}

}  // namespace

double Draws::uniform() {
  const auto step = static_cast<std::uint32_t>(Purpose::augmentation);
  return static_cast<double>(ir::philox(index_++, step, epoch_, seed_)) * 0x1p-32;
}

std::int64_t Draws::integer(std::int64_t low, std::int64_t high) {
  return low + static_cast<std::int64_t>(uniform() * static_cast<double>(high - low + 1));
}

Augmenter::Augmenter(std::vector<Augmentation> steps, const SampleType& input, std::uint64_t seed)
    : steps_(std::move(steps)), input_(input), output_(input), seed_(seed) {
  if (steps_.empty()) return;
  const bool image = input.shape.size() == 2 || input.shape.size() == 3;
  if (!image || (input.dtype != ir::DType::u8 && input.dtype != ir::DType::f32))
    throw Error("augmentation: samples of {}{} are no images of u8 or f32", ir::name(input.dtype),
                ir::to_string(input.shape));
  for (const Augmentation& step : steps_)
    std::visit([&](const auto& which) { advance(which, output_); }, step);
}

void Augmenter::apply(std::uint64_t epoch, std::int64_t sample, std::vector<std::byte>& image) {
  const Draws draws(seed_, epoch, sample);
  const Extent extent = extent_of(input_.shape);
  if (input_.dtype == ir::DType::u8)
    apply_all(steps_, Canvas<std::uint8_t>(extent, image, scratch_), draws);
  else
    apply_all(steps_, Canvas<float>(extent, image, scratch_), draws);
}

}  // namespace taper::data
