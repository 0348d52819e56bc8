#include "classifier.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "models.h"

namespace {

bool parse(int argc, char** argv, Options& options, int& status) {
  CLI::App app("Trains a model on images of 28 x 28 pixels in ten classes.", options.name);
  app.option_defaults()->always_capture_default();
  app.add_option("--data", options.data, "folder of the four idx files");
  app.add_option("--epochs", options.epochs, "passes over the training set")
      ->check(CLI::Range(1, 1000));
  app.add_option("--batch", options.batch, "images of a step")->check(CLI::Range(1, 65536));
  app.add_option("--learning-rate", options.learning_rate, "peak of the one-cycle schedule")
      ->check(CLI::PositiveNumber);
  app.add_option("--shift", options.shift, "move training images by up to so many pixels")
      ->check(CLI::Range(0, 28));
  app.add_flag("--flip,!--no-flip", options.flip, "mirror half of the training images");
  app.add_option("--seed", options.seed, "of the initial weights, the order and the augmentation");
  app.add_option("--threads", options.threads, "0: all CPUs")->check(CLI::Range(0, 256));
  app.add_option("--history", options.history, "PREFIX of PREFIX.csv and PREFIX.svg");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    status = app.exit(error);
    return false;
  }
  return true;
}

void print_report(const Options& options, const taper::runtime::Report& report) {
  fmt::print(
      "{}: {} kernels ({}, {} threads), arena {:.1f} MB, code {:.0f} KB, compiled in {:.1f} ms\n",
      options.name, report.kernels, report.isa, report.threads,
      static_cast<double>(report.arena_bytes) / 1e6, static_cast<double>(report.code_bytes) / 1e3,
      report.compile_seconds * 1e3);
}

void train(const Options& options, const std::function<taper::nn::Sequential()>& make_model) {
  taper::manual_seed(options.seed);
  taper::Tape tape;
  const auto images = tape.input("images", {taper::N, 1, 28, 28}, taper::DType::u8);
  const auto labels = tape.input("labels", {taper::N}, taper::DType::i32);
  const taper::nn::Sequential model = make_model();
  const auto logits = model(normalised(images));
  const auto loss = cross_entropy(logits, labels);

  const taper::CompileOptions compile{.max_batch = options.batch, .threads = options.threads};
  auto step = taper::compile(loss, taper::optim::Adam{}, compile, {logits});
  auto evaluate = taper::compile({loss, logits}, compile);
  print_report(options, step.report());

  taper::data::LoaderOptions loading{.batch = options.batch, .shuffle = true, .seed = options.seed};
  if (options.shift > 0) loading.augment.emplace_back(taper::data::Shift{options.shift});
  if (options.flip) loading.augment.emplace_back(taper::data::HorizontalFlip{});
  taper::data::DataLoader train_set(taper::data::load_mnist(options.data, true), loading);
  taper::data::DataLoader test_set(taper::data::load_mnist(options.data, false),
                                   {.batch = options.batch});

  taper::Trainer trainer(step, &evaluate);
  const taper::optim::OneCycle schedule{options.learning_rate,
                                        options.epochs * train_set.batches()};
  const auto result =
      trainer.fit(train_set, &test_set, {.epochs = options.epochs, .learning_rate = schedule});
  if (!options.history.empty()) {
    trainer.history().write_csv(options.history + ".csv");
    trainer.history().write_svg(options.history + ".svg", options.name);
    fmt::print("history: {0}.csv and {0}.svg\n", options.history);
  }
  if (!result.error.empty()) throw taper::Error(result.error);
  fmt::print("test accuracy: {:.2f} %\n",
             100 * trainer.history().epochs.back().validation_accuracy);
}

}  // namespace

int run_classifier(int argc, char** argv, Options defaults,
                   const std::function<taper::nn::Sequential()>& make_model) {
  int status = 0;
  if (!parse(argc, argv, defaults, status)) return status;
  try {
    train(defaults, make_model);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}: {}\n", defaults.name, error.what());
    return 1;
  }
  return 0;
}
