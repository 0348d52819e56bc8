// Inputs given in one piece and image by image: the same bits, on any number of threads.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <taper/taper.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

#include "optim_vectors.h"
#include "tests/masm_run.h"

namespace taper {
namespace {

using recorded::error_of;
using recorded::expect_sentence;

constexpr Dim kMaxBatch = 64, kFeatures = 4096, kClasses = 10;  // work for several threads

constexpr std::size_t kImages = 100;

// Images in memory, and a batch of some of them.
struct Images {
  std::vector<std::uint8_t> pixels;
  std::vector<std::int32_t> labels;
  std::vector<const std::byte*> addresses, label_addresses;
  std::vector<std::uint8_t> chosen_pixels;
  std::vector<std::int32_t> chosen_labels;

  explicit Images(std::size_t batch) {
    std::mt19937 random(7);
    for (std::size_t i = 0; i < kImages * kFeatures; ++i)
      pixels.push_back(static_cast<std::uint8_t>(random() % 256));
    for (std::size_t i = 0; i < kImages; ++i)
      labels.push_back(static_cast<std::int32_t>(random() % kClasses));
    for (std::size_t i = 0; i < batch; ++i) {
      const std::size_t index = random() % kImages;
      const std::uint8_t* image = pixels.data() + index * kFeatures;
      addresses.push_back(reinterpret_cast<const std::byte*>(image));
      label_addresses.push_back(reinterpret_cast<const std::byte*>(&labels[index]));
      chosen_pixels.insert(chosen_pixels.end(), image, image + kFeatures);
      chosen_labels.push_back(labels[index]);
    }
  }
  InputView separate_images() const {
    return {DType::u8, runtime::InputBytes(addresses, kFeatures)};
  }
  InputView separate_labels() const {
    return {DType::i32, runtime::InputBytes(label_addresses, sizeof(std::int32_t))};
  }
};

// Reads the images by rows and across the batch: some kernels must wait for what another thread
// copies.
Function reading_in_both_ways(Tape& tape, CompileOptions options) {
  options.max_batch = kMaxBatch;
  const Tensor images = tape.input("images", {N, kFeatures}, DType::u8);
  const Tensor labels = tape.input("labels", {N}, DType::i32);
  nn::Linear head(kFeatures, kClasses);
  const Tensor x = cast(images, DType::f32) / 255;
  const Tensor logits = head(x);
  return compile({cross_entropy(logits, labels), mean(x, {0})}, options);
}

std::vector<std::vector<float>> outputs(Function& function, const InputView& images,
                                        const InputView& labels) {
  function(images, labels);
  std::vector<std::vector<float>> all;
  for (std::size_t i = 0; i < function.output_count(); ++i)
    all.emplace_back(function.output(i).begin(), function.output(i).end());
  return all;
}

TEST(Inputs, MayBeSeparateImages) {
  for (const bool interpret : {false, true})
    for (const int threads : {1, 2, 3}) {
      Tape tape;
      Function function = reading_in_both_ways(tape, {.threads = threads, .interpret = interpret});
      for (const std::size_t batch :
           {std::size_t{1}, std::size_t{2}, std::size_t{37}, static_cast<std::size_t>(kMaxBatch)}) {
        const Images images(batch);
        const auto expected = outputs(function, images.chosen_pixels, images.chosen_labels);
        EXPECT_EQ(outputs(function, images.separate_images(), images.chosen_labels), expected);
        EXPECT_EQ(outputs(function, images.separate_images(), images.separate_labels()), expected);
      }
    }
}

TEST(Inputs, MayAllBeSeparateImages) {
  Tape tape;
  const Tensor a = tape.input("a", {N, kFeatures}, DType::u8);
  const Tensor b = tape.input("b", {N, kFeatures}, DType::u8);
  Function difference = compile(cast(a, DType::f32) - cast(b, DType::f32), {.max_batch = 2});
  const Images images(2);
  const std::vector<const std::byte*> turned(images.addresses.rbegin(), images.addresses.rend());
  const InputView others(DType::u8, runtime::InputBytes(turned, kFeatures));
  const auto result = difference(images.separate_images(), others);
  for (std::size_t i = 0; i < result.size(); ++i) {
    const std::size_t other = (i + kFeatures) % result.size();
    ASSERT_EQ(result[i], static_cast<float>(images.chosen_pixels[i]) -
                             static_cast<float>(images.chosen_pixels[other]));
  }
}

// Nothing behind an image that is read where it lies, on any instruction set.
TEST(Inputs, MayEndWhereReadableMemoryDoes) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  void* memory =
      mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  auto* const end = static_cast<std::byte*>(memory) + page;
  ASSERT_EQ(mprotect(end, page, PROT_NONE), 0);
  std::fill(end - page, end, std::byte{3});
  for (const Dim elements : {Dim{255}, Dim{256}, Dim{257}, Dim{784}})
    for (const ir::Isa* isa : host_isas()) {
      Tape tape;
      const Tensor images = tape.input("images", {N, elements}, DType::u8);
      Function function = compile(cast(images, DType::f32) + 1, {.max_batch = 2, .isa = isa});
      const auto size = static_cast<std::size_t>(elements);
      const std::vector<const std::byte*> addresses{end - size, end - size};
      function(InputView(DType::u8, runtime::InputBytes(addresses, size)));
      for (const float value : function.output(0)) ASSERT_EQ(value, 4) << isa->name;
    }
  munmap(memory, 2 * page);
}

// Also where threads met before it in the first run alone, which computed from weights.
TEST(Inputs, AreAllThereBeforeAKernelReadsAcrossImages) {
  constexpr std::size_t kWide = 1 << 16;
  Tape tape;
  const Tensor images = tape.input("images", {N, static_cast<Dim>(kWide)});
  const auto weight = std::make_shared<Variable>("w", ir::TensorType{DType::f32, {64, 64}});
  const Tensor powers = exp(tape.parameter(weight));
  Function function =
      compile({mean(images, {0}), matmul(powers, powers)}, {.max_batch = kMaxBatch, .threads = 2});
  EXPECT_EQ(function.report().barriers, 2u);
  for (int run = 0; run < 20; ++run) {
    const std::vector<float> image(kWide, static_cast<float>(run));
    const std::vector<const std::byte*> addresses(kMaxBatch,
                                                  reinterpret_cast<const std::byte*>(image.data()));
    function(InputView(DType::f32, runtime::InputBytes(addresses, kWide * sizeof(float))));
    EXPECT_EQ(std::vector<float>(function.output(0).begin(), function.output(0).end()), image);
  }
}

TEST(Inputs, MayBeOneSeparateImageOfAProgramForOne) {
  Tape tape;
  Function function = compile(tape.input("images", {N, 2}) * 2, {.max_batch = 1});
  const float numbers[]{1, 2};
  const std::byte* const address = reinterpret_cast<const std::byte*>(numbers);
  function(InputView(DType::f32, runtime::InputBytes({&address, 1}, sizeof numbers)));
  EXPECT_EQ(function.output(0)[1], 4);
}

TEST(Inputs, OfSeparateImagesAreChecked) {
  Tape tape;
  const Tensor images = tape.input("images", {N, 2});
  const Tensor bias = tape.input("bias", {2});
  Function function = compile(images + bias, {.max_batch = 4});
  const std::vector<float> numbers{1, 2, 3, 4};
  const std::byte* const address = reinterpret_cast<const std::byte*>(numbers.data());
  const std::vector<const std::byte*> one{address}, three{address, address, address};
  const auto view = [](const std::vector<const std::byte*>& from, std::size_t bytes) {
    return InputView(DType::f32, runtime::InputBytes(from, bytes));
  };
  const std::vector<float> two{1, 2};
  EXPECT_EQ(function(view(three, 8), two)[5], 4);
  expect_sentence(error_of([&] { function(view(three, 7), two); }), {"images", "21 bytes"});
  expect_sentence(error_of([&] { function(view(one, 16), two); }),
                  {"images", "1 separate images at batch 2"});
  expect_sentence(error_of([&] { function(numbers, view(one, 8)); }),
                  {"bias", "cannot be 1 separate images"});
}

}  // namespace
}  // namespace taper
