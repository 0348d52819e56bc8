// taper bench: kernel by kernel, how fast and how near to the roofline.
#include <fmt/format.h>

#include <memory>

#include "runtime/environment.h"
#include "tools/command.h"
#include "tools/measure.h"
#include "tools/peer.h"
#include "tools/problem.h"
#include "tools/source.h"
#include "tools/train_graph.h"

namespace taper::tools {
namespace {

constexpr std::string_view kExamples = R"(
Examples:
  taper bench model.tir --batch 64
  taper bench model.tir --batch 256 --train loss --optimizer adam --format csv
  taper bench --conv mb256ic32ih28oc32oh28kh3ph1 --dir all
  taper bench --gemm 256x128x784 --threads 1 --format json
  taper bench model.tir --batch 64 --counters
  taper bench --conv mb16ic64ih56oc64oh56kh3ph1 --versus onednn
)";

struct BenchOptions {
  std::string file, convolution, product, direction = "fwd", format = "table", loss,
                                          optimizer = "sgd", versus;
  double seconds = 1;
  bool counters = false;
  Settings settings;
};

void print(const Measured& measured, const std::string& format) {
  if (format == "csv")
    fmt::print("{}", as_csv(measured));
  else if (format == "json")
    fmt::print("{}", as_json(measured));
  else
    fmt::print("{}", as_table(measured));
}

void print_comparison(const BenchOptions& options, const Problem& problem) {
  if (compare_with_onednn == nullptr)
    throw Error("--versus: this build has no oneDNN: configure with -DTAPER_BUILD_BENCH=ON");
  if (!problem.comparable)
    throw Error(
        "--versus: compares square images and kernels, padded by (kernel - 1) / 2, one group or "
        "depthwise, and products");
  const runtime::CompileOptions made = runtime::resolve(compile_options(options.settings, 1));
  if (made.interpret) throw Error("--versus: the interpreter runs; taper info says why");
  Contraction contraction = *problem.comparable;
  if (options.settings.batch > 0) contraction.batch = options.settings.batch;
  const Comparison c = compare_with_onednn(contraction, *made.isa, made.threads);
  fmt::print(
      "{}: taper {:.1f} us, {:.1f} GFLOP/s{}; oneDNN {:.1f} us, {:.1f} GFLOP/s, {}: ratio {:.2f}\n",
      problem.name, c.ours * 1e6, c.flops / c.ours / 1e9,
      c.our_choice.empty() ? "" : ", " + c.our_choice, c.theirs * 1e6, c.flops / c.theirs / 1e9,
      c.their_choice, c.theirs / c.ours);
}

void bench_problems(const BenchOptions& options, const std::vector<Problem>& problems) {
  for (const Problem& problem : problems) {
    if (!options.versus.empty()) {
      print_comparison(options, problem);
      continue;
    }
    Settings settings = options.settings;
    if (settings.batch == 0) settings.batch = problem.batch;
    if (options.format == "table") fmt::print("{}\n", problem.name);
    print(measure(problem.graph, settings, options.seconds, options.counters), options.format);
  }
}

void run_bench(const BenchOptions& options) {
  const int given = !options.file.empty() + !options.convolution.empty() + !options.product.empty();
  if (given != 1) throw Error("bench: give one of FILE, --conv and --gemm");
  if (!options.versus.empty() && !options.file.empty())
    throw Error("--versus: is for --conv and --gemm");
  if (!options.convolution.empty())
    return bench_problems(options, convolutions(options.convolution, options.direction));
  if (!options.product.empty())
    return bench_problems(options, products(options.product, options.direction));
  ir::Graph graph = parse_source(read_source(options.file));
  if (!options.loss.empty()) graph = training_graph(graph, options.loss, options.optimizer);
  print(measure(graph, options.settings, options.seconds, options.counters), options.format);
}

}  // namespace

void add_bench(CLI::App& app) {
  auto options = std::make_shared<BenchOptions>();
  CLI::App* bench = app.add_subcommand("bench", "Times every kernel of a graph or of one problem");
  bench->footer(std::string(kExamples));
  bench->add_option("FILE", options->file, "graph as text, or - for standard input");
  bench->add_option("--conv", options->convolution, "a convolution as benchdnn writes it");
  bench->add_option("--gemm", options->product, "MxNxK");
  bench->add_option("--dir", options->direction, "of --conv and --gemm")
      ->check(CLI::IsMember({"fwd", "bwd_d", "bwd_w", "all"}))
      ->capture_default_str();
  bench->add_option("--train", options->loss, "the training step of the output of this name");
  bench->add_option("--optimizer", options->optimizer, "of --train: sgd, adam, adamw, rmsprop")
      ->capture_default_str();
  bench->add_option("--format", options->format, "table, csv or json")
      ->check(CLI::IsMember({"table", "csv", "json"}))
      ->capture_default_str();
  bench->add_option("--seconds", options->seconds, "how long to measure")
      ->check(CLI::Range(0.0, 600.0))
      ->capture_default_str();
  bench->add_flag("--counters", options->counters,
                  "cycles, instructions and misses of a step, where the kernel allows");
  bench->add_option("--versus", options->versus, "onednn, in builds that have it")
      ->check(CLI::IsMember({"onednn"}));
  add_settings(*bench, options->settings);
  bench->callback([options] { run_bench(*options); });
}

}  // namespace taper::tools
