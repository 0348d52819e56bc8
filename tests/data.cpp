// The idx reader and the loader: what is right is read, what is wrong is one clear error.
#include <gtest/gtest.h>
#include <zlib.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "frontend/data.h"
#include "frontend/idx.h"
#include "ir/error.h"

namespace taper::data {
namespace {

class Folder : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() /
              ("taper-data-" + std::to_string(::getpid()) + "-" +
               testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path write(const std::string& name, const std::string& bytes) const {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
    return folder_ / name;
  }
  std::filesystem::path write_gz(const std::string& name, const std::string& bytes) const {
    const auto path = folder_ / name;
    gzFile file = gzopen(path.c_str(), "wb");
    gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size()));
    gzclose(file);
    return path;
  }
  std::filesystem::path folder_;
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

// The message of the error that `action` throws.
template <class Action>
std::string error_of(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST_F(Folder, ReadsPlainAndGzip) {
  const std::string pixels = images_file(5, 2, 3);
  const std::string labels = labels_file(std::string{0, 1, 9, 3, 4});
  const Images plain = load_idx(write("i", pixels), write("l", labels));
  const Images gz = load_idx(write_gz("i.gz", pixels), write_gz("l.gz", labels));
  EXPECT_EQ(plain.count, 5);
  EXPECT_EQ(plain.rows, 2);
  EXPECT_EQ(plain.columns, 3);
  EXPECT_EQ(plain.pixels[29], static_cast<std::uint8_t>(29 * 7));
  EXPECT_EQ(plain.labels, (std::vector<std::int32_t>{0, 1, 9, 3, 4}));
  EXPECT_EQ(gz.pixels, plain.pixels);
  EXPECT_EQ(gz.labels, plain.labels);
}

TEST_F(Folder, PrefersPlainFilesOfMnistAndFallsBackToGzip) {
  write("train-images-idx3-ubyte", images_file(2, 2, 2));
  write_gz("train-labels-idx1-ubyte.gz", labels_file(std::string{1, 2}));
  EXPECT_EQ(load_mnist(folder_, true).count, 2);
  EXPECT_NE(error_of([&] { load_mnist(folder_, false); }).find("t10k-images-idx3-ubyte"),
            std::string::npos);
}

TEST_F(Folder, NamesTheFileAndTheFault) {
  const std::string good = images_file(4, 2, 2);
  const auto labels = write("labels", labels_file(std::string{0, 1, 2, 3}));
  const auto fault = [&](const std::filesystem::path& path) {
    const std::string message = error_of([&] { load_idx(path, labels); });
    EXPECT_NE(message.find(path.string()), std::string::npos) << message;
    return message;
  };
  EXPECT_NE(fault(folder_ / "nowhere").find("cannot be opened"), std::string::npos);
  EXPECT_NE(fault(folder_).find("is a folder"), std::string::npos);
  EXPECT_NE(fault(write("empty", "")).find("header is truncated"), std::string::npos);
  EXPECT_NE(fault(write("magic", "PK\x03\x04" + good)).find("magic number"), std::string::npos);
  EXPECT_NE(fault(write("short", good.substr(0, good.size() - 1))).find("truncated, 15 of 16"),
            std::string::npos);
  EXPECT_NE(fault(write("long", good + "x")).find("longer than the 16 bytes"), std::string::npos);
  EXPECT_NE(fault(write("huge", images_file(0, 1, 1).replace(4, 12, std::string(12, '\xff'))))
                .find("no sensible size"),
            std::string::npos);
  EXPECT_NE(fault(write("zero", images_file(0, 1, 1))).find("no sensible size"), std::string::npos);
}

TEST_F(Folder, HugeHeaderOfAShortFileTakesLittleMemory) {
  const auto path = write("i", word(0x803) + word(1u << 20) + word(32) + word(32) + "abc");
  EXPECT_NE(error_of([&] { read_idx(path, 3); }).find("truncated"), std::string::npos);
}

TEST_F(Folder, CorruptAndTruncatedGzip) {
  const auto path = write_gz("i.gz", images_file(40, 20, 20));
  std::string bytes;
  {
    std::ifstream in(path, std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(in), {});
  }
  const auto labels = write("labels", labels_file(std::string(40, 1)));
  const auto cut = write("cut.gz", bytes.substr(0, bytes.size() / 2));
  EXPECT_NE(error_of([&] { load_idx(cut, labels); }).find("truncated"), std::string::npos);
  bytes[bytes.size() - 6] = static_cast<char>(bytes[bytes.size() - 6] ^ 0x55);  // the checksum
  const auto wrong = write("wrong.gz", bytes);
  EXPECT_NE(error_of([&] { load_idx(wrong, labels); }).find("corrupt"), std::string::npos);
}

TEST_F(Folder, LabelsMustFitTheImagesAndTheClasses) {
  const auto images = write("images", images_file(3, 1, 1));
  const auto two = write("two", labels_file(std::string{0, 1}));
  const auto ten = write("ten", labels_file(std::string{0, 10, 1}));
  EXPECT_NE(error_of([&] { load_idx(images, two); }).find("2 labels for the 3 images"),
            std::string::npos);
  EXPECT_NE(error_of([&] { load_idx(images, ten); }).find("label 10 of item 1 is not in 0..9"),
            std::string::npos);
}

Images numbered(std::int64_t count) {
  Images set{count, 1, 1, {}, {}};
  for (std::int64_t i = 0; i < count; ++i) {
    set.pixels.push_back(static_cast<std::uint8_t>(i));
    set.labels.push_back(static_cast<std::int32_t>(i));
  }
  return set;
}

std::vector<std::int32_t> one_epoch(Loader& loader, std::vector<std::size_t>* sizes = nullptr) {
  std::vector<std::int32_t> labels;
  for (Batch batch = loader.next(); batch.size() > 0; batch = loader.next()) {
    if (sizes != nullptr) sizes->push_back(batch.size());
    for (std::size_t i = 0; i < batch.size(); ++i) {
      EXPECT_EQ(batch.images[i], batch.labels[i]);
      labels.push_back(batch.labels[i]);
    }
  }
  return labels;
}

TEST(Loader, GivesEveryImageOnceWithAPartialLastBatch) {
  const Images set = numbered(10);
  Loader loader(set, 4, true, 7);
  std::vector<std::size_t> sizes;
  const auto labels = one_epoch(loader, &sizes);
  EXPECT_EQ(sizes, (std::vector<std::size_t>{4, 4, 2}));
  EXPECT_EQ(loader.batches(), 3u);
  EXPECT_EQ(std::set<std::int32_t>(labels.begin(), labels.end()).size(), 10u);
}

TEST(Loader, OrderDependsOnSeedAndEpochAlone) {
  const Images set = numbered(50);
  Loader a(set, 8, true, 1);
  Loader b(set, 16, true, 1);
  Loader other(set, 8, true, 2);
  const auto first = one_epoch(a);
  EXPECT_EQ(first, one_epoch(b));
  EXPECT_NE(first, one_epoch(other));
  a.start_epoch(1);
  EXPECT_NE(first, one_epoch(a));
  a.start_epoch(0);
  EXPECT_EQ(first, one_epoch(a));
}

TEST(Loader, RefusesNonsense) {
  const Images set = numbered(3);
  const Images none{};
  EXPECT_THROW(Loader(set, 0, true), Error);
  EXPECT_THROW(Loader(none, 4, true), Error);
}

}  // namespace
}  // namespace taper::data
