// Running a program in the interpreter, and replaying a run of generated code in it.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "ir/narrow_float.h"
#include "runtime/program.h"

namespace taper::runtime {
namespace {

double load_element(ir::DType dtype, const std::byte* data, std::size_t i) {
  const auto as = [&]<class T>(T) {
    T value;
    std::memcpy(&value, data + i * sizeof(T), sizeof(T));
    return value;
  };
  switch (dtype) {
    case ir::DType::f32:
      return static_cast<double>(as(float{}));
    case ir::DType::i32:
      return as(std::int32_t{});
    case ir::DType::i8:
      return as(std::int8_t{});
    case ir::DType::u8:
      return as(std::uint8_t{});
    case ir::DType::boolean:
      return as(std::uint8_t{}) != 0 ? 1 : 0;
    case ir::DType::bf16:
      return static_cast<double>(from_bf16(as(std::uint16_t{})));
    case ir::DType::f16:
      return static_cast<double>(from_f16(as(std::uint16_t{})));
  }
  return 0;
}

bool is_finite(const std::vector<ir::Value>& results) {
  const auto finite = [](double x) { return std::isfinite(x); };
  const auto all = [&](const ir::Value& value) { return std::ranges::all_of(value.data, finite); };
  return std::ranges::all_of(results, all);
}

// The first node that leads to `root` through values that are not finite, and that has no such
// operand. `bad` says which values those are.
ir::ValueId first_cause(const ir::Graph& graph, ir::ValueId root, const std::vector<bool>& bad) {
  ir::ValueId first = root;
  std::vector<bool> leads(graph.size(), false);
  leads[root.index] = true;
  for (std::size_t i = root.index + 1; i-- > 0;) {
    if (!leads[i]) continue;
    bool inherits = false;
    for (const ir::ValueId operand : graph.nodes()[i].operands)
      if (bad[operand.index]) inherits = leads[operand.index] = true;
    if (!inherits) first = graph.id(i);
  }
  return first;
}

NonFinite describe(const ir::Node& node) {
  const std::string_view op = ir::traits(node.op).name;
  if (const auto* named = std::get_if<ir::NameAttrs>(&node.attrs))
    return {fmt::format("{} \"{}\"", op, named->name), node.location};
  return {fmt::format("the result of {}, {}", op, ir::to_string(node.type)), node.location};
}

}  // namespace

std::map<std::string, ir::Value> Executable::Program::bindings(
    std::span<const InputBytes> inputs) const {
  std::map<std::string, ir::Value> bound;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    ir::Value value{ir::concrete(input_types[i], batch), {}};
    const std::size_t size = ir::byte_size(value.type.dtype);
    std::vector<std::byte> storage;
    const std::span<const std::byte> bytes = inputs[i].in_one_piece(storage);
    for (std::size_t e = 0; e < bytes.size() / size; ++e)
      value.data.push_back(load_element(value.type.dtype, bytes.data(), e));
    bound.emplace(input_names[i], std::move(value));
  }
  for (const auto& [name, variable] : variables) {
    const std::vector<float> values = variable->read();
    bound.emplace(name,
                  ir::Value{ir::concrete(variable->type(), batch), {values.begin(), values.end()}});
  }
  return bound;
}

void Executable::Program::run_interpreter(std::span<const InputBytes> inputs) {
  const ir::Evaluation result = ir::evaluate(recorded, bindings(inputs), batch);
  interpreted_outputs.clear();
  for (const ir::Value& output : result.outputs)
    interpreted_outputs.emplace_back(output.data.begin(), output.data.end());
  for (const auto& [name, value] : result.updated) {
    const std::vector<float> values(value.data.begin(), value.data.end());
    variables.at(name)->write(values);
  }
}

std::optional<NonFinite> Executable::first_non_finite(std::span<const InputBytes> inputs,
                                                      std::size_t index) const {
  const Program& p = *program_;
  ir::Graph graph = p.recorded;
  graph.outputs = {p.recorded.outputs.at(index)};
  graph.updates.clear();
  graph = ir::canonical(std::move(graph));
  std::vector<bool> bad(graph.size(), false);
  const auto look = [&](ir::ValueId id, const std::vector<ir::Value>& results) {
    bad[id.index] = !is_finite(results);
  };
  ir::evaluate(graph, p.bindings(inputs), p.batch, look);
  const ir::ValueId root = graph.outputs[0].value;
  if (!bad[root.index]) return std::nullopt;
  return describe(graph[first_cause(graph, root, bad)]);
}

}  // namespace taper::runtime
