// Prints the speed of a model as a line of JSON: images per second of its training step (gather,
// forward, loss, backward and update) or of inference, and the peak of memory.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <memory>
#include <random>
#include <string>

#include "bench/memory_peak.h"
#include "models.h"
#include "models/image_model.h"

namespace {

struct Options {
  std::string model = "mlp", data = "data/mnist";
  taper::Dim batch = 256;
  int threads = 2, steps = 100, warmup = 5;
  bool infer = false;

  bool of_mnist() const { return model == "mlp" || model == "cnn"; }
  taper::Shape image() const {
    return of_mnist() ? taper::Shape{taper::N, 1, 28, 28} : taper::Shape{taper::N, 3, 224, 224};
  }
};

std::unique_ptr<taper::nn::Module> make_model(const Options& options) {
  if (!options.of_mnist()) return models::image_model(options.model);
  auto model = std::make_unique<taper::nn::Sequential>(options.model == "mlp" ? mlp() : cnn());
  initialise(*model);
  return model;
}

taper::CompileOptions compile_options(const Options& options) {
  return {.max_batch = options.batch, .threads = options.threads};
}

// Calls `step` and prints how fast it went; `peak` has run since before the model was made.
template <class Step>
void report(const Options& options, const taper::bench::MemoryPeak& peak, const Step& step) {
  for (int i = 0; i < options.warmup; ++i) step();
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  for (int i = 0; i < options.steps; ++i) step();
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  fmt::print("{{\"images_per_second\": {:.1f}, \"peak_bytes\": {}}}\n",
             static_cast<double>(options.batch * options.steps) / seconds, peak.bytes());
}

void train_on_mnist(const Options& options) {
  const auto set = taper::data::load_mnist(options.data, true);
  taper::data::DataLoader loader(set, {.batch = options.batch, .shuffle = true});
  const taper::bench::MemoryPeak peak;
  taper::Tape tape;
  const auto images = tape.input("images", options.image(), taper::DType::u8);
  const auto labels = tape.input("labels", {taper::N}, taper::DType::i32);
  const auto model = make_model(options);
  const auto loss = cross_entropy((*model)(normalised(images)), labels);
  auto step = taper::compile(loss, taper::optim::Adam{}, compile_options(options));
  std::uint64_t epoch = 0;
  report(options, peak, [&] {
    auto batch = loader.next();
    if (batch.size < options.batch) {
      loader.start_epoch(++epoch);
      batch = loader.next();
    }
    step(batch.inputs, batch.targets);
  });
}

void train_on_synthetic_images(const Options& options) {
  const auto data = models::synthetic_images(options.batch, 224, 1000);
  const taper::bench::MemoryPeak peak;
  taper::Tape tape;
  const auto images = tape.input("images", options.image());
  const auto labels = tape.input("labels", {taper::N}, taper::DType::i32);
  const auto model = make_model(options);
  const auto loss = cross_entropy((*model)(images), labels);
  auto step = taper::compile(loss, taper::optim::Adam{1e-4f}, compile_options(options));
  report(options, peak, [&] { step(data.images, data.labels); });
}

void infer(const Options& options) {
  taper::Dim values = options.batch;
  for (const auto extent : options.image())
    if (extent != taper::N) values *= extent;
  std::mt19937 random(0);
  std::normal_distribution<float> normal;
  std::vector<float> images(static_cast<std::size_t>(values));
  for (float& value : images) value = normal(random);
  const taper::bench::MemoryPeak peak;
  taper::Tape tape;
  const auto input = tape.input("images", options.image());
  const auto model = make_model(options);
  auto predict = taper::compile((*model)(input), compile_options(options));
  report(options, peak, [&] { predict(images); });
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Speed and memory of a model's training step or of its inference.");
  app.add_option("--model", options.model)
      ->check(CLI::IsMember({"mlp", "cnn", "resnet18", "mobilenet_v2", "vgg11"}));
  app.add_option("--data", options.data, "Folder of MNIST, for training mlp and cnn");
  app.add_option("--batch", options.batch)->check(CLI::Range(1, 60000));
  app.add_option("--threads", options.threads)->check(CLI::Range(1, 256));
  app.add_option("--steps", options.steps)->check(CLI::Range(1, 1000000));
  app.add_option("--warmup", options.warmup)->check(CLI::Range(1, 1000000));
  app.add_flag("--infer", options.infer, "No training; f32 images");
  CLI11_PARSE(app, argc, argv);
  try {
    if (options.infer)
      infer(options);
    else if (options.of_mnist())
      train_on_mnist(options);
    else
      train_on_synthetic_images(options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "model_speed: {}\n", error.what());
    return 1;
  }
}
