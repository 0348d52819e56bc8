// Readers of data files: what is right is read, what is wrong is one clear error.
#include <gtest/gtest.h>
#include <zlib.h>

#include <filesystem>
#include <numeric>
#include <string>

#include "frontend/data.h"
#include "frontend/idx.h"
#include "temporary_folder.h"

namespace taper::data {
namespace {

class Folder : public TemporaryFolder {
 protected:
  std::filesystem::path write_gz(const std::string& name, const std::string& bytes) const {
    auto path = folder_ / name;
    gzFile file = gzopen(path.c_str(), "wb");
    gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size()));
    gzclose(file);
    return path;
  }
};

std::string word(std::uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16),
          static_cast<char>(value >> 8), static_cast<char>(value)};
}

std::string images_file(std::uint32_t count, std::uint32_t rows, std::uint32_t columns) {
  std::string bytes = word(0x803) + word(count) + word(rows) + word(columns);
  for (std::uint32_t i = 0; i < count * rows * columns; ++i) bytes += static_cast<char>(i * 7);
  return bytes;
}

std::string labels_file(const std::string& labels) {
  return word(0x801) + word(static_cast<std::uint32_t>(labels.size())) + labels;
}

// Every sample of a set, its bytes and its i32 target.
struct Contents {
  std::vector<std::uint8_t> bytes;
  std::vector<std::int32_t> labels;
  bool operator==(const Contents&) const = default;
};
Contents everything(const Dataset& set) {
  Contents all;
  std::vector<std::uint8_t> input(set.input().bytes());
  std::int32_t label = 0;
  for (std::int64_t i = 0; i < set.size(); ++i) {
    set.read(i, std::as_writable_bytes(std::span(input)),
             std::as_writable_bytes(std::span(&label, 1)));
    all.bytes.insert(all.bytes.end(), input.begin(), input.end());
    all.labels.push_back(label);
  }
  return all;
}

TEST_F(Folder, ReadsPlainAndGzip) {
  const std::string pixels = images_file(5, 2, 3);
  const std::string labels = labels_file(std::string{0, 1, 9, 3, 4});
  const Dataset plain = load_idx(write("i", pixels), write("l", labels));
  const Dataset gz = load_idx(write_gz("i.gz", pixels), write_gz("l.gz", labels));
  EXPECT_EQ(plain.size(), 5);
  EXPECT_EQ(plain.input(), (SampleType{ir::DType::u8, {1, 2, 3}}));
  EXPECT_EQ(plain.target(), (SampleType{ir::DType::i32, {}}));
  const Contents all = everything(plain);
  EXPECT_EQ(all.bytes[29], static_cast<std::uint8_t>(29 * 7));
  EXPECT_EQ(all.labels, (std::vector<std::int32_t>{0, 1, 9, 3, 4}));
  EXPECT_EQ(everything(gz), all);
}

TEST_F(Folder, PrefersPlainFilesOfMnistAndFallsBackToGzip) {
  write("train-images-idx3-ubyte", images_file(2, 2, 2));
  write_gz("train-labels-idx1-ubyte.gz", labels_file(std::string{1, 2}));
  EXPECT_EQ(load_mnist(folder_, true).size(), 2);
  EXPECT_TRUE(says(error_of([&] { load_mnist(folder_, false); }), "t10k-images-idx3-ubyte"));
}

