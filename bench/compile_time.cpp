// The time from a recorded tape to the first result of a training step, and the size of the code.
// Every sample is a process of its own, so that no kernel is there already.
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>
#include <regex>

#include "bench/summary.h"
#include "models.h"
#include "models/image_model.h"

namespace {

using taper::bench::Summary;
using taper::bench::summary;

struct Options {
  int rounds = 9, threads = 2;
  std::int64_t batch = 256;
  std::string filter = ".", json;
};

// What a process sends to its parent.
struct Sample {
  double compile = 0, first_result = 0;  // seconds since the tape was recorded
  double later = 0;                      // of the next step
  std::size_t code_bytes = 0, kernels = 0;
};

struct Model {
  std::string name;
  taper::Shape image;  // u8
  taper::Dim batch;
  std::unique_ptr<taper::nn::Module> (*make)();
};

template <taper::nn::Sequential (*make)()>
std::unique_ptr<taper::nn::Module> initialised() {
  auto model = std::make_unique<taper::nn::Sequential>(make());
  initialise(*model);
  return model;
}

std::vector<Model> models_to_compile(const Options& options) {
  return {{"mlp", {1, 28, 28}, options.batch, initialised<mlp>},
          {"cnn", {1, 28, 28}, options.batch, initialised<cnn>},
          {"resnet18", {3, 224, 224}, 16, [] { return models::image_model("resnet18"); }}};
}

Sample measure(const Model& model, const Options& options) {
  const auto batch = static_cast<std::size_t>(model.batch);
  std::size_t values = batch;
  for (const auto extent : model.image) values *= static_cast<std::size_t>(extent);
  std::vector<std::uint8_t> images(values);
  std::iota(images.begin(), images.end(), std::uint8_t{0});
  std::vector<std::int32_t> labels(batch);
  for (std::size_t i = 0; i < batch; ++i) labels[i] = static_cast<std::int32_t>(i % 10);

  taper::Tape tape;
  taper::Shape shape = model.image;
  shape.insert(shape.begin(), taper::N);
  const auto x = tape.input("images", shape, taper::DType::u8);
  const auto y = tape.input("labels", {taper::N}, taper::DType::i32);
  const auto network = model.make();
  const auto loss = cross_entropy((*network)(normalised(x)), y);

  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  const auto since = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  auto step = taper::compile(loss, taper::optim::Adam{},
                             {.max_batch = model.batch, .threads = options.threads});
  Sample sample;
  sample.compile = since();
  step(images, labels);
  sample.first_result = since();
  step(images, labels);
  sample.later = since() - sample.first_result;
  sample.code_bytes = step.report().code_bytes;
  sample.kernels = step.report().kernels;
  return sample;
}

[[noreturn]] void send_sample(const Model& model, const Options& options, int pipe) {
  int status = 1;
  try {
    const Sample sample = measure(model, options);
    status = write(pipe, &sample, sizeof(sample)) == sizeof(sample) ? 0 : 1;
  } catch (const std::exception& error) {
    fmt::print(stderr, "compile_time: {}\n", error.what());
  }
  // Not exit: what the parent has registered is the parent's.
  _exit(status);
}

Sample sample_of_fresh_process(const Model& model, const Options& options) {
  int ends[2];
  if (pipe(ends) != 0) throw taper::Error("cannot make a pipe");
  const pid_t child = fork();
  if (child < 0) throw taper::Error("cannot start a process");
  if (child == 0) send_sample(model, options, ends[1]);
  close(ends[1]);
  Sample sample;
  const bool whole = read(ends[0], &sample, sizeof(sample)) == sizeof(sample);
  close(ends[0]);
  waitpid(child, nullptr, 0);
  if (!whole) throw taper::Error("the training step of " + model.name + " was not measured");
  return sample;
}

std::vector<double> milliseconds(const std::vector<Sample>& samples, double Sample::*field) {
  std::vector<double> values;
  for (const Sample& sample : samples) values.push_back(1e3 * (sample.*field));
  return values;
}

void run(const Options& options) {
  std::vector<Model> models = models_to_compile(options);
  std::erase_if(models, [&](const Model& model) {
    return !std::regex_search(model.name, std::regex(options.filter));
  });
  if (models.empty()) throw taper::Error("no model's name matches " + options.filter);
  std::vector<std::vector<Sample>> samples(models.size());
  for (int round = 0; round < options.rounds; ++round)
    for (std::size_t m = 0; m < samples.size(); ++m)
      samples[m].push_back(sample_of_fresh_process(models[m], options));
  fmt::print(
      "Milliseconds from the recorded tape, {} threads, {} processes: median "
      "(least..most)\n\n"
      "| training step | compiled | first result | next step alone | code, bytes | kernels |\n"
      "|---|---|---|---|---|---|\n",
      options.threads, options.rounds);
  nlohmann::json lines = nlohmann::json::array();
  for (std::size_t m = 0; m < samples.size(); ++m) {
    std::string row = fmt::format("| {}, batch {} |", models[m].name, models[m].batch);
    nlohmann::json line{{"name", models[m].name},
                        {"batch", models[m].batch},
                        {"code_bytes", samples[m][0].code_bytes},
                        {"kernels", samples[m][0].kernels}};
    for (const auto& [name, field] :
         {std::pair("compiled", &Sample::compile), std::pair("first_result", &Sample::first_result),
          std::pair("next_step", &Sample::later)}) {
      const std::vector<double> values = milliseconds(samples[m], field);
      const Summary s = summary(values);
      row += fmt::format(" {:.2f} ({:.2f}..{:.2f}) |", s.median, s.least, s.most);
      line["milliseconds"][name] = values;
    }
    fmt::print("{} {} | {} |\n", row, samples[m][0].code_bytes, samples[m][0].kernels);
    lines.push_back(std::move(line));
  }
  if (options.json.empty()) return;
  std::ofstream stream(options.json);
  stream << lines.dump(1) << '\n';
  if (!stream.flush()) throw taper::Error("cannot write " + options.json);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Time from a recorded tape to the first result of a training step.");
  app.add_option("--rounds", options.rounds, "Processes for each model")
      ->check(CLI::Range(1, 1000));
  app.add_option("--filter", options.filter, "Regular expression over mlp, cnn and resnet18");
  app.add_option("--threads", options.threads)->check(CLI::Range(1, 256));
  app.add_option("--batch", options.batch, "Of mlp and cnn")->check(CLI::Range(1, 65536));
  app.add_option("--json", options.json, "File for everything that was measured");
  CLI11_PARSE(app, argc, argv);
  try {
    run(options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "compile_time: {}\n", error.what());
    return 1;
  }
}
