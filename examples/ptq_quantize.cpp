// Post-training quantization: trains the CNN, then compares f32, f16 and int8 by the size of the
// file, the accuracy on the test set and the images per second at batch 256.
#include <fmt/format.h>
#include <taper/taper.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "frontend/quantize.h"
#include "models.h"

namespace {

namespace fs = std::filesystem;

struct Options {
  std::string data = "data/mnist", files = ".";
  std::int64_t epochs = 3, calibration = 2048;
  double percentile = 99.99;
  std::uint64_t seed = 0;
  int threads = 0;
};

constexpr taper::Dim kBatch = 256;

void train(const taper::Tensor& logits, const taper::Tensor& loss, const Options& options,
           const taper::CompileOptions& compile) {
  auto step = taper::compile(loss, taper::optim::Adam{}, compile, {logits});
  taper::data::DataLoader images(taper::data::load_mnist(options.data, true),
                                 {.batch = kBatch, .shuffle = true, .seed = options.seed});
  const taper::optim::OneCycle schedule{3e-3, options.epochs * images.batches()};
  taper::Trainer trainer(step);
  const auto result =
      trainer.fit(images, nullptr, {.epochs = options.epochs, .learning_rate = schedule});
  if (!result.error.empty()) throw taper::Error(result.error);
}

taper::quantize::Quantized quantized(const taper::Tensor& logits, const Options& options,
                                     const taper::CompileOptions& compile) {
  taper::quantize::Calibration calibration({logits},
                                           {.percentile = options.percentile, .compile = compile});
  taper::data::DataLoader sample(taper::data::load_mnist(options.data, true),
                                 {.batch = kBatch, .shuffle = true, .seed = options.seed + 1});
  for (std::int64_t seen = 0; seen < options.calibration; seen += kBatch)
    calibration.run({{sample.next().inputs}});
  return calibration.finish();
}

// A model as it is loaded from its files.
struct Variant {
  std::string name;
  fs::path file;
  taper::Model model;
  taper::Function infer;
  std::vector<double> seconds;  // of runs over the test set

  Variant(std::string what, const fs::path& path, const taper::CompileOptions& compile)
      : name(std::move(what)),
        file(path),
        model(taper::load_model(path)),
        infer(taper::compile(model.outputs, compile)) {}

  std::uintmax_t weight_bytes() const {
    return fs::file_size(fs::path(file).replace_extension(".safetensors"));
  }
};

// The share of right answers; the time of whole batches goes to `seconds`.
double accuracy(Variant& variant, taper::data::DataLoader& test) {
  using Clock = std::chrono::steady_clock;
  std::int64_t correct = 0;
  double seconds = 0;
  test.start_epoch(0);
  for (auto batch = test.next(); batch.size > 0; batch = test.next()) {
    const auto start = Clock::now();
    const auto logits = variant.infer.run({{batch.inputs}});
    if (batch.size == kBatch)
      seconds += std::chrono::duration<double>(Clock::now() - start).count();
    const auto* labels = reinterpret_cast<const std::int32_t*>(batch.targets.bytes.data());
    for (std::int64_t i = 0; i < batch.size; ++i) {
      const auto row = logits.subspan(static_cast<std::size_t>(i) * 10, 10);
      correct += std::max_element(row.begin(), row.end()) - row.begin() == labels[i];
    }
  }
  variant.seconds.push_back(seconds);
  return static_cast<double>(correct) / static_cast<double>(test.samples());
}

void compare(std::vector<Variant>& variants, const Options& options) {
  constexpr int kRuns = 5;
  taper::data::DataLoader test(taper::data::load_mnist(options.data, false), {.batch = kBatch});
  std::vector<double> right(variants.size());
  for (int run = 0; run < kRuns; ++run)
    for (std::size_t i = 0; i < variants.size(); ++i) right[i] = accuracy(variants[i], test);
  const auto images = static_cast<double>(test.samples() / kBatch * kBatch);
  std::vector<double> speed;
  for (Variant& v : variants) {
    std::sort(v.seconds.begin(), v.seconds.end());
    speed.push_back(images / v.seconds[kRuns / 2]);
  }
  fmt::print("\n{:<6} {:>12} {:>9} {:>10} {:>12} {:>9}\n", "type", "weight bytes", "smaller",
             "accuracy", "images/s", "faster");
  for (std::size_t i = 0; i < variants.size(); ++i)
    fmt::print("{:<6} {:>12} {:>8.2f}x {:>8.2f} % {:>12.0f} {:>8.2f}x\n", variants[i].name,
               variants[i].weight_bytes(),
               static_cast<double>(variants[0].weight_bytes()) /
                   static_cast<double>(variants[i].weight_bytes()),
               100 * right[i], speed[i], speed[i] / speed[0]);
}

void run(const Options& options) {
  taper::manual_seed(options.seed);
  const taper::CompileOptions compile{.max_batch = kBatch, .threads = options.threads};
  taper::Tape tape;
  const auto images = tape.input("images", {taper::N, 1, 28, 28}, taper::DType::u8);
  const auto labels = tape.input("labels", {taper::N}, taper::DType::i32);
  const taper::nn::Sequential model = cnn();
  initialise(model);
  const auto logits = model(normalised(images));
  train(logits, cross_entropy(logits, labels), options, compile);

  const auto int8 = quantized(logits, options, compile);
  fmt::print("\n{}", taper::quantize::to_string(int8.layers));
  const fs::path folder = options.files;
  fs::create_directories(folder);
  taper::save_model(folder / "cnn_f32.tir", {logits});
  taper::save_model(folder / "cnn_f16.tir", {logits}, taper::safetensors::Type::f16);
  taper::save_model(folder / "cnn_int8.tir", int8.model.outputs);
  std::vector<Variant> variants;
  for (const char* name : {"f32", "f16", "int8"})
    variants.emplace_back(name, folder / fmt::format("cnn_{}.tir", name), compile);
  compare(variants, options);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Trains the CNN and compares f32, f16 and int8.", "ptq_quantize");
  app.option_defaults()->always_capture_default();
  app.add_option("--data", options.data, "folder of the four idx files")->take_last();
  app.add_option("--files", options.files, "folder for the saved models")->take_last();
  app.add_option("--epochs", options.epochs, "passes over the training set")
      ->check(CLI::Range(1, 1000));
  app.add_option("--calibration", options.calibration, "training images to observe")
      ->check(CLI::Range(1, 60000));
  app.add_option("--percentile", options.percentile, "of activations that are not clipped")
      ->check(CLI::Range(50.0, 100.0));
  app.add_option("--seed", options.seed, "of the initial weights and the order");
  app.add_option("--threads", options.threads, "0: all CPUs")->check(CLI::Range(0, 256));
  CLI11_PARSE(app, argc, argv);
  try {
    run(options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "ptq_quantize: {}\n", error.what());
    return 1;
  }
  return 0;
}