TEST_F(Folder, NamesTheFileAndTheFault) {
  const std::string good = images_file(4, 2, 2);
  const auto labels = write("labels", labels_file(std::string{0, 1, 2, 3}));
  const auto fault = [&](const std::filesystem::path& path) {
    std::string message = error_of([&] { load_idx(path, labels); });
    EXPECT_TRUE(says(message, path.string()));
    return message;
  };
  EXPECT_TRUE(says(fault(folder_ / "nowhere"), "cannot be opened"));
  EXPECT_TRUE(says(fault(folder_), "is a folder"));
  EXPECT_TRUE(says(fault(write("empty", "")), "header is truncated"));
  EXPECT_TRUE(says(fault(write("magic", "PK\x03\x04" + good)), "magic number"));
  EXPECT_TRUE(says(fault(write("short", good.substr(0, good.size() - 1))), "truncated, 15 of 16"));
  EXPECT_TRUE(says(fault(write("long", good + "x")), "longer than the 16 bytes"));
  EXPECT_TRUE(
      says(fault(write("huge", images_file(0, 1, 1).replace(4, 12, std::string(12, '\xff')))),
           "no sensible size"));
  EXPECT_TRUE(says(fault(write("zero", images_file(0, 1, 1))), "no sensible size"));
}

TEST_F(Folder, HugeHeaderOfAShortFileTakesLittleMemory) {
  const auto path = write("i", word(0x803) + word(1u << 20) + word(32) + word(32) + "abc");
  EXPECT_TRUE(says(error_of([&] { read_idx(path, 3); }), "truncated"));
}

TEST_F(Folder, CorruptAndTruncatedGzip) {
  const auto path = write_gz("i.gz", images_file(40, 20, 20));
  std::string bytes = TemporaryFolder::contents(path);
  const auto labels = write("labels", labels_file(std::string(40, 1)));
  const auto cut = write("cut.gz", bytes.substr(0, bytes.size() / 2));
  EXPECT_TRUE(says(error_of([&] { load_idx(cut, labels); }), "truncated"));
  bytes[bytes.size() - 6] = static_cast<char>(bytes[bytes.size() - 6] ^ 0x55);  // the checksum
  const auto wrong = write("wrong.gz", bytes);
  EXPECT_TRUE(says(error_of([&] { load_idx(wrong, labels); }), "corrupt"));
}

TEST_F(Folder, LabelsMustFitTheImagesAndTheClasses) {
  const auto images = write("images", images_file(3, 1, 1));
  const auto two = write("two", labels_file(std::string{0, 1}));
  const auto ten = write("ten", labels_file(std::string{0, 10, 1}));
  EXPECT_TRUE(says(error_of([&] { load_idx(images, two); }), "2 labels for the 3 images"));
  EXPECT_TRUE(says(error_of([&] { load_idx(images, ten); }), "label 10 of item 1 is not in 0..9"));
}

std::string cifar_file(const std::string& labels) {
  std::string bytes;
  for (const char label : labels) {
    bytes += label;
    for (int i = 0; i < 3072; ++i) bytes += static_cast<char>(i * 3 + label);
  }
  return bytes;
}

TEST_F(Folder, ReadsCifar10InTheOrderOfItsFiles) {
  for (int i = 1; i <= 5; ++i)
    write("data_batch_" + std::to_string(i) + ".bin",
          cifar_file({static_cast<char>(i), static_cast<char>(i + 4)}));
  write("test_batch.bin", cifar_file(std::string{0, 7, 2}));
  const Contents train = everything(load_cifar10(folder_, true));
  EXPECT_EQ(train.labels, (std::vector<std::int32_t>{1, 5, 2, 6, 3, 7, 4, 8, 5, 9}));
  EXPECT_EQ(train.bytes[3072 + 100], static_cast<std::uint8_t>(300 + 5));
  const Dataset test = load_cifar10(folder_, false);
  EXPECT_EQ(test.input(), (SampleType{ir::DType::u8, {3, 32, 32}}));
  EXPECT_EQ(everything(test).labels, (std::vector<std::int32_t>{0, 7, 2}));
}

