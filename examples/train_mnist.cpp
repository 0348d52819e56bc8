// Trains one of two models on MNIST: the whole of taper in one program.
#include <fmt/format.h>
#include <taper/taper.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <string>

#include "models.h"
#include "progress.h"

namespace {

struct Options {
  std::string model = "cnn", data = "data/mnist";
  int epochs = 0;
  taper::Dim batch = 256;
  std::uint64_t seed = 0;
  double learning_rate = 0;
  int threads = 0;
};

std::int64_t count_correct(std::span<const float> logits, std::span<const std::int32_t> labels) {
  std::int64_t correct = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const auto row = logits.subspan(i * 10, 10);
    correct += std::max_element(row.begin(), row.end()) - row.begin() == labels[i];
  }
  return correct;
}

double accuracy_on(taper::Function& infer, const taper::data::Images& images, taper::Dim batch) {
  taper::data::Loader loader(images, static_cast<std::size_t>(batch), /*shuffle=*/false);
  std::int64_t correct = 0;
  for (auto part = loader.next(); part.size() > 0; part = loader.next())
    correct += count_correct(infer(part.images), part.labels);
  return static_cast<double>(correct) / static_cast<double>(images.count);
}

void train(const Options& options) {
  const auto train_set = taper::data::load_mnist(options.data, true);
  const auto test_set = taper::data::load_mnist(options.data, false);
  taper::manual_seed(options.seed);

  taper::Tape tape;
  const auto images = tape.input("images", {taper::N, 1, 28, 28}, taper::DType::u8);
  const auto labels = tape.input("labels", {taper::N}, taper::DType::i32);
  const taper::nn::Sequential model = options.model == "mlp" ? mlp() : cnn();
  initialise(model);
  const auto logits = model(normalised(images));
  const auto loss = cross_entropy(logits, labels);

  const taper::CompileOptions compile{
      .max_batch = options.batch, .threads = options.threads, .name = "train"};
  auto step = taper::compile(loss, taper::optim::Adam{}, compile, {logits});
  auto infer = taper::compile(
      logits, {.max_batch = options.batch, .threads = options.threads, .name = "infer"});
  const auto& report = step.report();
  fmt::print(
      "{} on MNIST: {} kernels ({}, {} threads), arena {:.1f} MB, code {:.0f} KB, compiled in "
      "{:.1f} ms\n",
      options.model, report.kernels, report.isa, report.threads,
      static_cast<double>(report.arena_bytes) / 1e6, static_cast<double>(report.code_bytes) / 1e3,
      report.compile_seconds * 1e3);

  taper::data::Loader loader(train_set, static_cast<std::size_t>(options.batch), true,
                             options.seed);
  const auto steps = static_cast<std::int64_t>(loader.batches());
  const taper::optim::OneCycle schedule{options.learning_rate, steps * options.epochs};
  Progress progress(options.epochs, train_set.count);
  for (int epoch = 0; epoch < options.epochs; ++epoch) {
    progress.start_epoch(epoch);
    loader.start_epoch(static_cast<std::uint64_t>(epoch));
    double loss_sum = 0;
    std::int64_t done = 0, correct = 0;
    for (std::int64_t i = 0; i < steps; ++i) {
      const auto batch = loader.next();
      step.learning_rate = schedule(epoch * steps + i);
      loss_sum +=
          static_cast<double>(step(batch.images, batch.labels)) * static_cast<double>(batch.size());
      correct += count_correct(step.output(0), batch.labels);
      done += static_cast<std::int64_t>(batch.size());
      progress.update(done, loss_sum / static_cast<double>(done),
                      static_cast<double>(correct) / static_cast<double>(done));
    }
    const double test = accuracy_on(infer, test_set, options.batch);
    progress.end_epoch(loss_sum / static_cast<double>(done),
                       static_cast<double>(correct) / static_cast<double>(done),
                       fmt::format("  test {:.2f} %", 100 * test));
  }
  fmt::print("test accuracy: {:.2f} %\n", 100 * accuracy_on(infer, test_set, options.batch));
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Trains a small model on MNIST.");
  app.add_option("--model", options.model, "mlp or cnn")->check(CLI::IsMember({"mlp", "cnn"}));
  app.add_option("--data", options.data, "folder of the four idx files");
  app.add_option("--epochs", options.epochs, "passes over the training set (mlp 10, cnn 6)")
      ->check(CLI::Range(1, 1000));
  app.add_option("--batch", options.batch, "images of a step")->check(CLI::Range(1, 65536));
  app.add_option("--seed", options.seed, "of the initial weights and the shuffling");
  app.add_option("--learning-rate", options.learning_rate,
                 "peak of the one-cycle schedule (mlp 5e-3, cnn 3e-3)")
      ->check(CLI::PositiveNumber);
  app.add_option("--threads", options.threads, "0: all CPUs")->check(CLI::Range(0, 256));
  CLI11_PARSE(app, argc, argv);
  const bool is_mlp = options.model == "mlp";
  if (options.epochs == 0) options.epochs = is_mlp ? 10 : 6;
  if (options.learning_rate == 0) options.learning_rate = is_mlp ? 5e-3 : 3e-3;
  try {
    train(options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "train_mnist: {}\n", error.what());
    return 1;
  }
  return 0;
}
