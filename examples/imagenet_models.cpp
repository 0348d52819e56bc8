// Trains a network of examples/models on a fixed batch of synthetic images, or infers with it, and
// prints what the compiler planned and how fast it runs.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>

#include "models/image_model.h"
#include "models/weights.h"

namespace {

struct Options {
  std::string model = "resnet18";
  std::int64_t batch = 16, image = 224, classes = 1000;
  int steps = 10, threads = 0;
  float learning_rate = 1e-4f;
  bool infer = false;
};

// Seconds that a call takes.
template <class Call>
double seconds_of(const Call& call) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  call();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void print_plan(const taper::runtime::Report& report, double seconds) {
  fmt::print("compiled in {:.0f} ms for {} on {} threads: {} kernel calls, {} bytes of code\n",
             1e3 * seconds, report.isa, report.threads, report.kernels, report.code_bytes);
  fmt::print("planned peak of activations and gradients: {:.1f} MiB\n",
             static_cast<double>(report.arena_bytes) / (1 << 20));
}

void print_speed(const Options& options, int runs, double seconds) {
  if (runs > 0)
    fmt::print("{:.1f} images/s\n", static_cast<double>(options.batch * runs) / seconds);
}

void infer(const Options& options, const taper::Tensor& logits,
           const models::SyntheticImages& data) {
  std::optional<taper::Function> predict;
  const double compiling = seconds_of([&] {
    predict.emplace(
        taper::compile(logits, {.max_batch = options.batch, .threads = options.threads}));
  });
  print_plan(predict->report(), compiling);
  const double first = seconds_of([&] { (*predict)(data.images); });
  fmt::print("first batch: {:.1f} ms\n", 1e3 * first);
  const double seconds = seconds_of([&] {
    for (int i = 0; i < options.steps; ++i) (*predict)(data.images);
  });
  print_speed(options, options.steps, seconds);
}

void train(const Options& options, const taper::Tensor& loss, const models::SyntheticImages& data) {
  std::optional<taper::TrainingStep> step;
  const double compiling = seconds_of([&] {
    step.emplace(taper::compile(loss, taper::optim::Adam{options.learning_rate},
                                {.max_batch = options.batch, .threads = options.threads}));
  });
  print_plan(step->report(), compiling);
  const float first = (*step)(data.images, data.labels);
  fmt::print("step   0  loss {:.4f}\n", first);
  float last = first;
  double seconds = 0;
  for (int i = 1; i < options.steps; ++i) {
    seconds += seconds_of([&] { last = (*step)(data.images, data.labels); });
    fmt::print("step {:3}  loss {:.4f}\n", i, last);
  }
  print_speed(options, options.steps - 1, seconds);
  if (options.steps >= 5 && !(last < first))
    throw taper::Error("the loss did not fall: try another --learning-rate");
}

void run(const Options& options) {
  const auto model = models::image_model(options.model, options.classes);
  taper::Tape tape;
  const auto images = tape.input("images", {taper::N, 3, options.image, options.image});
  const auto logits = (*model)(images);
  fmt::print("{}: {} parameters, batch {}, images of {} x {}\n", options.model,
             models::parameter_count(*model), options.batch, options.image, options.image);
  const auto data = models::synthetic_images(options.batch, options.image, options.classes);
  if (options.infer) return infer(options, logits, data);
  const auto labels = tape.input("labels", {taper::N}, taper::DType::i32);
  train(options, cross_entropy(logits, labels), data);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Trains an image network on synthetic data, or infers with it.");
  app.add_option("--model", options.model)->check(CLI::IsMember(models::image_model_names()));
  app.add_option("--batch", options.batch)->check(CLI::Range(1, 4096));
  app.add_option("--image", options.image, "Height and width")->check(CLI::Range(32, 1024));
  app.add_option("--classes", options.classes)->check(CLI::Range(2, 100000));
  app.add_option("--steps", options.steps, "Training steps, or batches to infer")
      ->check(CLI::Range(1, 1000000));
  app.add_option("--threads", options.threads, "0: as many as there are CPUs")
      ->check(CLI::Range(0, 256));
  app.add_option("--learning-rate", options.learning_rate)->check(CLI::PositiveNumber);
  app.add_flag("--infer", options.infer, "No training");
  CLI11_PARSE(app, argc, argv);
  try {
    run(options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "imagenet_models: {}\n", error.what());
    return 1;
  }
}
