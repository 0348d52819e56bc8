// Prints the training speed of a model in images/s: gather, forward, loss, backward and update.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <string>

#include "models.h"

namespace {

struct Options {
  std::string model = "mlp", data = "data/mnist";
  int threads = 2, steps = 100, warmup = 5;
};

double images_per_second(const Options& options) {
  const auto set = taper::data::load_mnist(options.data, true);
  taper::Tape tape;
  const auto images = tape.input("images", {taper::N, 1, 28, 28}, taper::DType::u8);
  const auto labels = tape.input("labels", {taper::N}, taper::DType::i32);
  const auto model = options.model == "mlp" ? mlp() : cnn();
  initialise(model);
  const auto loss = cross_entropy(model(normalised(images)), labels);
  auto step = taper::compile(loss, taper::optim::Adam{}, {.threads = options.threads});
  taper::data::DataLoader loader(set, {.batch = 256, .shuffle = true});
  std::uint64_t epoch = 0;
  const auto run = [&](int steps) {
    double done = 0;
    for (int i = 0; i < steps; ++i) {
      auto batch = loader.next();
      if (batch.size < 256) {
        loader.start_epoch(++epoch);
        batch = loader.next();
      }
      step(batch.inputs, batch.targets);
      done += static_cast<double>(batch.size);
    }
    return done;
  };
  run(options.warmup);
  const auto start = std::chrono::steady_clock::now();
  const double done = run(options.steps);
  return done / std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Training speed of a model in images/s.");
  app.add_option("--model", options.model)->check(CLI::IsMember({"mlp", "cnn"}));
  app.add_option("--data", options.data);
  app.add_option("--threads", options.threads)->check(CLI::Range(1, 256));
  app.add_option("--steps", options.steps)->check(CLI::Range(1, 1000000));
  CLI11_PARSE(app, argc, argv);
  try {
    fmt::print("{:.1f}\n", images_per_second(options));
  } catch (const std::exception& error) {
    fmt::print(stderr, "train_speed: {}\n", error.what());
    return 1;
  }
}
