#include "tools/random_values.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>

#include "ir/eval.h"

namespace taper::tools {
namespace {

struct Range {
  double low = 0, high = 0;
};

// What the ops that look at an input's elements let pass.
Range allowed(const ir::Graph& graph, ir::ValueId input) {
  Range range{0, 10};
  bool checked = false;
  for (const ir::Node& node : graph.nodes()) {
    const auto check = ir::element_check(graph, node);
    if (!check || node.operands[check->operand] != input) continue;
    const Range own{static_cast<double>(check->range.low), static_cast<double>(check->range.high)};
    if (node.op == ir::Op::in_range) return own;
    range.high = std::min(checked ? range.high : 1e9, own.high);
    checked = true;
  }
  return range;
}

template <class T>
std::vector<std::byte> numbers(std::size_t count, const Range& range, std::uint64_t seed,
                               std::uint64_t stream) {
  std::vector<std::byte> bytes(count * sizeof(T));
  for (std::size_t i = 0; i < count; ++i) {
    const double u = random_unit(seed, stream, i);
    double x = range.low + u * (range.high - range.low);
    if constexpr (std::is_integral_v<T>) x = std::floor(x);
    const T value = static_cast<T>(x);
    std::memcpy(bytes.data() + i * sizeof(T), &value, sizeof(T));
  }
  return bytes;
}

}  // namespace

double random_unit(std::uint64_t seed, std::uint64_t stream, std::uint64_t index) {
  return static_cast<double>(ir::philox(index, 0, stream, seed) >> 8) * 0x1p-24;
}

std::vector<std::byte> random_input(const ir::Graph& graph, const std::string& name, ir::Dim batch,
                                    std::uint64_t seed) {
  for (std::size_t i = 0; i < graph.size(); ++i) {
    const ir::Node& node = graph.nodes()[i];
    if (node.op != ir::Op::input || name_of(node) != name) continue;
    const auto count = static_cast<std::size_t>(ir::element_count(node.type.shape, batch));
    switch (node.type.dtype) {
      case ir::DType::f32:
        return numbers<float>(count, {-1, 1}, seed, i);
      case ir::DType::u8:
        return numbers<std::uint8_t>(count, {0, 256}, seed, i);
      case ir::DType::i8:
        return numbers<std::int8_t>(count, {-128, 128}, seed, i);
      case ir::DType::i32:
        return numbers<std::int32_t>(count, allowed(graph, graph.id(i)), seed, i);
      case ir::DType::boolean:
        return numbers<std::uint8_t>(count, {0, 2}, seed, i);
      case ir::DType::f16:
      case ir::DType::bf16:
        break;
    }
    throw Error("input \"{}\" is {}, of which there is no random kind", name,
                ir::name(node.type.dtype));
  }
  throw Error("there is no input \"{}\"", name);
}

}  // namespace taper::tools
