// The parts of quantization: what can be quantized, what was observed, how numbers become bytes,
// and whether a layer is faster in bytes on this host.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ir/graph.h"
#include "runtime/executable.h"

namespace taper::quantize {

// A convolution or product of an activation with a weight that is a parameter.
struct Candidate {
  ir::ValueId node, weight;
  // Where the activation becomes bytes: before max pooling and reshaping, which keep bytes.
  ir::ValueId source;
  std::string refusal;  // why it must stay f32; empty: it need not
};
std::vector<Candidate> candidates(const ir::Graph& graph);

// Whether bytes pass through the op that made `value` as they are.
bool keeps_bytes(const ir::Graph& graph, ir::ValueId value);

// Values seen of one activation: its extremes, and a sample for percentiles.
class Observed {
 public:
  void add(std::span<const float> values);
  bool empty() const { return sample_.empty(); }
  bool finite() const { return finite_; }
  // The range that `percentile` of the values on either side fall in; it contains 0.
  std::pair<double, double> range(double percentile) const;

 private:
  double low_ = 0, high_ = 0;
  bool finite_ = true;
  std::vector<float> sample_;
};

// u8 = truncate(x / scale + zero + 1/2), saturated.
struct ByteRange {
  double scale = 1;
  int zero = 0;
};
ByteRange byte_range(double low, double high);

// Row-major weights [O, ...] as integers in -127..127, w = scale[o] * q.
struct QuantizedWeight {
  std::vector<float> values;  // integers
  std::vector<float> scales;  // per output
  std::vector<float> sums;    // of the integers of an output
};
QuantizedWeight quantize_weight(const std::vector<float>& weight, std::size_t outputs);

struct Duration {
  double f32 = 0, integers = 0;  // seconds of its kernels at max_batch, the shortest of several
};

// Runs the layer with a ReLU, from f32 to f32 and from bytes to bytes, in turn, and takes the time
// of its kernels. Nothing where the interpreter runs, which has none.
std::optional<Duration> measure(const ir::Graph& graph, const Candidate& layer,
                                runtime::CompileOptions options);

}  // namespace taper::quantize
