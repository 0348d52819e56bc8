// safetensors files: what is written is read, what is hostile is one clear error, and conversion
// rounds as IEEE 754 says.
#include "frontend/safetensors.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "ir/eval.h"
#include "ir/narrow_float.h"
#include "tests/temporary_folder.h"

namespace taper::safetensors {
namespace {

using Safetensors = TemporaryFolder;

std::vector<std::byte> bytes_of(const std::string& text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

std::string file_of(const std::string& json, const std::string& data) {
  const std::uint64_t length = json.size();
  std::string bytes(sizeof length, '\0');
  std::memcpy(bytes.data(), &length, sizeof length);
  return bytes + json + data;
}

std::string entry(const std::string& name, const std::string& shape, int begin, int end,
                  const std::string& dtype = "F32") {
  return fmt::format(R"("{}":{{"dtype":"{}","shape":{},"data_offsets":[{},{}]}})", name, dtype,
                     shape, begin, end);
}

TEST_F(Safetensors, RoundTripsEveryType) {
  std::vector<Tensor> tensors;
  for (const Type type : {Type::boolean, Type::u8, Type::i8, Type::f16, Type::bf16, Type::i32,
                          Type::f32, Type::i64}) {
    const std::vector<float> values{0, 1, 1, 0, 1, 0};
    tensors.push_back({std::string(name(type)), type, {2, 3}, encode(values, type)});
  }
  tensors.push_back({"scalar", Type::f32, {}, encode(std::vector<float>{-0.5f}, Type::f32)});
  tensors.push_back({"empty", Type::i64, {3, 0, 2}, {}});
  safetensors::write(folder_ / "x", tensors, {{"key", "a \"value\" \xc3\xa9\n"}});
  File file(folder_ / "x");
  EXPECT_EQ(file.tensors().size(), tensors.size());
  EXPECT_EQ(file.metadata(), (Metadata{{"key", "a \"value\" \xc3\xa9\n"}}));
  for (const Tensor& tensor : tensors) {
    const Entry* found = file.find(tensor.name);
    ASSERT_NE(found, nullptr) << tensor.name;
    EXPECT_EQ(found->type, tensor.type);
    EXPECT_EQ(found->shape, tensor.shape);
    EXPECT_EQ(found->begin % byte_size(tensor.type), 0u) << tensor.name;
    EXPECT_EQ(file.read(*found), tensor.bytes) << tensor.name;
  }
  EXPECT_EQ(file.find("other"), nullptr);
}

TEST_F(Safetensors, WritesTheDocumentedBytes) {
  safetensors::write(folder_ / "x", {{"w", Type::u8, {2}, bytes_of("ab")}}, {});
  const std::string json = R"({"w":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})";
  EXPECT_EQ(contents(folder_ / "x"), file_of(json + std::string(8 - json.size() % 8, ' '), "ab"));
}

TEST_F(Safetensors, RefusesToWriteNonsense) {
  const auto fault = [&](const std::vector<Tensor>& tensors, const Metadata& metadata = {}) {
    const std::string message =
        error_of([&] { safetensors::write(folder_ / "x", tensors, metadata); });
    EXPECT_FALSE(std::filesystem::exists(folder_ / "x"));
    return message;
  };
  const Tensor good{"a", Type::u8, {1}, bytes_of("x")};
  EXPECT_TRUE(says(fault({good, good}), "two tensors cannot be called \"a\""));
  EXPECT_TRUE(says(fault({{"__metadata__", Type::u8, {1}, bytes_of("x")}}), "cannot be called"));
  EXPECT_TRUE(says(fault({{"a", Type::f32, {2}, bytes_of("1234")}}), "F32[2], has 4 bytes"));
  EXPECT_TRUE(says(fault({{"\xff", Type::u8, {1}, bytes_of("x")}}), "no UTF-8"));
  EXPECT_TRUE(says(fault({good}, {{"k", "\xc3"}}), "no UTF-8"));
}

struct Hostile {
  std::string json, says;
  std::string data = "12345678";
};

// Each message names the file and, where there is one, the tensor.
TEST_F(Safetensors, HostileHeaders) {
  const std::string a = entry("a", "[1]", 0, 4), b = entry("b", "[1]", 4, 8);
  const std::string deep(100'000, '[');
  const std::vector<Hostile> cases{
      {"{" + a + "," + b + "}", "no error"},
      {"{" + a + "," + b + "}   ", "no error"},
      {"{}", "no error", ""},
      {" {" + a + "," + b + "}", "does not begin with '{'"},
      {"", "does not begin with '{'"},
      {"[]", "does not begin with '{'"},
      {"{" + a + "," + b, "no JSON of UTF-8 at byte"},
      {"{" + a + "," + b + "}x", "no JSON of UTF-8"},
      {"{" + a + "," + b + ",}", "no JSON of UTF-8"},
      {"{" + entry("\xff", "[2]", 0, 8) + "}", "no JSON of UTF-8"},
      {"{\"a\":" + deep, "a list is where it may not be, in \"a\""},
      {R"({"a":{"shape":[[)", "a list is where it may not be"},
      {R"({"a":{"shape":{)", "an object is where it may not be"},
      {R"({"__metadata__":{"a":{)", "an object is where it may not be"},
      {R"({"__metadata__":{"a":1}})", "a number is where it may not be"},
      {R"({"__metadata__":{"a":[]}})", "a list is where it may not be"},
      {R"({"__metadata__":"a"})", "a string is where it may not be"},
      {R"({"__metadata__":{"a":"1","a":"2"}})", "metadata key \"a\" occurs twice"},
      {R"({"__metadata__":{},"__metadata__":{}})", "\"__metadata__\" occurs twice"},
      {"{" + a + "," + a + "}", "\"a\" occurs twice"},
      {R"({"a":null})", "null is where it may not be"},
      {R"({"a":{"dtype":"F32","dtype":"F32"}})", "\"a\" has \"dtype\" twice"},
      {R"({"a":{"dtype":"F32","shape":[]}})", "lacks one of dtype, shape"},
      {R"({"a":{"offset":0}})", "unknown field \"offset\""},
      {R"({"a":{"dtype":1}})", "a number is where it may not be"},
      {R"({"a":{"dtype":"F31"}})", "\"a\" has dtype \"F31\"; taper reads"},
      {R"({"a":{"shape":[-1]}})", "a negative number is where"},
      {R"({"a":{"shape":[1.5]}})", "a number that is no integer"},
      {R"({"a":{"shape":[true]}})", "a truth value is where"},
      {R"({"a":{"shape":[99999999999999999999]}})", "a number that is no integer"},
      {R"({"a":{"shape":[9223372036854775807]}})", "above 2^62"},
      {R"({"a":{"shape":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}})", "more than 16 axes"},
      {R"({"a":{"data_offsets":[1]}})", "data_offsets of tensor \"a\" are not two"},
      {R"({"a":{"data_offsets":[1,2,3]}})", "data_offsets of tensor \"a\" are not two"},
      {"{" + entry("a", "[4294967296,4294967296]", 0, 8) + "}", "is larger than any file"},
      {"{" + entry("a", "[0,4294967296,4294967296]", 0, 0) + "," + entry("b", "[2]", 0, 8) + "}",
       "no error"},
      {"{" + entry("a", "[4]", 0, 16) + "}", "is not inside of the 8 bytes"},
      {"{" + entry("a", "[1]", 4, 0) + "}", "is not inside of the 8 bytes"},
      {"{" + entry("a", "[1]", 0, 8) + "}", "F32[1] at bytes 0 to 8, needs 4 bytes"},
      {"{" + entry("a", "[2]", 0, 4) + "," + b + "}", "needs 8 bytes"},
      {"{" + a + "," + entry("b", "[1]", 2, 6) + "}", "\"b\", F32[1] at bytes 2 to 6, overlaps"},
      {"{" + a + "," + entry("b", "[2]", 0, 8) + "}", "overlaps another one"},
      {"{" + entry("b", "[1]", 4, 8) + "}", "leaves a gap before it"},
      {"{" + a + "}", "its tensors take 4 bytes, but 8 follow"},
      {"{}", "its tensors take 0 bytes, but 8 follow"},
  };
  for (const Hostile& hostile : cases) {
    const auto path = write("bad", file_of(hostile.json, hostile.data));
    const std::string message = error_of([&] { File file(path); });
    EXPECT_TRUE(says(message, hostile.says)) << hostile.json.substr(0, 200);
    if (hostile.says != "no error") {
      EXPECT_TRUE(message.starts_with(path.string() + ": ")) << message;
    }
    EXPECT_EQ(message.find('\n'), std::string::npos);
  }
}

TEST_F(Safetensors, HostileLengths) {
  const auto fault = [&](const std::filesystem::path& path) {
    const std::string message = error_of([&] { File file(path); });
    EXPECT_TRUE(says(message, path.string()));
    return message;
  };
  EXPECT_TRUE(says(fault(folder_), "cannot be opened"));
  EXPECT_TRUE(says(fault(folder_ / "none"), "cannot be opened"));
  EXPECT_TRUE(says(fault("/dev/full"), "cannot be opened"));
  EXPECT_TRUE(says(fault(write("empty", "")), "0 bytes are no safetensors file"));
  EXPECT_TRUE(says(fault(write("short", "1234567")), "7 bytes are no safetensors file"));
  EXPECT_TRUE(says(fault(write("all", std::string(8, '\xff') + "{}")), "header would have"));
  const std::string length("\x03\0\0\0\0\0\0\0", 8);
  EXPECT_TRUE(
      says(fault(write("beyond", length + "{}")), "would have 3 bytes, but the file has 10"));
  const auto large = write("large", std::string("\x01\xe1\xf5\x05\0\0\0\0{", 9));
  std::filesystem::resize_file(large, 200'000'000);  // sparse: the header would fit
  EXPECT_TRUE(says(fault(large), "100000001 bytes"));
}

TEST_F(Safetensors, ReadsTheFileThatItOpened) {
  safetensors::write(folder_ / "x", {{"w", Type::u8, {3}, bytes_of("old")}});
  File file(folder_ / "x");
  safetensors::write(folder_ / "x", {{"w", Type::u8, {3}, bytes_of("new")}});
  EXPECT_EQ(file.read(*file.find("w")), bytes_of("old"));
  EXPECT_EQ(File(folder_ / "x").read(*File(folder_ / "x").find("w")), bytes_of("new"));
}

// Every 16-bit pattern survives, and every midpoint and its neighbours round to nearest even.
template <class To, class From>
void check_narrow(ir::DType dtype, To to, From from) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = from(static_cast<std::uint16_t>(bits));
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(from(to(value))));
      continue;
    }
    ASSERT_EQ(to(value), bits);
    const float next = from(static_cast<std::uint16_t>(bits + 1));
    if (!std::isfinite(value) || !std::isfinite(next)) continue;
    const float middle = static_cast<float>((static_cast<double>(value) + next) / 2);
    for (const float probe : {middle, std::nextafter(middle, value), std::nextafter(middle, next)})
      ASSERT_EQ(from(to(probe)), static_cast<float>(ir::round_to(dtype, probe))) << bits;
  }
  for (const float large : {65519.99f, 65520.0f, 1e30f, 3.4e38f, std::numeric_limits<float>::max()})
    EXPECT_EQ(from(to(-large)), static_cast<float>(ir::round_to(dtype, -large))) << large;
  for (const float small : {1e-45f, 2.9e-8f, 2.99e-8f, 5.9604645e-8f, 6.1e-5f})
    EXPECT_EQ(from(to(small)), static_cast<float>(ir::round_to(dtype, small))) << small;
}

TEST(NarrowFloat, F16RoundsToNearestEven) {
  check_narrow(ir::DType::f16, to_f16, from_f16);
}
TEST(NarrowFloat, Bf16RoundsToNearestEven) {
  check_narrow(ir::DType::bf16, to_bf16, from_bf16);
}

TEST(SafetensorsTypes, IntegersTruncateAndSaturate) {
  const float nan = std::numeric_limits<float>::quiet_NaN(),
              inf = std::numeric_limits<float>::infinity();
  const std::vector<float> values{1.9f, -1.9f, 300, -300, 3e9f, -3e9f, 1e19f, -1e19f, nan, inf};
  EXPECT_EQ(decode(encode(values, Type::i8), Type::i8),
            (std::vector<float>{1, -1, 127, -128, 127, -128, 127, -128, 0, 127}));
  EXPECT_EQ(decode(encode(values, Type::u8), Type::u8),
            (std::vector<float>{1, 0, 255, 0, 255, 0, 255, 0, 0, 255}));
  EXPECT_EQ(
      decode(encode(values, Type::i32), Type::i32),
      (std::vector<float>{1, -1, 300, -300, 0x1p31f, -0x1p31f, 0x1p31f, -0x1p31f, 0, 0x1p31f}));
  EXPECT_EQ(decode(encode(values, Type::i64), Type::i64),
            (std::vector<float>{1, -1, 300, -300, 3e9f, -3e9f, 0x1p63f, -0x1p63f, 0, 0x1p63f}));
  EXPECT_EQ(decode(encode(values, Type::boolean), Type::boolean), std::vector<float>(10, 1));
}

}  // namespace
}  // namespace taper::safetensors
