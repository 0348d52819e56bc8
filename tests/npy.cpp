// NumPy's files: what NumPy writes is read, and what is hostile is one clear error.
#include "frontend/npy.h"

#include <zip.h>

#include <cstring>
#include <limits>
#include <span>

#include "tests/temporary_folder.h"

namespace taper::data {
namespace {

using Npy = TemporaryFolder;

std::string header(const std::string& dictionary, char version = 1) {
  std::string bytes = "\x93NUMPY";
  bytes += version;
  bytes += '\0';
  const std::size_t length = dictionary.size();
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i) bytes += static_cast<char>(length >> (8 * i));
  return bytes + dictionary;
}

std::string dictionary(const std::string& descr, const std::string& shape,
                       const std::string& order = "False") {
  return "{'descr': '" + descr + "', 'fortran_order': " + order + ", 'shape': " + shape + ", }\n";
}

std::string data(std::initializer_list<int> bytes) {
  std::string text;
  for (const int byte : bytes) text += static_cast<char>(byte);
  return text;
}

TEST_F(Npy, RoundTrips) {
  const std::vector<float> values{1.5f, -2, 3e-40f, 4, 5, 6};
  write_npy(folder_ / "x.npy", NpyArray::of({3, 2}, values));
  const NpyArray array = read_npy(folder_ / "x.npy");
  EXPECT_EQ(array.type, NpyType::f32);
  EXPECT_EQ(array.shape, (std::vector<std::int64_t>{3, 2}));
  EXPECT_EQ(array.to<float>(), values);
  EXPECT_EQ(contents(folder_ / "x.npy").size(), 128u + 24);

  write_npy(folder_ / "y.npy", NpyArray::of({}, std::vector<std::int64_t>{-7}));
  EXPECT_EQ(read_npy(folder_ / "y.npy").to<std::int64_t>(), std::vector<std::int64_t>{-7});
  write_npy(folder_ / "z.npy", NpyArray::of({2, 0}, std::vector<std::uint8_t>{}));
  EXPECT_EQ(read_npy(folder_ / "z.npy").size(), 0);
}

TEST_F(Npy, ReadsEveryTypeAndByteOrder) {
  const auto first = [&](const std::string& descr, const std::string& bytes, char version = 1) {
    const auto path = write("x.npy", header(dictionary(descr, "(1,)"), version) + bytes);
    return read_npy(path).to<double>()[0];
  };
  EXPECT_EQ(first("|b1", data({1})), 1);
  EXPECT_EQ(first("|i1", data({0xfe})), -2);
  EXPECT_EQ(first("|u1", data({0xfe}), 2), 254);
  EXPECT_EQ(first("<i2", data({0xfe, 0xff})), -2);
  EXPECT_EQ(first(">i2", data({0xff, 0xfe})), -2);
  EXPECT_EQ(first("<u2", data({0, 1})), 256);
  EXPECT_EQ(first(">i4", data({0, 0, 1, 2})), 258);
  EXPECT_EQ(first("<u4", data({0, 0, 0, 0x80})), 0x1p31);
  EXPECT_EQ(first("<i8", data({0, 0, 0, 0, 0, 0, 0, 0x80}), 3), -0x1p63);
  EXPECT_EQ(first("<u8", data({0, 0, 0, 0, 0, 0, 0, 0x80})), 0x1p63);
  EXPECT_EQ(first("<f2", data({0, 0xc0})), -2);
  EXPECT_EQ(first(">f4", data({0x3f, 0xc0, 0, 0})), 1.5);
  EXPECT_EQ(first("=f8", data({0, 0, 0, 0, 0, 0, 0xf8, 0x3f})), 1.5);
}

TEST_F(Npy, ReadsColumnMajorAndOddHeaders) {
  const auto column =
      write("x", header(dictionary("|u1", "(2, 3)", "True")) + data({1, 4, 2, 5, 3, 6}));
  EXPECT_EQ(read_npy(column).to<std::int32_t>(), (std::vector<std::int32_t>{1, 2, 3, 4, 5, 6}));
  const auto odd = write(
      "y", header("{\"shape\":(2L,1),\n\"descr\" : \"|i1\",'fortran_order':True}") + data({7, 8}));
  EXPECT_EQ(read_npy(odd).to<std::int8_t>(), (std::vector<std::int8_t>{7, 8}));
}

TEST_F(Npy, ConversionIsCheckedAndRounded) {
  const auto refuses = [&](auto values, auto wanted) {
    const NpyArray array = NpyArray::of({static_cast<std::int64_t>(values.size())}, values);
    return error_of([&] { array.to<decltype(wanted)>(); });
  };
  EXPECT_TRUE(says(refuses(std::vector<std::int64_t>{1, 1LL << 31}, std::int32_t{}),
                   "element 1 is 2147483648, which is no whole number from -2147483648"));
  EXPECT_TRUE(says(refuses(std::vector<float>{1, 0.5f}, std::int32_t{}), "element 1 is 0.5"));
  EXPECT_TRUE(says(refuses(std::vector<float>{0x1p31f}, std::int32_t{}), "element 0"));
  EXPECT_TRUE(says(refuses(std::vector<double>{0x1p63}, std::int64_t{}), "element 0"));
  EXPECT_TRUE(says(refuses(std::vector<double>{-1}, std::uint8_t{}), "element 0"));
  EXPECT_TRUE(
      says(refuses(std::vector<float>{std::numeric_limits<float>::quiet_NaN()}, std::int8_t{}),
           "element 0"));
  EXPECT_EQ(refuses(std::vector<float>{-128, 127}, std::int8_t{}), "no error");
  EXPECT_EQ(refuses(std::vector<double>{-0x1p63}, std::int64_t{}), "no error");
  EXPECT_EQ(NpyArray::of({1}, std::vector<std::int32_t>{16777217}).to<float>()[0], 16777216.0f);
  EXPECT_EQ(NpyArray::of({1}, std::vector<double>{0.1}).to<float>()[0], 0.1f);
  EXPECT_TRUE(says(error_of([] { NpyArray::of({3}, std::vector<float>{1}); }), "1 values do not"));
}

TEST_F(Npy, HostileFiles) {
  const std::string good = dictionary("|u1", "(2,)");
  std::string axes;
  for (int i = 0; i < 33; ++i) axes += "1,";
  const std::vector<std::pair<std::string, std::string>> cases{
      {header(good) + "12", "no error"},
      {"", "is no .npy data"},
      {"\x93NUMPX\x01\0", "is no .npy data"},
      {header(good, 4) + "12", "version 4"},
      {header(good).substr(0, 9), "header of the .npy data is truncated"},
      {header(good).substr(0, 40), "header of the .npy data is truncated"},
      {header(good + std::string(70'000, ' '), 2), "longer than 64 KB"},
      {header(good) + "1", "truncated, 1 of 2 bytes"},
      {header(good) + "123", "longer than the 2 bytes"},
      {header(dictionary("|u1", "(9999999999,)")), "more than 2^31 bytes"},
      {header(dictionary("<f8", "(4294967296,4294967296)")), "more than 2^31 bytes"},
      {header(dictionary("<f8", "(0,4294967296,4294967296)")), "no error"},
      {header(dictionary("|u1", "(99999999999999999999,)")), "extent that is no size"},
      {header(dictionary("|u1", "(-1,)")), "extent that is no size"},
      {header(dictionary("|u1", "(2000000000,)")) + "1", "truncated, 1 of 2000000000"},
      {header(dictionary("|u1", "(" + axes + ")")), "more than 32 axes"},
      {header(dictionary("|O", "(2,)")) + "12", "element type other than"},
      {header(dictionary("<c8", "(2,)")) + "12", "element type other than"},
      {header(dictionary("f4", "(2,)")) + "12", "element type other than"},
      {header(dictionary("", "(2,)")) + "12", "element type other than"},
      {header("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,)}"), "structured"},
      {header("{'descr': '|u1', 'fortran_order': False}"), "lacks one of"},
      {header("{'descr': '|u1', 'descr': '|u1'}"), "or one twice"},
      {header("{'x': '|u1'}"), "unknown key"},
      {header("{'descr': '|u1}"), "string without end"},
      {header("{'descr' '|u1'}"), "has no ':'"},
      {header("{'descr': '|u1', 'fortran_order': 0}"), "no truth value"},
      {header("{'shape': 2}"), "has no '('"},
      {header("{'shape': (2"), "has no ')'"},
      {header(good + "x") + "12", "text after its end"},
      {header("("), "has no '{'"},
  };
  for (const auto& [bytes, part] : cases) {
    const auto path = write("x.npy", bytes);
    const std::string message = error_of([&] { read_npy(path); });
    EXPECT_TRUE(says(message, part));
    if (part != "no error") {
      EXPECT_TRUE(says(message, path.string()));
    }
  }
  EXPECT_TRUE(says(error_of([&] { read_npy(folder_); }), "cannot be opened"));
  EXPECT_TRUE(says(error_of([&] { read_npy(folder_ / "none"); }), "cannot be opened"));
}

TEST_F(Npy, ArchivesRoundTrip) {
  const auto path = folder_ / "x.npz";
  write_npz(path, {{"images", NpyArray::of({2, 2}, std::vector<float>{1, 2, 3, 4})},
                   {"labels", NpyArray::of({2}, std::vector<std::int64_t>{5, 6})}});
  EXPECT_EQ(npz_names(path), (std::vector<std::string>{"images", "labels"}));
  EXPECT_EQ(read_npz(path, "images").to<float>(), (std::vector<float>{1, 2, 3, 4}));
  EXPECT_EQ(read_npz(path, "labels").to<std::int32_t>(), (std::vector<std::int32_t>{5, 6}));
  EXPECT_TRUE(says(error_of([&] { read_npz(path, "other"); }), "x.npz: other.npy: cannot be read"));
}

TEST_F(Npy, ReadsCompressedArchives) {
  const auto bytes = npy_bytes(NpyArray::of({100000}, std::vector<std::int32_t>(100000, 9)));
  const auto path = folder_ / "x.npz";
  zip_t* archive = zip_open(path.c_str(), ZIP_CREATE, nullptr);
  zip_source_t* source = zip_source_buffer(archive, bytes.data(), bytes.size(), 0);
  const zip_int64_t index = zip_file_add(archive, "a.npy", source, 0);
  zip_set_file_compression(archive, static_cast<zip_uint64_t>(index), ZIP_CM_DEFLATE, 9);
  ASSERT_EQ(zip_close(archive), 0);
  EXPECT_LT(std::filesystem::file_size(path), 10'000u);
  EXPECT_EQ(read_npz(path, "a").to<std::int32_t>(), std::vector<std::int32_t>(100000, 9));
}

TEST_F(Npy, HostileArchives) {
  const auto path = folder_ / "x.npz";
  write_npz(path, {{"a", NpyArray::of({64}, std::vector<float>(64, 1))}});
  const std::string good = contents(path);
  std::string wrong = good;
  wrong[200] = static_cast<char>(wrong[200] ^ 1);  // an element: the checksum tells
  EXPECT_TRUE(says(error_of([&] { read_npz(write("w", wrong), "a"); }), "archive is damaged"));
  EXPECT_TRUE(says(error_of([&] { npz_names(write("t", good.substr(0, 300))); }), "no readable"));
  EXPECT_TRUE(says(error_of([&] { npz_names(write("e", "")); }), "e: is no readable .npz"));
  EXPECT_TRUE(says(error_of([&] { npz_names(folder_ / "none"); }), "cannot be opened"));
  EXPECT_TRUE(says(error_of([&] { npz_names(folder_); }), "cannot be opened"));
}

}  // namespace
}  // namespace taper::data
