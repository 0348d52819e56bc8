// taper profile: where the time of a step goes, thread by thread.
#include <fmt/format.h>

#include <memory>

#include "tools/command.h"
#include "tools/measure.h"
#include "tools/profile_report.h"
#include "tools/source.h"
#include "tools/train_graph.h"

namespace taper::tools {
namespace {

constexpr std::string_view kExamples = R"(
Examples:
  taper profile model.tir --batch 64                      a table, the slowest kernel first
  taper profile model.tir --trace step.json               open it in ui.perfetto.dev
  taper profile model.tir --html report.html              needs no network
  taper profile model.tir --train loss --optimizer adam --batch 256 --html report.html
)";

struct ProfileOptions {
  std::string file, trace, html, loss, optimizer = "sgd";
  double seconds = 1;
  bool locations = false;
  Settings settings;
};

void run_profile(const ProfileOptions& options) {
  ir::Graph graph = parse_source(read_source(options.file));
  if (!options.loss.empty()) graph = training_graph(graph, options.loss, options.optimizer);
  Measured measured = measure(graph, options.settings, options.seconds);
  measured.locations = options.locations;
  if (!options.trace.empty()) write_file(options.trace, chrome_trace(measured));
  if (!options.html.empty()) write_file(options.html, profile_page(options.file, measured));
  fmt::print("{}", as_table(measured));
}

}  // namespace

void add_profile(CLI::App& app) {
  auto options = std::make_shared<ProfileOptions>();
  CLI::App* profile = app.add_subcommand("profile", "Shows where the time of a step goes");
  profile->footer(std::string(kExamples));
  profile->add_option("FILE", options->file, "graph as text, or - for standard input")->required();
  profile->add_option("--trace", options->trace, "FILE.json for Chrome or Perfetto");
  profile->add_option("--html", options->html, "FILE.html: graph, kernels, timeline, memory");
  profile->add_option("--train", options->loss, "the training step of the output of this name");
  profile->add_option("--optimizer", options->optimizer, "of --train: sgd, adam, adamw, rmsprop")
      ->capture_default_str();
  profile->add_flag("--locations", options->locations, "the line that each kernel comes from");
  profile->add_option("--seconds", options->seconds, "how long to measure")
      ->check(CLI::Range(0.0, 600.0))
      ->capture_default_str();
  add_settings(*profile, options->settings);
  profile->callback([options] { run_profile(*options); });
}

}  // namespace taper::tools
