#include "frontend/data.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include <fmt/format.h>

#include "frontend/idx.h"
#include "ir/error.h"
#include "ir/eval.h"

namespace taper::data {
namespace {

std::filesystem::path plain_or_gz(const std::filesystem::path& path) {
  std::filesystem::path gz = path;
  gz += ".gz";
  return !std::filesystem::exists(path) && std::filesystem::exists(gz) ? gz : path;
}

}  // namespace

Images load_idx(const std::filesystem::path& images, const std::filesystem::path& labels,
                std::int32_t classes) {
  IdxFile pixels = read_idx(images, 3);
  const IdxFile classes_of = read_idx(labels, 1);
  if (pixels.extents[0] != classes_of.extents[0])
    throw Error(fmt::format("{}: {} labels for the {} images of {}", labels.string(),
                            classes_of.extents[0], pixels.extents[0], images.string()));
  for (std::size_t i = 0; i < classes_of.bytes.size(); ++i)
    if (classes_of.bytes[i] >= classes)
      throw Error(fmt::format("{}: label {} of item {} is not in 0..{}", labels.string(),
                              classes_of.bytes[i], i, classes - 1));
  Images set{pixels.extents[0], pixels.extents[1], pixels.extents[2], std::move(pixels.bytes), {}};
  set.labels.assign(classes_of.bytes.begin(), classes_of.bytes.end());
  return set;
}

Images load_mnist(const std::filesystem::path& folder, bool train) {
  const std::string prefix = train ? "train" : "t10k";
  return load_idx(plain_or_gz(folder / (prefix + "-images-idx3-ubyte")),
                  plain_or_gz(folder / (prefix + "-labels-idx1-ubyte")));
}

Loader::Loader(const Images& images, std::size_t batch_size, bool shuffle, std::uint64_t seed)
    : images_(images), batch_size_(batch_size), shuffle_(shuffle), seed_(seed) {
  if (images.count < 1 || batch_size < 1)
    throw Error(
        fmt::format("Loader: {} images in batches of {} make no batch", images.count, batch_size));
  order_.resize(static_cast<std::size_t>(images.count));
  start_epoch(0);
}

std::size_t Loader::batches() const {
  return (order_.size() + batch_size_ - 1) / batch_size_;
}

void Loader::start_epoch(std::uint64_t epoch) {
  position_ = 0;
  std::iota(order_.begin(), order_.end(), 0u);
  if (!shuffle_) return;
  for (std::size_t i = order_.size(); i-- > 1;) {
    // The high half of a 32x32-bit product: uniform in [0, i] up to 2^-32 * i.
    const std::uint64_t draw = ir::philox(i, 0, epoch, seed_);
    std::swap(order_[i], order_[static_cast<std::size_t>(draw * (i + 1) >> 32)]);
  }
}

Batch Loader::next() {
  const std::size_t count = std::min(batch_size_, order_.size() - position_);
  const auto image = static_cast<std::size_t>(images_.rows * images_.columns);
  pixels_.resize(count * image);
  labels_.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t from = order_[position_ + i];
    std::memcpy(pixels_.data() + i * image, images_.pixels.data() + from * image, image);
    labels_[i] = images_.labels[from];
  }
  position_ += count;
  return {pixels_, labels_};
}

}  // namespace taper::data
