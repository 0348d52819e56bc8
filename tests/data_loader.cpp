// Data sets in memory and from callbacks, and the loader: order, batches, position, read-ahead.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "frontend/data.h"
#include "ir/eval.h"
#include "temporary_folder.h"

namespace taper::data {
namespace {

Dataset numbered(std::int64_t count) {
  std::vector<std::uint8_t> inputs;
  std::vector<std::int32_t> labels;
  for (std::int64_t i = 0; i < count; ++i) {
    inputs.push_back(static_cast<std::uint8_t>(i));
    labels.push_back(static_cast<std::int32_t>(i));
  }
  return Dataset(inputs, labels);
}

template <class T>
std::vector<T> values(const InputView& view) {
  std::vector<std::byte> storage;
  const std::span<const std::byte> bytes = view.in_one_piece(storage);
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

// The labels of the batches that are left in the epoch.
std::vector<std::int32_t> rest(DataLoader& loader, std::vector<std::int64_t>* sizes = nullptr) {
  std::vector<std::int32_t> labels;
  for (Batch batch = loader.next(); batch.size > 0; batch = loader.next()) {
    if (sizes != nullptr) sizes->push_back(batch.size);
    const auto inputs = values<std::uint8_t>(batch.inputs);
    const auto targets = values<std::int32_t>(batch.targets);
    EXPECT_EQ(static_cast<std::int64_t>(inputs.size()), batch.size);
    EXPECT_TRUE(std::equal(inputs.begin(), inputs.end(), targets.begin(), targets.end()));
    labels.insert(labels.end(), targets.begin(), targets.end());
  }
  return labels;
}

// ---- Data sets ----

TEST(Dataset, HoldsSamplesOfAnyRankAndFloatTargets) {
  const Dataset set(Array(std::vector<float>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, {1, 3, 2}),
                    Array(std::vector<float>{.5f, 1.5f, 2.5f, 3.5f}, {2}));
  EXPECT_EQ(set.size(), 2);
  EXPECT_EQ(set.input(), (SampleType{ir::DType::f32, {1, 3, 2}}));
  DataLoader loader(set, {.batch = 2});
  const Batch batch = loader.next();
  EXPECT_EQ(batch.inputs.dtype, ir::DType::f32);
  EXPECT_EQ(values<float>(batch.inputs)[7], 7);
  EXPECT_EQ(values<float>(batch.targets)[3], 3.5f);
}

TEST(Dataset, RefusesWhatDoesNotFit) {
  EXPECT_TRUE(says(error_of([] { Array(std::vector<float>(7), {2, 2}); }), "7 values"));
  EXPECT_TRUE(says(error_of([] { Dataset(std::vector<float>(3), std::vector<std::int32_t>(2)); }),
                   "2 targets for 3 inputs"));
  const auto nothing = [](std::int64_t, std::span<std::byte>, std::span<std::byte>) {};
  const SampleType number;
  EXPECT_THROW(Dataset(3, {ir::DType::f16, {}}, number, nothing), Error);
  EXPECT_THROW(Dataset(-1, number, number, nothing), Error);
  EXPECT_THROW(Dataset(3, number, number, nullptr), Error);
  EXPECT_THROW(numbered(3).subset({0, 3}), Error);
}

TEST(Dataset, SplitsAreDisjointCompleteAndOfTheirSeed) {
  const Dataset set = numbered(100);
  const auto labels_of = [](const Dataset& part) {
    DataLoader loader(part, {.batch = 7});
    return rest(loader);
  };
  const auto [first, second] = set.split(0.8, 3);
  const auto a = labels_of(first), b = labels_of(second);
  EXPECT_EQ(a.size(), 80u);
  EXPECT_EQ(b.size(), 20u);
  EXPECT_TRUE(std::is_sorted(a.begin(), a.end()));
  std::set<std::int32_t> all(a.begin(), a.end());
  all.insert(b.begin(), b.end());
  EXPECT_EQ(all.size(), 100u);
  EXPECT_EQ(labels_of(set.split(0.8, 3).first), a);
  EXPECT_NE(labels_of(set.split(0.8, 4).first), a);
  // A split of a split still reads the original samples.
  const auto [third, fourth] = second.split(0.5, 1);
  for (const std::int32_t label : labels_of(third))
    EXPECT_TRUE(std::count(b.begin(), b.end(), label)) << label;
  EXPECT_EQ(third.size() + fourth.size(), 20);
  for (const double fraction : {0.0, 0.001, 1.0, 2.0, -1.0, std::nan("")})
    EXPECT_THROW(set.split(fraction, 0), Error) << fraction;
}

// ---- Batches ----

TEST(DataLoader, GivesEverySampleOnceWithAPartialLastBatch) {
  DataLoader loader(numbered(10), {.batch = 4, .shuffle = true, .seed = 7});
  std::vector<std::int64_t> sizes;
  const auto labels = rest(loader, &sizes);
  EXPECT_EQ(sizes, (std::vector<std::int64_t>{4, 4, 2}));
  EXPECT_EQ(loader.batches(), 3);
  EXPECT_EQ(loader.samples(), 10);
  EXPECT_EQ(std::set<std::int32_t>(labels.begin(), labels.end()).size(), 10u);
  EXPECT_EQ(loader.next().size, 0);
}

TEST(DataLoader, DropsThePartialLastBatchOnRequest) {
  DataLoader loader(numbered(10), {.batch = 4, .drop_last = true});
  EXPECT_EQ(rest(loader), (std::vector<std::int32_t>{0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(loader.batches(), 2);
  EXPECT_EQ(loader.samples(), 8);
}

TEST(DataLoader, OrderDependsOnSeedAndEpochAlone) {
  DataLoader a(numbered(50), {.batch = 8, .shuffle = true, .seed = 1});
  DataLoader b(numbered(50), {.batch = 16, .shuffle = true, .seed = 1});
  DataLoader other(numbered(50), {.batch = 8, .shuffle = true, .seed = 2});
  const auto first = rest(a);
  EXPECT_EQ(first, rest(b));
  EXPECT_NE(first, rest(other));
  a.start_epoch(1);
  EXPECT_NE(first, rest(a));
  a.start_epoch(0);
  EXPECT_EQ(first, rest(a));
}

// The order is part of what a seed means: written down from the definition.
TEST(DataLoader, OrderIsFisherYatesOnPhilox) {
  std::vector<std::int32_t> order(20);
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::int32_t>(i);
  for (std::size_t i = 19; i > 0; --i)
    std::swap(order[i], order[std::uint64_t{ir::philox(i, 0, 6, 9)} * (i + 1) >> 32]);
  DataLoader loader(numbered(20), {.batch = 20, .shuffle = true, .seed = 9});
  loader.start_epoch(6);
  EXPECT_EQ(rest(loader), order);
}

TEST(DataLoader, SeekGoesToAnyBatchOfAnyEpoch) {
  for (const int prefetch : {0, 2}) {
    DataLoader loader(numbered(30), {.batch = 4, .shuffle = true, .seed = 3, .prefetch = prefetch});
    loader.start_epoch(5);
    const auto all = rest(loader);
    EXPECT_EQ(loader.position(), (Position{5, 8}));
    for (const std::int64_t batch : {0, 3, 7, 8}) {
      loader.start_epoch(2);
      loader.next();
      loader.seek({5, batch});
      EXPECT_EQ(loader.position(), (Position{5, batch}));
      EXPECT_EQ(rest(loader), std::vector<std::int32_t>(
                                  all.begin() + std::min<std::int64_t>(batch * 4, 30), all.end()));
    }
    EXPECT_THROW(loader.seek({0, 9}), Error);
    EXPECT_THROW(loader.seek({0, -1}), Error);
  }
}

TEST(DataLoader, RefusesNonsense) {
  EXPECT_THROW(DataLoader(numbered(3), {.batch = 0}), Error);
  EXPECT_THROW(DataLoader(numbered(0), {.batch = 4}), Error);
  EXPECT_THROW(DataLoader(numbered(3), {.batch = 4, .drop_last = true}), Error);
  EXPECT_THROW(DataLoader(numbered(3), {.prefetch = -1}), Error);
  EXPECT_THROW(DataLoader(numbered(3), {.augment = {Shift{1}}}), Error);
}

// ---- Augmentation and read-ahead ----

Dataset images(std::int64_t count) {
  std::vector<std::uint8_t> pixels;
  std::vector<std::int32_t> labels;
  for (std::int64_t i = 0; i < count; ++i) {
    for (std::int64_t p = 0; p < 36; ++p)
      pixels.push_back(static_cast<std::uint8_t>(
          ir::philox(static_cast<std::uint64_t>(p), 0, 1, static_cast<std::uint64_t>(i))));
    labels.push_back(static_cast<std::int32_t>(i));
  }
  return Dataset(Array(pixels, {6, 6}), labels);
}

// What epoch `epoch` gives for each sample, in the order of the samples.
std::vector<std::vector<std::uint8_t>> by_sample(const LoaderOptions& options,
                                                 std::uint64_t epoch) {
  DataLoader loader(images(40), options);
  std::vector<std::vector<std::uint8_t>> all(40);
  loader.start_epoch(epoch);
  for (Batch batch = loader.next(); batch.size > 0; batch = loader.next())
    for (std::size_t i = 0; i < static_cast<std::size_t>(batch.size); ++i) {
      const auto pixels = values<std::uint8_t>(batch.inputs);
      const auto image = std::span(pixels).subspan(i * 36, 36);
      all[static_cast<std::size_t>(values<std::int32_t>(batch.targets)[i])].assign(image.begin(),
                                                                                   image.end());
    }
  return all;
}

TEST(DataLoader, AugmentationDependsOnNeitherBatchesNorOrderNorReadAhead) {
  const std::vector<Augmentation> steps{Shift{2}, HorizontalFlip{}, Rotation{20}};
  const auto reference = by_sample({.batch = 40, .augment = steps}, 3);
  EXPECT_EQ(by_sample({.batch = 7, .prefetch = 3, .augment = steps}, 3), reference);
  EXPECT_NE(by_sample({.batch = 40, .augment = steps}, 4), reference);
  EXPECT_NE(by_sample({.batch = 40}, 3), reference);
  // The seed drives the order too, so that only the order differs here.
  EXPECT_EQ(by_sample({.batch = 5, .shuffle = true, .augment = steps}, 3), reference);
}

TEST(DataLoader, AugmentationMayChangeTheShape) {
  DataLoader loader(images(4), {.batch = 4, .augment = {RandomCrop{3, 5}}});
  EXPECT_EQ(loader.input(), (SampleType{ir::DType::u8, {3, 5}}));
  EXPECT_EQ(loader.next().inputs.size(), 4u * 15);
}

TEST(ReadAhead, GivesTheSameBatches) {
  for (const int prefetch : {1, 2, 100}) {
    DataLoader plain(numbered(53), {.batch = 4, .shuffle = true, .seed = 1});
    DataLoader ahead(numbered(53), {.batch = 4, .shuffle = true, .seed = 1, .prefetch = prefetch});
    for (std::uint64_t epoch = 0; epoch < 4; ++epoch) {
      plain.start_epoch(epoch);
      ahead.start_epoch(epoch);
      EXPECT_EQ(rest(plain), rest(ahead));
      EXPECT_EQ(plain.position(), ahead.position());
    }
  }
}

// Counts its reads and throws at one sample while `failing`.
struct Counted {
  std::shared_ptr<std::atomic<int>> reads = std::make_shared<std::atomic<int>>(0);
  std::shared_ptr<std::atomic<bool>> failing = std::make_shared<std::atomic<bool>>(true);

  Dataset dataset(std::int64_t size, std::int64_t bad) const {
    const SampleType number{ir::DType::i32, {}};
    return Dataset(
        size, number, number,
        [*this, bad](std::int64_t index, std::span<std::byte> input, std::span<std::byte> target) {
          if (index == bad && *failing) throw Error("sample 9 is broken");
          ++*reads;
          const auto value = static_cast<std::int32_t>(index);
          std::memcpy(input.data(), &value, 4);
          std::memcpy(target.data(), &value, 4);
        });
  }
};

TEST(ReadAhead, IsBounded) {
  const Counted counted;
  DataLoader loader(counted.dataset(1000, -1), {.batch = 10, .prefetch = 3});
  for (int batch = 1; batch <= 20; ++batch) {
    loader.next();
    // Given out, three ready, and one that waits for none but may be under way.
    EXPECT_LE(*counted.reads, 10 * (batch + 4));
  }
}

TEST(ReadAhead, StopsCleanlyAtAnyTime) {
  for (int taken = 0; taken < 8; ++taken) {
    DataLoader loader(numbered(60), {.batch = 8, .prefetch = 2});
    for (int i = 0; i < taken; ++i) loader.next();
  }
}

TEST(ReadAhead, AnExceptionArrivesAfterTheBatchesBeforeItAndTheNextCallTriesAgain) {
  for (const int prefetch : {0, 1, 5}) {
    const Counted counted;
    DataLoader loader(counted.dataset(20, 9), {.batch = 4, .prefetch = prefetch});
    EXPECT_EQ(values<std::int32_t>(loader.next().inputs)[0], 0);
    EXPECT_EQ(values<std::int32_t>(loader.next().inputs)[0], 4);
    for (int attempt = 0; attempt < 2; ++attempt) {
      EXPECT_EQ(error_of([&] { loader.next(); }), "sample 9 is broken");
      EXPECT_EQ(loader.position(), (Position{0, 2}));
    }
    *counted.failing = false;
    EXPECT_EQ(values<std::int32_t>(loader.next().inputs)[1], 9);
  }
}

}  // namespace
}  // namespace taper::data
