#include "runtime/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <span>
#include <utility>

#include "runtime/aligned.h"
#include "runtime/order.h"

namespace taper::runtime {
namespace {

using ir::Op;
using ir::ValueId;

constexpr int kOutlived = 8;  // calls before the bytes of an early result are used again

// A dense copy of one whole buffer of `type`.
ir::CopySpec whole_copy(const ir::TensorType& type) {
  const bool batched = type.has_batch();
  const ir::Dim inner = ir::byte_size(type, 1) / static_cast<ir::Dim>(ir::byte_size(type.dtype));
  const ir::Indices dims = batched ? ir::Indices{ir::kBatch, inner} : ir::Indices{inner};
  const ir::Indices strides = batched ? ir::Indices{inner, 1} : ir::Indices{1};
  return {.dtype = type.dtype, .parts = {{.dims = dims, .source = strides, .result = strides}}};
}

// Whether the call reads `buffer` in its epilogue alone, element by element as it writes its
// result.
bool reads_in_epilogue(const PlannedCall& call, const ir::Epilogue& epilogue, int buffer) {
  const std::size_t own = call.operands - epilogue.operands.size();
  for (std::size_t i = 0; i < call.operands; ++i) {
    const bool same = i >= own && epilogue.operands[i - own].access == ir::EpilogueAccess::same;
    if (call.buffers[i] == buffer && !same) return false;
  }
  return true;
}

// Whether call may write its result over operand `buffer`: it reads each element just before it
// writes that of the result `result`.
bool reads_in_place(const PlannedCall& call, int buffer, int result) {
  if (const auto* gemm = std::get_if<ir::GemmSpec>(call.spec))
    return reads_in_epilogue(call, gemm->epilogue, buffer);
  if (const auto* reduce = std::get_if<ir::ReduceSpec>(call.spec))
    return reads_in_epilogue(call, reduce->epilogue, buffer);
  const auto* map = std::get_if<ir::MapSpec>(call.spec);
  if (map == nullptr) return false;
  std::size_t operand = 0;
  std::size_t output = call.operands;
  for (const ir::MapSegment& segment : map->segments) {
    const auto results = std::span(call.buffers).subspan(output, segment.outputs.size());
    const bool owner = std::ranges::count(results, result) > 0;
    for (const ir::Stream& stream : segment.inputs) {
      if (call.buffers[operand++] != buffer) continue;
      if (!owner || stream.strides != segment.outputs.front().strides) return false;
    }
    output += segment.outputs.size();
  }
  return true;
}

class Planner {
 public:
  Planner(const ir::Graph& graph, ir::Dim max_batch)
      : graph_(graph), max_batch_(max_batch), order_(execution_order(graph, max_batch)) {}

  Plan run() {
    for (const ValueId value : order_.values) place(value);
    bind_outputs();
    bind_updates();
    set_lifetimes();
    return std::move(plan_);
  }

 private:
  int buffer_of(ValueId id) const { return buffer_of_.at(id.index); }
  Buffer& buffer(int index) { return plan_.buffer(index); }

  int add_buffer(Buffer::Place place, const ir::TensorType& type, std::string name, ValueId value) {
    plan_.buffers.push_back({.place = place,
                             .type = type,
                             .name = std::move(name),
                             .value = value,
                             .bytes = padded_bytes(ir::byte_size(type, max_batch_))});
    return static_cast<int>(plan_.buffers.size()) - 1;
  }

  void place(ValueId id) {
    const ir::Node& node = graph_[id];
    if (node.op == Op::kernel) return place_kernel(id);
    if (node.op == Op::view || node.op == Op::result) {
      const Source source = source_of(graph_, id);
      buffer_of_[id.index] =
          graph_[source.node].op == Op::kernel
              ? results_of_.at(source.node.index)[static_cast<std::size_t>(source.index)]
              : buffer_of(source.node);
      return;
    }
    const auto place = node.op == Op::input      ? Buffer::Place::arena
                       : node.op == Op::constant ? Buffer::Place::constant
                                                 : Buffer::Place::variable;
    const auto* named = std::get_if<ir::NameAttrs>(&node.attrs);
    const int b =
        add_buffer(place, node.type, named ? named->name : fmt::format("%{}", id.index), id);
    buffer_of_[id.index] = b;
    if (node.op == Op::input) plan_.inputs.push_back(b);
  }

  void place_kernel(ValueId id) {
    const ir::Node& node = graph_[id];
    const auto& attrs = std::get<ir::KernelAttrs>(node.attrs);
    PlannedCall call{&*attrs.spec, id, {}, node.operands.size()};
    for (const ValueId operand : node.operands) call.buffers.push_back(buffer_of(operand));
    for (std::size_t r = 0; r < attrs.results.size(); ++r) {
      const std::string name = attrs.results.size() == 1 ? fmt::format("%{}", id.index)
                                                         : fmt::format("%{}.{}", id.index, r);
      const int b = add_buffer(Buffer::Place::arena, attrs.results[r], name, id);
      call.buffers.push_back(b);
      results_of_[id.index].push_back(b);
    }
    buffer_of_[id.index] = results_of_[id.index].front();
    plan_.calls.push_back(std::move(call));
  }

