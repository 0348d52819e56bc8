// One training step of small dense networks on one thread, taper's and others', the libraries in
// turn: a Markdown table of medians, in microseconds.
#include <fmt/format.h>
#include <omp.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <regex>

#include "bench/roofline.h"
#include "bench/small_net.h"
#include "bench/summary.h"
#include "ir/error.h"

namespace taper::bench {
namespace {

struct Options {
  std::string filter = ".", json;
  int rounds = 7;
  double milliseconds = 20;
};

struct Library {
  std::string name;
  std::unique_ptr<Trainer> (*make)(const NetData&);
};

// taper is the first.
const std::vector<Library> kLibraries{
    {"taper", make_taper_net},
    {"naive C++", make_naive_net},
#ifdef TAPER_BENCH_DLIB
    {"dlib", make_dlib_net},
#endif
#ifdef TAPER_BENCH_TORCH
    {"libtorch", make_torch_net},
#endif
};

std::vector<float> uniform(std::size_t size, double bound, std::mt19937& generator) {
  std::uniform_real_distribution<float> distribution(static_cast<float>(-bound),
                                                     static_cast<float>(bound));
  std::vector<float> values(size);
  for (float& value : values) value = distribution(generator);
  return values;
}

NetData make_data(const std::vector<std::int64_t>& widths, std::int64_t batch) {
  std::mt19937 generator(5);
  NetData data{widths, batch, {}, {}, {}, {}};
  for (std::size_t l = 0; l + 1 < widths.size(); ++l) {
    const auto in = static_cast<std::size_t>(widths[l]);
    const auto out = static_cast<std::size_t>(widths[l + 1]);
    data.weights.push_back(uniform(in * out, std::sqrt(6.0 / static_cast<double>(in)), generator));
    data.biases.push_back(uniform(out, 0.1, generator));
  }
  data.inputs = uniform(static_cast<std::size_t>(batch * widths.front()), 1, generator);
  data.targets = uniform(static_cast<std::size_t>(batch * widths.back()), 1, generator);
  return data;
}

// Every library learns the same: its losses of the first steps are taper's.
void check_losses(const std::string& name, const std::vector<std::unique_ptr<Trainer>>& nets) {
  for (int step = 0; step < 5; ++step) {
    const float ours = nets.front()->step();
    for (std::size_t i = 1; i < nets.size(); ++i) {
      const float theirs = nets[i]->step();
      if (nets[i]->comparable() && !(std::fabs(ours - theirs) <= 1e-3f * std::fabs(theirs)))
        throw Error(fmt::format("{}: after {} steps the loss of taper is {}, that of {} {}", name,
                                step, ours, kLibraries[i].name, theirs));
    }
  }
}

double seconds_of_step(Trainer& net, double enough) {
  for (int i = 0; i < 3; ++i) net.step();
  const double start = seconds(1);
  double time = 0;
  int steps = 0;
  for (int burst = 1; time < enough; burst *= 2) {
    for (int i = 0; i < burst; ++i) net.step();
    steps += burst;
    time = seconds(1) - start;
  }
  return time / steps;
}

struct Line {
  std::string name;
  std::vector<std::vector<double>> microseconds;  // by library and round
};

Line measure(const std::string& name, const NetData& data, const Options& options) {
  std::vector<std::unique_ptr<Trainer>> nets;
  for (const Library& library : kLibraries) nets.push_back(library.make(data));
  check_losses(name, nets);
  Line line{name, std::vector<std::vector<double>>(nets.size())};
  for (int round = 0; round < options.rounds; ++round)
    for (std::size_t i = 0; i < nets.size(); ++i)
      line.microseconds[i].push_back(1e6 * seconds_of_step(*nets[i], options.milliseconds * 1e-3));
  return line;
}

// How many times faster taper is, in each round.
Summary ratio(const Line& line, std::size_t library) {
  std::vector<double> ratios;
  for (std::size_t r = 0; r < line.microseconds[0].size(); ++r)
    ratios.push_back(line.microseconds[library][r] / line.microseconds[0][r]);
  return summary(std::move(ratios));
}

void print_header(const Options& options) {
  std::string peers = "Microseconds of a step";
#ifndef TAPER_BENCH_DLIB
  peers += "; built without dlib";
#endif
#ifndef TAPER_BENCH_TORCH
  peers += "; built without libtorch";
#endif
  fmt::print("{}; one thread, {} rounds: median (least..most); in brackets: times taper's\n\n",
             peers, options.rounds);
  std::string head = "| net, batch |", rule = "|---|";
  for (const Library& library : kLibraries) {
    head += " " + library.name + " |";
    rule += "---|";
  }
  fmt::print("{} fastest peer, times taper's |\n{}---|\n", head, rule);
}

void print_line(const Line& line) {
  std::string row = "| " + line.name + " |";
  std::size_t fastest = 1;
  for (std::size_t i = 0; i < kLibraries.size(); ++i) {
    const Summary s = summary(line.microseconds[i]);
    row += fmt::format(" {:.2f} ({:.2f}..{:.2f})", s.median, s.least, s.most);
    if (i > 0) row += fmt::format(" [{:.2f}]", ratio(line, i).median);
    row += " |";
    if (i > 0 && s.median < summary(line.microseconds[fastest]).median) fastest = i;
  }
  const Summary r = ratio(line, fastest);
  fmt::print("{} {}: {:.2f} ({:.2f}..{:.2f}) |\n", row, kLibraries[fastest].name, r.median, r.least,
             r.most);
  std::fflush(stdout);
}

nlohmann::json json_of(const Line& line) {
  nlohmann::json entry{{"name", line.name}};
  for (std::size_t i = 0; i < kLibraries.size(); ++i) {
    entry["microseconds"][kLibraries[i].name] = line.microseconds[i];
    if (i > 0) entry["ratio"][kLibraries[i].name] = ratio(line, i).median;
  }
  return entry;
}

void run(const Options& options) {
  omp_set_num_threads(1);
  // On one batch the gradients vanish soon. taper flushes denormals anyway.
  const runtime::FlushDenormals flush;
  const std::regex filter(options.filter);
  print_header(options);
  nlohmann::json lines = nlohmann::json::array();
  const std::vector<std::vector<std::int64_t>> nets{
      {4, 64, 64, 2}, {17, 256, 256, 6}, {784, 128, 128, 10}};
  for (const std::vector<std::int64_t>& widths : nets) {
    for (const std::int64_t batch : {1, 32, 256}) {
      const std::string name = fmt::format("{}, {}", fmt::join(widths, "-"), batch);
      if (!std::regex_search(name, filter)) continue;
      const Line line = measure(name, make_data(widths, batch), options);
      print_line(line);
      lines.push_back(json_of(line));
    }
  }
  if (options.json.empty()) return;
  std::ofstream stream(options.json);
  stream << lines.dump(1) << '\n';
  if (!stream.flush()) throw Error("cannot write " + options.json);
}

}  // namespace
}  // namespace taper::bench

int main(int argc, char** argv) {
  taper::bench::Options options;
  CLI::App app("Training steps of small networks against other libraries.");
  app.add_option("--filter", options.filter, "Regular expression over names as '4-64-64-2, 32'");
  app.add_option("--rounds", options.rounds, "Times that the libraries take turns on each net")
      ->check(CLI::Range(1, 1000));
  app.add_option("--milliseconds", options.milliseconds, "Time of each turn")
      ->check(CLI::Range(0.1, 1e5));
  app.add_option("--json", options.json, "File for everything that was measured");
  CLI11_PARSE(app, argc, argv);
  try {
    taper::bench::run(options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "small: {}\n", error.what());
    return 1;
  }
}
