#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tools/measure.h"

namespace taper::tools {
namespace {

double per_second(double amount, double seconds) {
  return seconds > 0 ? amount / seconds / 1e9 : 0;
}
std::string_view bound(const KernelTime& kernel) {
  return kernel.computes ? "multiply-add" : "memory";
}
std::vector<KernelTime> slowest_first(std::vector<KernelTime> kernels) {
  std::ranges::stable_sort(kernels, std::ranges::greater{}, &KernelTime::seconds);
  return kernels;
}

}  // namespace

std::string as_table(const Measured& m) {
  double total = 0;
  for (const KernelTime& kernel : m.kernels) total += kernel.seconds;
  std::string text = fmt::format(
      "{}, {} threads, batch {}: {:.3f} ms a step, {:.1f} % of it waiting at barriers\n"
      "roofline {:.1f} GFLOP/s, {:.1f} GB/s\n",
      m.isa, m.threads, m.batch, m.step_seconds * 1e3, 100 * m.barrier_share,
      m.roofline.flops / 1e9, m.roofline.bytes / 1e9);
  for (const Count& count : m.counters)
    text += fmt::format("{:.6g} {} a step\n", count.value, count.name);
  text += fmt::format(
      "\ncall value lowering                                        us  share   GFLOP/s     GB/s  "
      "of roofline{}\n",
      m.locations ? "           at" : "");
  for (const KernelTime& k : slowest_first(m.kernels))
    text +=
        fmt::format("{:4} {:>5} {:<38} {:11.1f} {:5.1f}% {:9.1f} {:8.1f}  {:5.1f}% {}\n", k.call,
                    k.value, k.lowering, k.seconds * 1e6, total > 0 ? 100 * k.seconds / total : 0,
                    per_second(k.flops, k.seconds), per_second(k.bytes, k.seconds), k.percent,
                    m.locations ? fmt::format("{:<12} {}", bound(k), k.place) : bound(k));
  return text;
}

std::string as_csv(const Measured& m) {
  std::string text = "call,value,lowering,seconds,gflops,gbps,percent,bound,spec\n";
  for (const KernelTime& k : m.kernels)
    text += fmt::format("{},{},{},{:.9f},{:.3f},{:.3f},{:.2f},{},\"{}\"\n", k.call, k.value,
                        k.lowering, k.seconds, per_second(k.flops, k.seconds),
                        per_second(k.bytes, k.seconds), k.percent, bound(k), k.spec);
  return text;
}

nlohmann::json json_of(const KernelTime& k) {
  return {{"call", k.call},
          {"value", k.value},
          {"lowering", k.lowering},
          {"seconds", k.seconds},
          {"gflops", per_second(k.flops, k.seconds)},
          {"gbps", per_second(k.bytes, k.seconds)},
          {"percent", k.percent},
          {"bound", bound(k)},
          {"spec", k.spec},
          {"location", k.place}};
}

nlohmann::json summary_of(const Measured& m) {
  return {{"isa", m.isa},
          {"threads", m.threads},
          {"batch", m.batch},
          {"steps", m.steps},
          {"step_seconds", m.step_seconds},
          {"barrier_share", m.barrier_share},
          {"peak_gflops", m.roofline.flops / 1e9},
          {"peak_gbps", m.roofline.bytes / 1e9}};
}

std::string as_json(const Measured& m) {
  nlohmann::json all = summary_of(m);
  all["counters"] = nlohmann::json::object();
  for (const Count& count : m.counters) all["counters"][count.name] = count.value;
  all["kernels"] = nlohmann::json::array();
  for (const KernelTime& k : m.kernels) all["kernels"].push_back(json_of(k));
  return all.dump(2) + '\n';
}

}  // namespace taper::tools
