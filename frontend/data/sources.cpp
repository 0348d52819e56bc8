#include "frontend/data/sources.h"

#include <fmt/format.h>

#include <fstream>
#include <vector>

#include "frontend/idx.h"
#include "ir/error.h"

namespace taper::data {
namespace {

constexpr std::int64_t kCifarImage = 3072;
constexpr std::int64_t kCifarRecord = kCifarImage + 1;
constexpr std::int64_t kMaxCifarRecords = 1'000'000;

std::filesystem::path plain_or_gz(const std::filesystem::path& path) {
  std::filesystem::path gz = path;
  gz += ".gz";
  return !std::filesystem::exists(path) && std::filesystem::exists(gz) ? gz : path;
}

void check_label(std::int32_t label, std::size_t item, std::int32_t classes,
                 const std::filesystem::path& path) {
  if (label >= classes)
    throw Error("{}: label {} of item {} is not in 0..{}", path.string(), label, item, classes - 1);
}

struct Labelled {
  std::vector<std::uint8_t> images;
  std::vector<std::int32_t> labels;
};

void append_cifar10(const std::filesystem::path& path, Labelled& set) {
  std::error_code failed;
  const auto size = static_cast<std::int64_t>(std::filesystem::file_size(path, failed));
  if (failed) throw Error("{}: cannot be opened", path.string());
  if (size == 0 || size % kCifarRecord != 0 || size / kCifarRecord > kMaxCifarRecords)
    throw Error("{}: {} bytes are no sensible number of CIFAR-10 records of {} bytes",
                path.string(), size, kCifarRecord);
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(size));
  std::ifstream file(path, std::ios::binary);
  if (!file.read(reinterpret_cast<char*>(bytes.data()), size))
    throw Error("{}: cannot be read", path.string());
  for (std::int64_t record = 0; record < size / kCifarRecord; ++record) {
    const auto* at = bytes.data() + record * kCifarRecord;
    check_label(*at, static_cast<std::size_t>(record), 10, path);
    set.labels.push_back(*at);
    set.images.insert(set.images.end(), at + 1, at + kCifarRecord);
  }
}

Dataset dataset_of(Labelled set) {
  return Dataset(Array(std::move(set.images), {3, 32, 32}), Array(std::move(set.labels)));
}

}  // namespace

Dataset load_idx(const std::filesystem::path& images, const std::filesystem::path& labels,
                 std::int32_t classes) {
  IdxFile pixels = read_idx(images, 3);
  const IdxFile classes_of = read_idx(labels, 1);
  if (pixels.extents[0] != classes_of.extents[0])
    throw Error("{}: {} labels for the {} images of {}", labels.string(), classes_of.extents[0],
                pixels.extents[0], images.string());
  for (std::size_t i = 0; i < classes_of.bytes.size(); ++i)
    check_label(classes_of.bytes[i], i, classes, labels);
  const ir::Shape image{1, pixels.extents[1], pixels.extents[2]};
  return Dataset(Array(std::move(pixels.bytes), image),
                 std::vector<std::int32_t>(classes_of.bytes.begin(), classes_of.bytes.end()));
}

Dataset load_mnist(const std::filesystem::path& folder, bool train) {
  const std::string prefix = train ? "train" : "t10k";
  return load_idx(plain_or_gz(folder / (prefix + "-images-idx3-ubyte")),
                  plain_or_gz(folder / (prefix + "-labels-idx1-ubyte")));
}

Dataset load_cifar10_batch(const std::filesystem::path& file) {
  Labelled set;
  append_cifar10(file, set);
  return dataset_of(std::move(set));
}

Dataset load_cifar10(const std::filesystem::path& folder, bool train) {
  Labelled set;
  if (!train) append_cifar10(folder / "test_batch.bin", set);
  for (int i = 1; train && i <= 5; ++i)
    append_cifar10(folder / fmt::format("data_batch_{}.bin", i), set);
  return dataset_of(std::move(set));
}

}  // namespace taper::data
