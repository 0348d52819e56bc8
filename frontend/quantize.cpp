#include "frontend/quantize.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "frontend/mode.h"
#include "frontend/quantize_parts.h"
#include "frontend/rerecord.h"

namespace taper::quantize {
namespace {

// Replaces the chosen layers while the graph is recorded again.
class Rewriting {
 public:
  // `chosen`: the layers, with the ranges of their inputs.
  Rewriting(const Tape& from, std::map<ir::ValueId, ByteRange> chosen)
      : from_(from), chosen_(std::move(chosen)) {}

  std::optional<ir::ValueId> operator()(Rerecording& recording, ir::ValueId old) {
    const auto it = chosen_.find(old);
    if (it == chosen_.end()) return std::nullopt;
    const ir::Node& node = recording.graph()[old];
    const ir::ValueId x = bytes(recording, node.operands[0], it->second);
    return product(recording, node, x, it->second);
  }

 private:
  // The activation as bytes; what keeps bytes is recorded again on bytes.
  ir::ValueId bytes(Rerecording& recording, ir::ValueId old, const ByteRange& range) {
    if (const auto it = bytes_.find(old); it != bytes_.end()) return it->second;
    const ir::Graph& graph = recording.graph();
    ir::Builder builder(recording.to().graph(), graph[old].location);
    ir::ValueId made;
    if (keeps_bytes(graph, old)) {
      const ir::Node& node = graph[old];
      const ir::ValueId x = bytes(recording, node.operands[0], range);
      made = node.op == ir::Op::reshape
                 ? builder.reshape(x, std::get<ir::ShapeAttrs>(node.attrs).shape)
                 : builder.pool2d(x, std::get<ir::PoolAttrs>(node.attrs));
    } else {
      const ir::ValueId x = recording(old);
      const ir::ValueId scaled = builder.mul(x, builder.scalar(1 / range.scale));
      const ir::ValueId shifted = builder.add(scaled, builder.scalar(range.zero + 0.5));
      made = builder.cast(shifted, DType::u8);
    }
    bytes_.emplace(old, made);
    return made;
  }

  // (sum of x q - zero * sum of q) * scale of x * scale of w.
  ir::ValueId product(Rerecording& recording, const ir::Node& node, ir::ValueId x,
                      const ByteRange& range) {
    const ir::Node& weight = recording.graph()[node.operands[1]];
    const Shape& shape = weight.type.shape;
    const std::string& name = name_of(weight);
    const QuantizedWeight q =
        quantize_weight(from_.variables().at(name)->read(), static_cast<std::size_t>(shape[0]));
    Tape& tape = recording.to();
    const ir::ValueId w = record(tape, name, {DType::i8, shape}, q.values, node.location);
    ir::Builder builder(tape.graph(), node.location);
    const bool image = node.op == ir::Op::conv2d;
    const ir::ValueId sum = image ? convolution(builder, node, x, w, range)
                                  : builder.matmul(x, w, std::get<ir::MatmulAttrs>(node.attrs));
    const Shape channels = image ? Shape{shape[0], 1, 1} : Shape{shape[0]};
    const auto scaled = [&](const char* suffix, std::vector<float> values, double factor) {
      for (float& v : values) v *= static_cast<float>(factor);
      return record(tape, name + suffix, {DType::f32, channels}, values, node.location);
    };
    ir::ValueId value = builder.cast(sum, DType::f32);
    if (range.zero != 0) value = builder.sub(value, scaled("_zero", q.sums, range.zero));
    return builder.mul(value, scaled("_scale", q.scales, range.scale));
  }

  // A zero point other than 0 is what padding holds.
  static ir::ValueId convolution(ir::Builder& builder, const ir::Node& node, ir::ValueId x,
                                 ir::ValueId w, const ByteRange& range) {
    auto attrs = std::get<ir::ConvAttrs>(node.attrs);
    const auto [top, left, bottom, right] = attrs.padding;
    if (range.zero != 0 && top + left + bottom + right > 0) {
      x = builder.pad(x, {.low = {0, 0, top, left},
                          .high = {0, 0, bottom, right},
                          .interior = {0, 0, 0, 0},
                          .value = static_cast<double>(range.zero)});
      attrs.padding = {0, 0, 0, 0};
    }
    return builder.conv2d(x, w, attrs);
  }

