#include "bench/report.h"

#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <tuple>

#include "ir/error.h"

namespace taper::bench {

void Reporter::ReportRuns(const std::vector<Run>& runs) {
  for (const Run& run : runs) {
    if (run.run_type != Run::RT_Iteration || run.error_occurred) continue;
    Rounds& entry = rounds[run.benchmark_name()];
    entry.rates.push_back(run.counters.at("GFLOPs").value);
    entry.percents.push_back(run.counters.at("percent").value);
  }
  ConsoleReporter::ReportRuns(runs);
}

std::vector<Comparison> compare(const Reporter& reporter, const std::vector<Problem>& problems) {
  std::vector<Comparison> comparisons;
  for (const Problem& problem : problems) {
    Comparison c;
    c.problem = &problem;
    double fastest = 0;
    for (const char* library : {kOurs, "oneDNN", "OpenBLAS", "libxsmm"}) {
      const auto found = reporter.rounds.find(problem.name + "/" + library);
      if (found == reporter.rounds.end()) continue;
      c.rounds[library] = found->second;
      const double rate = summary(found->second.rates).median;
      if (library == kOurs || rate <= fastest) continue;
      fastest = rate;
      c.peer = library;
    }
    // A filter may have left out either.
    if (c.peer.empty() || !c.rounds.contains(kOurs)) continue;
    const std::vector<double>&ours = c.rounds[kOurs].rates, &theirs = c.rounds[c.peer].rates;
    for (std::size_t i = 0; i < std::min(ours.size(), theirs.size()); ++i)
      c.ratios.push_back(ours[i] / theirs[i]);
    comparisons.push_back(std::move(c));
  }
  return comparisons;
}

std::vector<Mean> means_of(const std::vector<Comparison>& comparisons) {
  // The empty pass comes first and stands for all.
  std::map<std::tuple<std::string, ir::Dim, std::string>, std::vector<double>> groups;
  for (const Comparison& c : comparisons) {
    const Problem& p = *c.problem;
    // The square products are of one set, whatever their sizes.
    const ir::Dim batch = p.dense() ? 0 : p.batch;
    const double ratio = summary(c.ratios).median;
    groups[{p.set, batch, ""}].push_back(ratio);
    groups[{p.set, batch, std::string(name(p.pass))}].push_back(ratio);
  }
  std::vector<Mean> means;
  for (const auto& [key, ratios] : groups) {
    const auto& [set, batch, pass] = key;
    means.push_back({set, pass.empty() ? "all" : pass, batch, ratios.size(), geometric_mean(ratios),
                     summary(ratios).least});
  }
  return means;
}

namespace {

std::string others(const Comparison& c) {
  std::string text;
  for (const auto& [library, rounds] : c.rounds) {
    if (library == kOurs || library == c.peer) continue;
    text +=
        fmt::format("{}{} {:.1f}", text.empty() ? "" : ", ", library, summary(rounds.rates).median);
  }
  return text;
}

void print_row(const Comparison& c, const Implementations& implementations) {
  const Rounds &ours = c.rounds.at(kOurs), &theirs = c.rounds.at(c.peer);
  const Summary a = summary(ours.rates), b = summary(theirs.rates), r = summary(c.ratios);
  const auto implementation = implementations.find(c.problem->name + "/" + c.peer);
  fmt::print(
      "| {} | {:.1f} ({:.1f}..{:.1f}) | {:.1f} ({:.1f}..{:.1f}) | {:.2f} ({:.2f}..{:.2f}) "
      "| {:.0f}{} | {:.0f} | {} {} | {} |\n",
      c.problem->name, a.median, a.least, a.most, b.median, b.least, b.most, r.median, r.least,
      r.most, summary(ours.percents).median, c.problem->depthwise ? " of copy" : "",
      summary(theirs.percents).median, c.peer,
      implementation == implementations.end() ? "" : implementation->second, others(c));
}

void print_samples(const char* what, const std::vector<double>& samples) {
  if (samples.empty()) return;
  const Summary s = summary(samples);
  fmt::print("; {} {:.1f} ({:.1f}..{:.1f})", what, s.median * 1e-9, s.least * 1e-9, s.most * 1e-9);
}

nlohmann::json json_of(const Summary& s) {
  return {{"median", s.median}, {"least", s.least}, {"most", s.most}};
}

nlohmann::json json_of(const Comparison& c, const Implementations& implementations) {
  const Problem& p = *c.problem;
  nlohmann::json line{{"name", p.name},
                      {"set", p.set},
                      {"pass", name(p.pass)},
                      {"batch", p.batch},
                      {"flops", p.flops()},
                      {"bytes", p.bytes()},
                      {"roofline", p.depthwise ? "copy" : "fma"},
                      {"fastest_peer", c.peer},
                      {"ratio", json_of(summary(c.ratios))},
                      {"ratios", c.ratios}};
  for (const auto& [library, rounds] : c.rounds) {
    nlohmann::json& entry = line["libraries"][library];
    entry = {{"gflops", json_of(summary(rounds.rates))},
             {"gflops_of_rounds", rounds.rates},
             {"percent_of_roofline", summary(rounds.percents).median}};
    const auto implementation = implementations.find(p.name + "/" + library);
    if (implementation != implementations.end()) entry["implementation"] = implementation->second;
  }
  return line;
}

}  // namespace

void print_report(const Conditions& conditions, const Roofline& roofline,
                  const std::vector<Comparison>& comparisons,
                  const Implementations& implementations) {
  fmt::print("\n{}, {} thread{}, {} rounds, {}", conditions.isa, conditions.threads,
             conditions.threads == 1 ? "" : "s", conditions.rounds, conditions.peers);
  print_samples("FMA peak, GFLOP/s:", roofline.fma_samples());
  print_samples("copy, GB/s:", roofline.copy_samples());
  fmt::print(
      "\n\n| kernel | taper, GFLOP/s | fastest peer, GFLOP/s | ratio | taper, % of roofline | "
      "peer, "
      "% | peer | other peers, GFLOP/s |\n|---|---|---|---|---|---|---|---|\n");
  for (const Comparison& c : comparisons) print_row(c, implementations);
  fmt::print(
      "\n| set | batch | pass | lines | geometric mean of the ratios | least |\n"
      "|---|---|---|---|---|---|\n");
  for (const Mean& m : means_of(comparisons))
    fmt::print("| {} | {} | {} | {} | {:.2f} | {:.2f} |\n", m.set,
               m.batch == 0 ? "any" : std::to_string(m.batch), m.pass, m.lines, m.ratio, m.least);
}

void write_json(const std::string& path, const Conditions& conditions, const Roofline& roofline,
                const std::vector<Comparison>& comparisons,
                const Implementations& implementations) {
  nlohmann::json file{{"isa", conditions.isa},
                      {"threads", conditions.threads},
                      {"rounds", conditions.rounds},
                      {"peers", conditions.peers},
                      {"kernels", nlohmann::json::array()},
                      {"means", nlohmann::json::array()}};
  if (!roofline.fma_samples().empty()) file["fma_flops"] = json_of(summary(roofline.fma_samples()));
  if (!roofline.copy_samples().empty())
    file["copy_bytes"] = json_of(summary(roofline.copy_samples()));
  for (const Comparison& c : comparisons) file["kernels"].push_back(json_of(c, implementations));
  for (const Mean& m : means_of(comparisons))
    file["means"].push_back({{"set", m.set},
                             {"batch", m.batch},
                             {"pass", m.pass},
                             {"lines", m.lines},
                             {"geometric_mean", m.ratio},
                             {"least", m.least}});
  std::ofstream stream(path);
  stream << file.dump(1) << '\n';
  if (!stream.flush()) throw Error("cannot write " + path);
}

}  // namespace taper::bench
