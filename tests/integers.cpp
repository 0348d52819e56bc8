// Integer products: u8 activations times i8 weights, exact in i32, on every instruction set.
#include <gtest/gtest.h>
#include <taper/taper.h>

#include <bit>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "ir/eval.h"
#include "tests/masm_run.h"

namespace taper {
namespace {

using Record = std::function<Tensor(Tape&, const Tensor& x)>;

std::vector<std::uint8_t> bytes(std::size_t count, std::uint32_t stream) {
  std::vector<std::uint8_t> values(count);
  for (std::size_t i = 0; i < count; ++i)
    values[i] = static_cast<std::uint8_t>(ir::philox(i, stream, 0, 7) % 5 == 0
                                              ? 255  // saturation must not happen
                                              : ir::philox(i, stream, 1, 7));
  return values;
}

Tensor weight(Tape& tape, const Shape& shape, std::uint32_t stream) {
  const auto variable = std::make_shared<Variable>("w", ir::TensorType{DType::i8, shape});
  std::vector<float> values(static_cast<std::size_t>(ir::element_count(shape, 1)));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::uint32_t word = ir::philox(i, stream, 2, 7);
    const int value = word % 4 == 0   ? -128
                      : word % 4 == 1 ? 127
                                      : static_cast<int>(word % 200) - 90;
    values[i] = static_cast<float>(value);
  }
  variable->write(values);
  EXPECT_EQ(variable->read(), values);
  return tape.parameter(variable);
}

Tensor channels(Tape& tape, std::int64_t count, bool image, double step, double first) {
  std::vector<double> values;
  for (std::int64_t i = 0; i < count; ++i) values.push_back(first + step * static_cast<double>(i));
  return tape.constant(image ? Shape{count, 1, 1} : Shape{count}, values);
}

std::vector<float> run(const Record& record, const Shape& shape, Dim batch,
                       const CompileOptions& options) {
  Tape tape;
  const Tensor x = tape.input("x", shape, DType::u8);
  Function f = compile(record(tape, x), options);
  const auto count = static_cast<std::size_t>(ir::element_count(shape, batch));
  const auto y = f(bytes(count, 3));
  return {y.begin(), y.end()};
}

void expect_exact(const Record& record, const Shape& shape) {
  for (const Dim batch : {Dim{1}, Dim{5}}) {
    const auto expected = run(record, shape, batch, {.max_batch = 5, .interpret = true});
    for (const ir::Isa* isa : host_isas())
      for (const int threads : {1, 2}) {
        const auto got =
            run(record, shape, batch, {.max_batch = 5, .threads = threads, .isa = isa});
        ASSERT_EQ(got, expected) << isa->name << ", " << threads << " threads, batch " << batch;
      }
  }
}

struct Case {
  std::int64_t in, out, kernel, extent;
  ir::ConvAttrs attrs;
};
const Case kCases[] = {
    {16, 16, 3, 9, {.padding = {1, 1, 1, 1}}},
    {32, 48, 3, 14, {.padding = {1, 1, 1, 1}}},
    {5, 7, 3, 6, {.padding = {0, 1, 1, 0}}},
    {64, 20, 1, 7, {}},
    {18, 33, 5, 11, {.stride = {2, 2}, .padding = {2, 2, 2, 2}}},
    {40, 16, 3, 10, {.dilation = {2, 2}}},
};

TEST(Integers, ConvolutionWithScaleBiasAndRelu) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(testing::Message() << c.in << " -> " << c.out << ", kernel " << c.kernel);
    const Record record = [&](Tape& tape, const Tensor& x) {
      const Tensor y = conv2d(x, weight(tape, {c.out, c.in, c.kernel, c.kernel}, 1), c.attrs);
      const Tensor scale = channels(tape, c.out, true, 1e-4, 0.003);
      return relu(cast(y, DType::f32) * scale + channels(tape, c.out, true, -0.5, 3));
    };
    expect_exact(record, {N, c.in, c.extent, c.extent});
  }
}

// What stays in bytes from layer to layer, through pooling.
TEST(Integers, RequantizedChain) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(testing::Message() << c.in << " -> " << c.out << ", kernel " << c.kernel);
    const Record record = [&](Tape& tape, const Tensor& x) {
      const Tensor w = weight(tape, {c.out, c.in, c.kernel, c.kernel}, 1);
      const Tensor scale = channels(tape, c.out, true, 1e-4, 0.003);
      const Tensor y = relu(cast(conv2d(x, w, c.attrs), DType::f32) * scale);
      const Tensor bytes =
          max_pool2d(cast(y * 0.25 + 0.5, DType::u8),
                     {.kernel = {2, 2}, .stride = {1, 2}, .padding = {1, 0, 1, 0}});
      const Tensor again = conv2d(bytes, weight(tape, {24, c.out, 1, 1}, 9), {});
      return cast(again, DType::f32);
    };
    expect_exact(record, {N, c.in, c.extent, c.extent});
  }
}

TEST(Integers, FloatConvolutionThatStoresBytes) {
  const Record record = [](Tape& tape, const Tensor& x) {
    const auto w = std::make_shared<Variable>("v", ir::TensorType{DType::f32, {20, 3, 3, 3}});
    std::vector<float> values(540);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 7) - 3;
    w->write(values);
    const Tensor y = conv2d(cast(x, DType::f32), tape.parameter(w), {.padding = {1, 1, 1, 1}});
    return cast(cast(relu(y) * 0.125 + 0.5, DType::u8), DType::f32);
  };
  expect_exact(record, {N, 3, 9, 9});
}

TEST(Integers, Product) {
  for (const auto& [depth, columns] : {std::pair{16, 16}, {784, 128}, {128, 10}, {36, 50}}) {
    const Record record = [&, k = depth, n = columns](Tape& tape, const Tensor& x) {
      const Tensor w = weight(tape, {n, k}, 4);
      Tape& t = tape;
      const ir::ValueId product =
          ir::Builder(t.graph()).matmul(x.id(), w.id(), {.transpose_b = true});
      const Tensor y = cast(Tensor(t, product), DType::f32) * channels(tape, n, false, 1e-3, 0.01);
      return cast(cast(y + 100.5, DType::u8), DType::f32) + y;
    };
    expect_exact(record, {N, depth});
  }
}

void expect_error(const std::function<void(Tape&)>& record, const std::string& part) {
  Tape tape;
  try {
    record(tape);
    FAIL() << "no error with " << part;
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
  }
}

TEST(Integers, RefusesWhatHasNoMeaning) {
  expect_error(
      [](Tape& t) {
        conv2d(t.input("x", {N, 8, 4, 4}, DType::u8), weight(t, {8, 4, 3, 3}, 1), {.groups = 2});
      },
      "groups");
  expect_error(
      [](Tape& t) {
        conv2d(t.input("x", {N, 8, 4, 4}), weight(t, {8, 8, 3, 3}, 1), {});
      },
      "weight");
  expect_error(
      [](Tape& t) {
        conv2d(t.input("x", {N, 70000, 1, 1}, DType::u8), weight(t, {1, 70000, 1, 1}, 1), {});
      },
      "70000");
}

}  // namespace
}  // namespace taper
