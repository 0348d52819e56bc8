// Data sets in memory and the loader that makes batches of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

namespace taper::data {

// Grey-scale images as bytes, row-major [count, rows, columns], and a class label for each.
struct Images {
  std::int64_t count = 0, rows = 0, columns = 0;
  std::vector<std::uint8_t> pixels;
  std::vector<std::int32_t> labels;
};

// Reads idx files (MNIST, Fashion-MNIST; plain or gzip). Throws taper::Error naming the file when
// one is missing, truncated, corrupt, too long, of another type, when the two counts differ, or
// when a label is not in [0, classes).
Images load_idx(const std::filesystem::path& images, const std::filesystem::path& labels,
                std::int32_t classes = 10);

// The train or test set of a folder with the four files of MNIST (train-images-idx3-ubyte, ...),
// each plain or with the suffix .gz.
Images load_mnist(const std::filesystem::path& folder, bool train);

struct Batch {
  std::span<const std::uint8_t> images;  // [n, rows, columns]
  std::span<const std::int32_t> labels;  // [n]
  std::size_t size() const { return labels.size(); }
};

// Cuts a data set into batches, the last one partial. With shuffling, epoch e of seed s always has
// the same order (Fisher-Yates on Philox). Images stay bytes; the compiled program converts them.
class Loader {
 public:
  // `images` must outlive the loader. Throws taper::Error for an empty set or batch_size < 1.
  Loader(const Images& images, std::size_t batch_size, bool shuffle, std::uint64_t seed = 0);

  std::size_t batches() const;
  void start_epoch(std::uint64_t epoch);
  // The next batch of the epoch, valid until the next call; an empty one after the last.
  Batch next();

 private:
  const Images& images_;
  std::size_t batch_size_;
  bool shuffle_;
  std::uint64_t seed_;
  std::size_t position_ = 0;
  std::vector<std::uint32_t> order_;
  std::vector<std::uint8_t> pixels_;
  std::vector<std::int32_t> labels_;
};

}  // namespace taper::data
