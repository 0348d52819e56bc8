// Post-training quantization: a recorded model becomes one whose convolutions and products of
// matrices multiply bytes. Activations are u8 with one scale and zero point each, weights i8 with a
// symmetric scale per output channel, accumulators exact in i32 (Jacob et al., 2018). Bias,
// activation functions and the next layer's quantization are fused into the kernels, and max
// pooling stays in bytes. The results are the same bits on every instruction set and thread count.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "frontend/compile.h"
#include "frontend/saved_graph.h"
#include "frontend/tape.h"

namespace taper::quantize {

struct Options {
  // Activations are clipped to this percentile on either side of what was observed; 100 keeps the
  // minimum and the maximum.
  double percentile = 99.99;
  // Layers that run no faster in bytes on this host stay f32. The choice is a measurement: false
  // quantizes whatever can be, the same on every host, as does a host that runs the interpreter.
  bool measure = true;
  CompileOptions compile = {};  // of the calibration and the measurement
};

// What became of a convolution or a product with a weight.
struct Layer {
  std::string weight;  // its name on the tape
  bool integers = false;
  std::string reason;                           // why it stays f32
  double low = 0, high = 0;                     // range of its input
  double f32_seconds = 0, integer_seconds = 0;  // of its kernels at max_batch; 0: not measured
};

struct Quantized {
  Model model;  // inputs and outputs of the original; save_model() keeps i8 weights and scales
  std::vector<Layer> layers;
};

std::string to_string(const std::vector<Layer>& layers);  // a table

// Observes a model on sample data, then rewrites it. The tape of `outputs` must outlive it.
class Calibration {
 public:
  // Of the model in evaluation mode. Throws taper::Error when no outputs are given.
  explicit Calibration(const std::vector<Tensor>& outputs, const Options& options = {});
  ~Calibration();

  // Runs the model on these inputs, as the compiled function would.
  template <class... Inputs>
  void observe(const Inputs&... inputs) {
    const std::array<InputView, sizeof...(Inputs)> views{InputView(inputs)...};
    run(views);
  }
  void run(std::span<const InputView> inputs);

  // Throws taper::Error before anything was observed, or when an activation was not finite.
  Quantized finish() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace taper::quantize
