#include "tools/profile_report.h"

#include <nlohmann/json.hpp>

#include "tools/page.h"

namespace taper::tools {
namespace {

using nlohmann::json;

json routines_of(const Measured& m, std::size_t call) {
  json routines = json::array();
  for (const codegen::Routine* routine : m.lowered->kernels[call]->routines())
    routines.push_back({{"name", routine->name},
                        {"bytes", routine->code->bytes.size()},
                        {"listing", annotated(routine->listing)}});
  return routines;
}

json calls_of(const Measured& m) {
  json calls = json::array();
  for (const KernelTime& k : m.kernels) {
    const ir::ValueId node = m.lowered->plan.calls[k.call].node;
    json call = json_of(k);
    call["value"] = node == ir::kNoValue ? -1 : static_cast<std::int64_t>(node.index);
    call["routines"] = routines_of(m, k.call);
    calls.push_back(std::move(call));
  }
  return calls;
}

json memory_of(const runtime::Plan& plan) {
  json buffers = json::array();
  for (const runtime::Buffer& buffer : plan.buffers)
    if (buffer.place == runtime::Buffer::Place::arena && buffer.last >= buffer.first)
      buffers.push_back({{"name", buffer.name},
                         {"type", to_string(buffer.type)},
                         {"offset", buffer.offset},
                         {"bytes", buffer.bytes},
                         {"first", buffer.first},
                         {"last", buffer.last}});
  return buffers;
}

}  // namespace

std::string chrome_trace(const Measured& m) {
  json events = json::array();
  for (const runtime::ProfileEvent& event : m.events) {
    const KernelTime& kernel = m.kernels[event.call];
    events.push_back({{"name", event.wait ? "wait" : kernel.lowering},
                      {"cat", event.wait ? "barrier" : "kernel"},
                      {"ph", "X"},
                      {"pid", 1},
                      {"tid", event.thread},
                      {"ts", event.begin * 1e6},
                      {"dur", (event.end - event.begin) * 1e6},
                      {"args",
                       {{"call", event.call},
                        {"value", kernel.value},
                        {"buffers", kernel.buffers},
                        {"location", kernel.place},
                        {"spec", kernel.spec}}}});
  }
  return json{{"traceEvents", std::move(events)}, {"displayTimeUnit", "ns"}}.dump() + '\n';
}

std::string profile_page(const std::string& title, const Measured& m) {
  std::vector<GraphStage> stages;
  for (const auto& [name, graph] : m.lowered->stages)
    stages.push_back({name, ir::print(graph, {.locations = m.locations}), draw(graph)});
  json events = json::array();
  for (const runtime::ProfileEvent& event : m.events)
    events.push_back({{"call", event.call},
                      {"thread", event.thread},
                      {"wait", event.wait},
                      {"start", event.begin},
                      {"end", event.end}});
  json report = summary_of(m);
  report["arena_bytes"] = m.lowered->plan.arena_bytes;
  report["calls"] = calls_of(m);
  report["events"] = std::move(events);
  report["memory"] = memory_of(m.lowered->plan);
  return page(title, stages, report);
}

}  // namespace taper::tools
