// What looking at a training step costs: the step of the CNN as it is, with the clock read around
// every kernel (Executable::profile), and with its timeline written to a file (TAPER_TRACE), in
// turns.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bench/summary.h"
#include "models.h"
#include "runtime/executable.h"

namespace {

using taper::bench::Summary;
using taper::bench::summary;
namespace runtime = taper::runtime;
using Inputs = std::vector<runtime::InputBytes>;

struct Options {
  int threads = 2, rounds = 25;
  std::int64_t batch = 256;
};

// The step with Adam's update, as graph and variables.
void record_step(taper::Tape& tape) {
  const auto images = tape.input("images", {taper::N, 1, 28, 28}, taper::DType::u8);
  const auto labels = tape.input("labels", {taper::N}, taper::DType::i32);
  const auto model = cnn();
  initialise(model);
  const auto loss = mean(cross_entropy(model(normalised(images)), labels));
  const auto rate = tape.input("learning_rate", {});
  taper::optim::Optimizer(taper::optim::Adam{}).record(tape, loss, rate);
  tape.graph().outputs.push_back({"loss", loss.id()});
}

template <class T>
std::span<const std::byte> bytes_of(const std::vector<T>& values) {
  return std::as_bytes(std::span<const T>(values));
}

// The inputs of the step, in the program's order.
class Batch {
 public:
  explicit Batch(std::int64_t size)
      : images_(static_cast<std::size_t>(size) * 784), labels_(static_cast<std::size_t>(size)) {
    for (std::size_t i = 0; i < images_.size(); ++i) images_[i] = static_cast<std::uint8_t>(i * 7);
    for (std::size_t i = 0; i < labels_.size(); ++i) labels_[i] = static_cast<std::int32_t>(i % 10);
  }
  Inputs inputs(const runtime::Executable& program) const {
    Inputs inputs;
    for (const std::string& name : program.input_names())
      inputs.push_back(name == "images"   ? bytes_of(images_)
                       : name == "labels" ? bytes_of(labels_)
                                          : bytes_of(rate_));
    return inputs;
  }

 private:
  std::vector<std::uint8_t> images_;
  std::vector<std::int32_t> labels_;
  std::vector<float> rate_{1e-3f};
};

double seconds(const std::function<void()>& body) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  body();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void measure(const Options& options) {
  const std::string file = fmt::format("/tmp/taper-profiling-{}.json", getpid());
  taper::Tape tape;
  record_step(tape);
  const runtime::CompileOptions plain{.max_batch = options.batch, .threads = options.threads};
  runtime::CompileOptions traced = plain;
  traced.trace = file;
  runtime::Executable step = runtime::compile(tape.graph(), tape.variables(), plain);
  runtime::Executable observed = runtime::compile(tape.graph(), tape.variables(), traced);
  const Batch batch(options.batch);
  const Inputs inputs = batch.inputs(step), same = batch.inputs(observed);
  const std::vector<std::function<void()>> ways = {
      [&] { step.run(inputs, options.batch); },
      [&] { step.profile(inputs, options.batch); },
      [&] { observed.run(same, options.batch); },
  };
  std::vector<double> times, profiled, written;
  for (int round = -2; round < options.rounds; ++round) {  // two to warm up
    std::vector<double> took(ways.size());
    for (std::size_t i = 0; i < ways.size(); ++i) {
      const std::size_t way = (i + static_cast<std::size_t>(round + 2)) % ways.size();
      took[way] = seconds(ways[way]);
    }
    if (round < 0) continue;
    times.push_back(took[0] * 1e3);
    profiled.push_back((took[1] / took[0] - 1) * 100);
    written.push_back((took[2] / took[0] - 1) * 100);
  }
  std::remove(file.c_str());
  const auto shown = [](const Summary& s, const char* unit) {
    return fmt::format("{:.2f} ({:.2f}..{:.2f}) {}", s.median, s.least, s.most, unit);
  };
  fmt::print("cnn at batch {}, {} threads, {} rounds: median (least..most)\n", options.batch,
             options.threads, options.rounds);
  fmt::print("a step takes        {}\n", shown(summary(times), "ms"));
  fmt::print("profile() adds      {}\n", shown(summary(profiled), "%"));
  fmt::print("TAPER_TRACE adds    {}\n", shown(summary(written), "%"));
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("What profiling and tracing a training step cost.", "bench/run.sh profiling");
  Options options;
  app.add_option("--threads", options.threads)->check(CLI::Range(1, 256));
  app.add_option("--rounds", options.rounds)->check(CLI::Range(1, 100'000));
  app.add_option("--batch", options.batch)->check(CLI::Range(1, 60'000));
  CLI11_PARSE(app, argc, argv);
  try {
    measure(options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "profiling: {}\n", error.what());
    return 1;
  }
}