TEST_F(Folder, RefusesBadCifar10Files) {
  const std::string good = cifar_file(std::string{1, 2});
  const auto fault = [&](const std::string& name, const std::string& bytes) {
    const auto path = write(name, bytes);
    std::string message = error_of([&] { load_cifar10_batch(path); });
    EXPECT_TRUE(says(message, path.string()));
    return message;
  };
  EXPECT_TRUE(says(fault("empty", ""), "0 bytes"));
  EXPECT_TRUE(says(fault("short", good.substr(1)), "6145 bytes"));
  EXPECT_TRUE(says(fault("label", cifar_file(std::string{1, 10})), "label 10 of item 1"));
  EXPECT_TRUE(says(error_of([&] { load_cifar10(folder_, true); }), "data_batch_1.bin"));
  EXPECT_TRUE(says(error_of([&] { load_cifar10_batch(folder_); }), "cannot be opened"));
}

TEST_F(Folder, ReadsNumpyFiles) {
  std::vector<std::uint8_t> pixels(12);
  std::iota(pixels.begin(), pixels.end(), std::uint8_t{0});
  const auto images = NpyArray::of({3, 2, 2}, pixels);
  const auto labels = NpyArray::of({3}, std::vector<std::int64_t>{4, 0, -1});
  write_npy(folder_ / "x.npy", images);
  write_npy(folder_ / "y.npy", labels);
  write_npz(folder_ / "set.npz", {{"x", images}, {"y", labels}, {"z", images}});
  const Dataset set = load_npy(folder_ / "x.npy", folder_ / "y.npy");
  EXPECT_EQ(set.input(), (SampleType{ir::DType::u8, {2, 2}}));
  EXPECT_EQ(everything(set).bytes, pixels);
  EXPECT_EQ(everything(set).labels, (std::vector<std::int32_t>{4, 0, -1}));
  EXPECT_EQ(everything(load_npz(folder_ / "set.npz")), everything(set));
  EXPECT_EQ(load_npz(folder_ / "set.npz", "z", "x").target(), (SampleType{ir::DType::i32, {2, 2}}));
}

TEST_F(Folder, NumpyArraysKeepOrChangeTheirType) {
  const auto type_of = [](const NpyArray& array, bool labels) {
    return samples_of(array, labels).sample().dtype;
  };
  EXPECT_EQ(type_of(NpyArray::of({1}, std::vector<double>{.5}), true), ir::DType::f32);
  EXPECT_EQ(type_of(NpyArray::of({1}, std::vector<std::int8_t>{-5}), false), ir::DType::i8);
  EXPECT_EQ(type_of(NpyArray::of({1}, std::vector<std::int8_t>{-5}), true), ir::DType::i32);
  EXPECT_EQ(type_of(NpyArray::of({1}, std::vector<std::uint8_t>{5}), true), ir::DType::i32);
  EXPECT_EQ(type_of(NpyArray::of({1}, std::vector<std::int64_t>{5}), false), ir::DType::i32);
}

TEST_F(Folder, RefusesNumpyFilesThatMakeNoDataSet) {
  const auto path = folder_ / "x.npy", three = folder_ / "three.npy", one = folder_ / "one.npy";
  write_npy(path, NpyArray::of({2, 1}, std::vector<float>{1, 2}));
  write_npy(three, NpyArray::of({3}, std::vector<std::int32_t>{1, 2, 3}));
  write_npy(one, NpyArray::of({}, std::vector<float>{1}));
  write_npy(folder_ / "big.npy", NpyArray::of({2}, std::vector<std::int64_t>{1, 1LL << 40}));
  EXPECT_TRUE(says(error_of([&] { load_npy(path, three); }), "3 targets for the 2 inputs"));
  EXPECT_TRUE(says(error_of([&] { load_npy(one, three); }), "holds no samples"));
  EXPECT_TRUE(says(error_of([&] { load_npy(path, folder_ / "big.npy"); }), "big.npy"));
  EXPECT_TRUE(says(error_of([&] { load_npy(path, folder_ / "none.npy"); }), "none.npy"));
  EXPECT_TRUE(says(error_of([&] { load_npz(path); }), "x.npy"));
}

}  // namespace
}  // namespace taper::data
