// taper opt: runs passes on the text of a graph and prints what they make.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "passes/passes.h"
#include "tools/command.h"
#include "tools/difference.h"
#include "tools/drawing.h"
#include "tools/page.h"
#include "tools/reference.h"
#include "tools/source.h"
#include "tools/train_graph.h"

namespace taper::tools {
namespace {

constexpr std::string_view kExamples = R"(
Examples:
  taper opt model.tir --until fuse                 what the kernels will be made of
  taper opt model.tir --passes differentiate,simplify
  taper opt model.tir --train loss --optimizer adam --until select --print-changed
  taper opt model.tir --until fuse --locations     with the lines that it comes from
  taper opt model.tir --emit html > model.html     every stage, drawn
  echo 'graph {}' | taper opt - --verify-only
)";

struct OptOptions {
  std::string file, until, loss, optimizer = "sgd", emit = "text";
  std::vector<std::string> passes;
  bool print_after_all = false, print_changed = false, verify_only = false, reference = false,
       no_winograd = false;
  ir::PrintOptions print;
  ir::Dim max_batch = 256;
};

std::string pass_names() {
  std::string names;
  for (const passes::Pass& pass : passes::pipeline())
    names += fmt::format("{}{}", names.empty() ? "" : ", ", pass.name);
  return names;
}

const passes::Pass& pass_named(const std::string& name) {
  const auto all = passes::pipeline();
  const auto found = std::ranges::find(all, name, &passes::Pass::name);
  if (found == all.end())
    throw Error("there is no pass \"{}\": the passes are {}", name, pass_names());
  return *found;
}

std::vector<const passes::Pass*> chosen(const OptOptions& options) {
  std::vector<const passes::Pass*> list;
  for (const std::string& name : options.passes) list.push_back(&pass_named(name));
  if (options.until.empty()) return list;
  const passes::Pass* last = &pass_named(options.until);
  for (const passes::Pass& pass : passes::pipeline()) {
    list.push_back(&pass);
    if (&pass == last) break;
  }
  return list;
}

// A pass that other passes share its stage with keeps whatever the one that establishes it made.
bool establishes(const passes::Pass& pass) {
  const auto all = passes::pipeline();
  const auto first = std::ranges::find(all, pass.stage, &passes::Pass::stage);
  return first->name == pass.name;
}

class Emitter {
 public:
  explicit Emitter(const OptOptions& options) : options_(options) {}

  void stage(std::string_view name, const ir::Graph& graph) {
    if (options_.verify_only) return;
    std::string text = ir::print(graph, options_.print);
    const bool changed = stages_.empty() || stages_.back().text != text;
    stages_.push_back({std::string(name), std::move(text), draw(graph)});
    if (options_.print_after_all) {
      fmt::print("// after {}\n{}", name, stages_.back().text);
    } else if (options_.print_changed) {
      if (stages_.size() == 1) return;
      fmt::print("// {}{}\n", name, changed ? "" : ": nothing changed");
      if (changed)
        fmt::print("{}", difference(stages_[stages_.size() - 2].text, stages_.back().text));
    }
  }

  void finish(const ir::Graph& graph) const {
    if (options_.emit == "html")
      fmt::print("{}", graph_page(options_.file, stages_));
    else if (options_.emit == "svg")
      fmt::print("{}", svg(stages_.back().drawing));
    else if (options_.emit == "dot")
      fmt::print("{}", dot(graph));
    else if (!options_.print_after_all && !options_.print_changed)
      fmt::print("{}", stages_.back().text);
  }

 private:
  const OptOptions& options_;
  std::vector<GraphStage> stages_;
};

void run_opt(const OptOptions& options) {
  if (options.reference) {
    fmt::print("{}", language_reference());
    return;
  }
  if (options.file.empty()) throw Error("opt: FILE.tir is missing (- is standard input)");
  const std::vector<const passes::Pass*> list = chosen(options);
  ir::Graph graph = parse_source(read_source(options.file));
  if (!options.loss.empty()) graph = training_graph(graph, options.loss, options.optimizer);
  const passes::PassOptions pass_options{.max_batch = options.max_batch,
                                         .winograd = !options.no_winograd};
  Emitter emitter(options);
  emitter.stage("recorded", graph);
  ir::Stage reached = ir::Stage::recorded;
  for (const passes::Pass* pass : list) {
    graph = pass->run(graph, pass_options);
    if (establishes(*pass)) reached = pass->stage;
    ir::verify(graph, reached);
    emitter.stage(pass->name, graph);
  }
  if (!options.verify_only) emitter.finish(graph);
}

}  // namespace

void add_opt(CLI::App& app) {
  auto options = std::make_shared<OptOptions>();
  CLI::App* opt = app.add_subcommand("opt", "Runs passes on the text of a graph and prints it");
  opt->footer(std::string(kExamples));
  opt->add_option("FILE", options->file, "graph as text, or - for standard input");
  auto* passes = opt->add_option("--passes", options->passes, "in this order: " + pass_names());
  passes->delimiter(',')->allow_extra_args(false);
  opt->add_option("--until", options->until, "the pipeline up to and with this pass")
      ->excludes(passes);
  opt->add_option("--train", options->loss, "the training step of the output of this name");
  opt->add_option("--optimizer", options->optimizer, "of --train: sgd, adam, adamw, rmsprop")
      ->capture_default_str();
  auto* all =
      opt->add_flag("--print-after-all", options->print_after_all, "the graph after each pass");
  opt->add_flag("--print-changed", options->print_changed, "the lines that each pass changed")
      ->excludes(all);
  opt->add_flag("--locations", options->print.locations, "the line that each node comes from");
  opt->add_flag("--verify-only", options->verify_only,
                "check the graph, also after each pass; print nothing but errors");
  opt->add_option("--emit", options->emit, "text, dot, svg (drawn without other programs) or html")
      ->check(CLI::IsMember({"text", "dot", "svg", "html"}))
      ->capture_default_str();
  opt->add_option("--max-batch", options->max_batch, "largest batch planned for")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  opt->add_flag("--no-winograd", options->no_winograd, "direct convolutions only");
  opt->add_flag("--reference", options->reference, "print the language reference instead");
  opt->callback([options] { run_opt(*options); });
}

}  // namespace taper::tools
