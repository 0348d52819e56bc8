// Augmentation: what each step does to an image, and that it depends on (seed, epoch, index) alone.
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <set>
#include <vector>

#include "frontend/data/augment.h"
#include "ir/error.h"

namespace taper::data {
namespace {

using Bytes = std::vector<std::byte>;

template <class T>
struct Image {
  std::int64_t channels, rows, columns;
  std::vector<T> pixels;
  T at(std::int64_t c, std::int64_t y, std::int64_t x, T fill) const {
    if (y < 0 || y >= rows || x < 0 || x >= columns) return fill;
    return pixels[static_cast<std::size_t>((c * rows + y) * columns + x)];
  }
};

template <class T>
Image<T> numbered(std::int64_t channels, std::int64_t rows, std::int64_t columns) {
  Image<T> image{channels, rows, columns, {}};
  for (std::int64_t i = 0; i < channels * rows * columns; ++i)
    image.pixels.push_back(static_cast<T>(1 + i % 200));
  return image;
}

template <class T>
std::vector<T> augmented(const std::vector<Augmentation>& steps, const Image<T>& image,
                         std::uint64_t epoch, std::int64_t sample, std::uint64_t seed = 5) {
  const ir::DType dtype = std::is_same_v<T, float> ? ir::DType::f32 : ir::DType::u8;
  Augmenter augmenter(steps, {dtype, {image.channels, image.rows, image.columns}}, seed);
  const auto bytes = std::as_bytes(std::span(image.pixels));
  Bytes buffer(bytes.begin(), bytes.end());
  augmenter.apply(epoch, sample, buffer);
  EXPECT_EQ(buffer.size(), augmenter.output().bytes());
  const auto* first = reinterpret_cast<const T*>(buffer.data());
  return {first, first + buffer.size() / sizeof(T)};
}

template <class T>
void expect_shifts_by_its_draws() {
  const auto image = numbered<T>(2, 5, 7);
  std::set<std::pair<std::int64_t, std::int64_t>> seen;
  for (std::int64_t sample = 0; sample < 200; ++sample) {
    const auto result = augmented<T>({Shift{2, 9}}, image, 3, sample);
    Draws draws(5, 3, sample);
    const std::int64_t down = draws.integer(-2, 2);
    const std::int64_t right = draws.integer(-2, 2);
    seen.insert({down, right});
    std::size_t i = 0;
    for (std::int64_t c = 0; c < 2; ++c)
      for (std::int64_t y = 0; y < 5; ++y)
        for (std::int64_t x = 0; x < 7; ++x)
          ASSERT_EQ(result[i++], image.at(c, y - down, x - right, 9)) << down << " " << right;
  }
  EXPECT_EQ(seen.size(), 25u);
}

TEST(Augment, ShiftMovesByWhatIsDrawnBothWays) {
  expect_shifts_by_its_draws<std::uint8_t>();
  expect_shifts_by_its_draws<float>();
}

TEST(Augment, ShiftBeyondTheImageLeavesTheFill) {
  const auto image = numbered<std::uint8_t>(1, 2, 2);
  bool emptied = false;
  for (std::int64_t sample = 0; sample < 100; ++sample) {
    const auto result = augmented<std::uint8_t>({Shift{2, 77}}, image, 0, sample);
    emptied |= result == std::vector<std::uint8_t>{77, 77, 77, 77};
  }
  EXPECT_TRUE(emptied);
}

TEST(Augment, FlipMirrorsAboutHalfOfTheSamples) {
  const auto image = numbered<std::uint8_t>(3, 4, 5);
  std::vector<std::uint8_t> mirrored;
  for (std::int64_t c = 0; c < 3; ++c)
    for (std::int64_t y = 0; y < 4; ++y)
      for (std::int64_t x = 0; x < 5; ++x) mirrored.push_back(image.at(c, y, 4 - x, 0));
  int flips = 0;
  for (std::int64_t sample = 0; sample < 1000; ++sample) {
    const auto result = augmented<std::uint8_t>({HorizontalFlip{}}, image, 0, sample);
    ASSERT_TRUE(result == mirrored || result == image.pixels);
    flips += result == mirrored;
  }
  EXPECT_GT(flips, 430);
  EXPECT_LT(flips, 570);
  EXPECT_EQ(augmented<std::uint8_t>({HorizontalFlip{1}}, image, 0, 0), mirrored);
  EXPECT_EQ(augmented<std::uint8_t>({HorizontalFlip{0}}, image, 0, 0), image.pixels);
}

TEST(Augment, RandomCropCutsEveryWindowOfThePaddedImage) {
  const auto image = numbered<std::uint8_t>(2, 4, 6);
  std::set<std::pair<std::int64_t, std::int64_t>> seen;
  for (std::int64_t sample = 0; sample < 300; ++sample) {
    const auto result = augmented<std::uint8_t>({RandomCrop{3, 5, 1, 4}}, image, 1, sample);
    Draws draws(5, 1, sample);
    const std::int64_t top = draws.integer(0, 3) - 1;
    const std::int64_t left = draws.integer(0, 3) - 1;
    seen.insert({top, left});
    ASSERT_EQ(result.size(), 2u * 3 * 5);
    std::size_t i = 0;
    for (std::int64_t c = 0; c < 2; ++c)
      for (std::int64_t y = 0; y < 3; ++y)
        for (std::int64_t x = 0; x < 5; ++x)
          ASSERT_EQ(result[i++], image.at(c, top + y, left + x, 4));
  }
  EXPECT_EQ(seen.size(), 16u);
}

// Bilinear interpolation is exact on a linear function.
TEST(Augment, RotationTurnsAPlaneByTheAngleDrawn) {
  constexpr std::int64_t kSide = 21;
  Image<float> image{1, kSide, kSide, {}};
  for (std::int64_t y = 0; y < kSide; ++y)
    for (std::int64_t x = 0; x < kSide; ++x)
      image.pixels.push_back(static_cast<float>(3 * (x - 10) - 2 * (y - 10)));
  for (std::int64_t sample = 0; sample < 20; ++sample) {
    const auto result = augmented<float>({Rotation{90, 1000}}, image, 2, sample);
    const double angle = 90 * (2 * Draws(5, 2, sample).uniform() - 1) * std::numbers::pi / 180;
    for (std::int64_t y = 0; y < kSide; ++y)
      for (std::int64_t x = 0; x < kSide; ++x) {
        const auto right = static_cast<double>(x - 10), up = static_cast<double>(10 - y);
        if (right * right + up * up > 81) continue;
        // The point that a counter-clockwise turn brings here.
        const double from_right = std::cos(angle) * right + std::sin(angle) * up;
        const double from_up = std::cos(angle) * up - std::sin(angle) * right;
        ASSERT_NEAR(result[static_cast<std::size_t>(y * kSide + x)], 3 * from_right + 2 * from_up,
                    1e-4)
            << x << " " << y;
      }
    EXPECT_EQ(result[10 * kSide + 10], 0);
  }
}

TEST(Augment, RotationKeepsBytesInRangeAndByNothingChangesNothing) {
  const auto image = numbered<std::uint8_t>(3, 6, 9);
  EXPECT_EQ(augmented<std::uint8_t>({Rotation{0, 255}}, image, 0, 3), image.pixels);
  const Image<std::uint8_t> white{1, 8, 8, std::vector<std::uint8_t>(64, 255)};
  EXPECT_EQ(augmented<std::uint8_t>({Rotation{180, 255}}, white, 0, 3), white.pixels);
}

TEST(Augment, IsAFunctionOfSeedEpochAndSample) {
  const auto image = numbered<std::uint8_t>(1, 12, 12);
  const std::vector<Augmentation> steps{Shift{3}, HorizontalFlip{}, Rotation{30},
                                        RandomCrop{10, 10, 1}};
  const auto reference = augmented<std::uint8_t>(steps, image, 4, 17);
  Augmenter used(steps, {ir::DType::u8, {12, 12}}, 5);
  const auto bytes = std::as_bytes(std::span(image.pixels));
  for (const std::int64_t sample : {3, 99, 17}) {
    Bytes buffer(bytes.begin(), bytes.end());
    used.apply(4, sample, buffer);
    const auto* first = reinterpret_cast<const std::uint8_t*>(buffer.data());
    const std::vector<std::uint8_t> result(first, first + buffer.size());
    EXPECT_EQ(result == reference, sample == 17);
  }
  EXPECT_NE(augmented<std::uint8_t>(steps, image, 5, 17), reference);
  EXPECT_NE(augmented<std::uint8_t>(steps, image, 4, 17, 6), reference);
}

TEST(Draws, NumbersAreUniformAndBothEndsOccur) {
  std::vector<int> counts(7, 0);
  for (std::int64_t sample = 0; sample < 7000; ++sample) {
    const std::int64_t value = Draws(1, 0, sample).integer(-3, 3);
    ASSERT_GE(value, -3);
    ASSERT_LE(value, 3);
    ++counts[static_cast<std::size_t>(value + 3)];
  }
  for (const int count : counts) EXPECT_NEAR(count, 1000, 150);
}

TEST(Augment, RefusesWhatMakesNoSense) {
  const SampleType image{ir::DType::u8, {4, 6}};
  const auto refused = [](const Augmentation& step, const SampleType& type) {
    EXPECT_THROW(Augmenter({step}, type, 0), Error);
  };
  refused(Shift{-1}, image);
  refused(Shift{7}, image);
  refused(Shift{1, 256}, image);
  refused(Shift{1, -1}, image);
  refused(HorizontalFlip{1.5}, image);
  refused(HorizontalFlip{std::nan("")}, image);
  refused(RandomCrop{5, 6}, image);
  refused(RandomCrop{0, 6}, image);
  refused(RandomCrop{4, 6, -1}, image);
  refused(Rotation{181}, image);
  refused(Rotation{std::nan("")}, image);
  refused(HorizontalFlip{}, {ir::DType::i32, {4, 6}});
  refused(HorizontalFlip{}, {ir::DType::u8, {4}});
  refused(HorizontalFlip{}, {ir::DType::u8, {2, 3, 4, 6}});
  EXPECT_NO_THROW(Augmenter({RandomCrop{6, 8, 1}}, image, 0));
}

}  // namespace
}  // namespace taper::data