  bool is_kernel_result(ValueId id) const {
    return graph_[source_of(graph_, id).node].op == Op::kernel;
  }

  PlannedCall copy_call(int from, int to) {
    plan_.copies.push_back(std::make_unique<ir::KernelSpec>(whole_copy(buffer(from).type)));
    return {plan_.copies.back().get(), ir::kNoValue, {from, to}, 1};
  }

  // A copy of `from` made before anything else runs: the contents that it has at the start.
  int snapshot(int from) {
    const Buffer source = buffer(from);
    const int to =
        add_buffer(Buffer::Place::arena, source.type, source.name + " at start", source.value);
    plan_.calls.insert(plan_.calls.begin(), copy_call(from, to));
    return to;
  }

  void bind_outputs() {
    for (const ir::Output& output : graph_.outputs) {
      const int b = buffer_of(output.value);
      plan_.outputs.push_back(is_kernel_result(output.value) ? b : snapshot(b));
    }
  }

  void bind_updates() {
    std::vector<std::pair<int, int>> copies;  // value buffer, variable buffer
    for (const ir::Update& update : graph_.updates) {
      const int variable = buffer_of(update.variable);
      const int value = buffer_of(update.value);
      if (value == variable) continue;
      if (is_kernel_result(update.value) && write_in_place(value, variable)) continue;
      copies.emplace_back(is_kernel_result(update.value) ? value : snapshot(value), variable);
    }
    for (const auto& [value, variable] : copies) plan_.calls.push_back(copy_call(value, variable));
  }

  // Makes the kernel that produces `value` write straight into `variable`, where that is safe.
  bool write_in_place(int value, int variable) {
    if (std::ranges::count(plan_.outputs, value) > 0) return false;
    if (buffer(value).place != Buffer::Place::arena ||
        buffer(value).bytes != buffer(variable).bytes)
      return false;
    const auto producer = std::ranges::find_if(plan_.calls, [&](const PlannedCall& call) {
      return std::ranges::count(std::span(call.buffers).subspan(call.operands), value) > 0;
    });
    for (auto call = producer; call != plan_.calls.end(); ++call) {
      const auto operands = std::span(call->buffers).first(call->operands);
      if (std::ranges::count(operands, variable) == 0) continue;
      if (call != producer || !reads_in_place(*call, variable, value)) return false;
    }
    for (PlannedCall& call : plan_.calls)
      std::replace(call.buffers.begin(), call.buffers.end(), value, variable);
    for (auto& entry : buffer_of_)
      if (entry.second == value) entry.second = variable;
    return true;
  }

  void set_lifetimes() {
    const int end = static_cast<int>(plan_.calls.size());
    for (Buffer& b : plan_.buffers) b.first = end, b.last = -1;
    for (int c = 0; c < end; ++c)
      for (const int index : plan_.calls[static_cast<std::size_t>(c)].buffers) {
        buffer(index).first = std::min(buffer(index).first, c);
        buffer(index).last = c;
      }
    for (Buffer& b : plan_.buffers)
      if (b.last >= 0 && order_.early[b.value.index])
        b.last = graph_.updates.empty() ? end : std::min(b.last + kOutlived, end);
    keep_early();
    for (const int index : plan_.inputs) buffer(index).first = 0;
    for (const int index : plan_.outputs) buffer(index).last = end;
  }

  void keep_early() {
    if (!graph_.updates.empty()) return;
    const auto is_early = [&](const PlannedCall& call) {
      return call.node != ir::kNoValue && order_.early[call.node.index];
    };
    for (; plan_.kept < plan_.calls.size() && is_early(plan_.calls[plan_.kept]); ++plan_.kept)
      for (const int index : plan_.calls[plan_.kept].buffers) buffer(index).first = 0;
  }

  const ir::Graph& graph_;
  const ir::Dim max_batch_;
  const Order order_;
  Plan plan_;
  std::map<std::uint32_t, int> buffer_of_;
  std::map<std::uint32_t, std::vector<int>> results_of_;
};

}  // namespace

Source source_of(const ir::Graph& graph, ValueId id) {
  std::int64_t index = 0;
  while (true) {
    const ir::Node& node = graph[id];
    if (node.op == Op::result)
      index = std::get<ir::ResultAttrs>(node.attrs).index;
    else if (node.op != Op::view)
      return {id, index};
    id = node.operands.front();
  }
}

std::int64_t padded_bytes(std::int64_t bytes) {
  // Kernels may read 64 bytes past a buffer.
  return static_cast<std::int64_t>(align_up(static_cast<std::size_t>(bytes)) + kAlignment);
}

bool overlap(const Buffer& a, const Buffer& b) {
  if (a.offset < 0 || b.offset < 0) return false;
  if (a.place != Buffer::Place::arena || b.place != Buffer::Place::arena) return false;
  return a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
}

Plan make_plan(const ir::Graph& graph, ir::Dim max_batch) {
  return Planner(graph, max_batch).run();
}

}  // namespace taper::runtime