  static ir::ValueId record(Tape& tape, const std::string& name, ir::TensorType type,
                            const std::vector<float>& values, const Location& where) {
    const auto variable = std::make_shared<Variable>(name, std::move(type));
    variable->write(values);
    return tape.parameter(variable, where).id();
  }

  const Tape& from_;
  std::map<ir::ValueId, ByteRange> chosen_;
  std::map<ir::ValueId, ir::ValueId> bytes_;
};

}  // namespace

struct Calibration::State {
  const Tape& tape;
  Options options;
  ir::Graph graph;
  std::vector<Candidate> layers;
  std::vector<ir::ValueId> sources;  // distinct
  std::vector<Observed> observed;    // one per source
  Tape base;
  std::optional<Function> function;

  State(const std::vector<Tensor>& outputs, const Options& how)
      : tape(outputs.front().tape()), options(how), graph(graph_of(tape, outputs, Mode::evaluate)) {
    layers = candidates(graph);
    for (const Candidate& layer : layers)
      if (std::ranges::find(sources, layer.source) == sources.end())
        sources.push_back(layer.source);
    observed.resize(sources.size());
    if (sources.empty()) return;
    ir::Graph watched = graph;
    watched.outputs.clear();
    for (const ir::ValueId source : sources) watched.outputs.push_back({"", source});
    const std::vector<Tensor> values =
        Rerecording(watched, tape.inputs(), tape.variables(), base).run();
    function.emplace(taper::compile(values, options.compile));
  }

  Layer judge(const Candidate& candidate) const {
    const ir::Node& node = graph[candidate.node];
    Layer layer{.weight = name_of(graph[candidate.weight]), .reason = candidate.refusal};
    const auto index =
        static_cast<std::size_t>(std::ranges::find(sources, candidate.source) - sources.begin());
    if (!observed[index].finite())
      throw Error(node.location, "quantize: the input of {} was not finite", layer.weight);
    std::tie(layer.low, layer.high) = observed[index].range(options.percentile);
    if (!layer.reason.empty()) return layer;
    layer.integers = true;
    if (!options.measure) return layer;
    const std::optional<Duration> time = measure(graph, candidate, options.compile);
    if (!time) return layer;
    layer.f32_seconds = time->f32;
    layer.integer_seconds = time->integers;
    layer.integers = time->integers < time->f32;
    if (!layer.integers) layer.reason = "it is faster in f32";
    return layer;
  }
};

Calibration::Calibration(const std::vector<Tensor>& outputs, const Options& options) {
  if (outputs.empty()) throw Error("quantize: no outputs were given");
  state_ = std::make_unique<State>(outputs, options);
}
Calibration::~Calibration() = default;

void Calibration::run(std::span<const InputView> inputs) {
  if (!state_->function) return;
  state_->function->run(inputs);
  for (std::size_t i = 0; i < state_->sources.size(); ++i)
    state_->observed[i].add(state_->function->output(i));
}

Quantized Calibration::finish() const {
  const State& s = *state_;
  if (!s.observed.empty() && s.observed.front().empty())
    throw Error("quantize: nothing was observed; call observe() with sample inputs first");
  Quantized result{{std::make_unique<Tape>(), {}}, {}};
  std::map<ir::ValueId, ByteRange> chosen;
  for (const Candidate& candidate : s.layers) {
    const Layer layer = s.judge(candidate);
    if (layer.integers) chosen.emplace(candidate.node, byte_range(layer.low, layer.high));
    result.layers.push_back(layer);
  }
  Rerecording recording(s.graph, s.tape.inputs(), s.tape.variables(), *result.model.tape,
                        Rewriting(s.tape, std::move(chosen)));
  result.model.outputs = recording.run();
  return result;
}

std::string to_string(const std::vector<Layer>& layers) {
  std::string out = fmt::format("{:<24} {:<5} {:>10} {:>10} {:>9} {:>9}\n", "weight", "type", "low",
                                "high", "f32 us", "int8 us");
  for (const Layer& layer : layers) {
    out += fmt::format("{:<24} {:<5} {:>10.4g} {:>10.4g} {:>9.1f} {:>9.1f}", layer.weight,
                       layer.integers ? "int8" : "f32", layer.low, layer.high,
                       layer.f32_seconds * 1e6, layer.integer_seconds * 1e6);
    out += layer.reason.empty() ? "\n" : fmt::format("  {}\n", layer.reason);
  }
  return out;
}

}  // namespace taper::quantize
