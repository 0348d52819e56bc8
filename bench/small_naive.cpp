// What one writes without a library: loops that the compiler vectorises well, no cache blocking.
#include <cmath>

#include "bench/small_net.h"

namespace taper::bench {
namespace {

struct Parameter {
  explicit Parameter(std::size_t size)
      : value(size), gradient(size), momentum(size), variance(size) {}
  std::vector<float> value, gradient, momentum, variance;
};

// Weights are [in][out]: the innermost loops of y = x w and dw = x' dy run along `out`.
struct Layer {
  Layer(std::size_t in, std::size_t out, std::size_t batch)
      : in(in), out(out), weight(in * out), bias(out), y(batch * out), dy(batch * out) {}
  std::size_t in, out;
  Parameter weight, bias;
  std::vector<float> y, dy;
};

// The columns that a loop keeps in registers; what is left of a row goes one by one.
constexpr std::size_t kColumns = 64;

// row[c] += sum over k of a[k step] m[k out + c], for `count` columns.
template <std::size_t count>
void add_product(float* __restrict row, const float* __restrict a, std::size_t step,
                 const float* __restrict m, std::size_t out, std::size_t depth) {
  float sums[count];
  for (std::size_t c = 0; c < count; ++c) sums[c] = row[c];
  for (std::size_t k = 0; k < depth; ++k)
    for (std::size_t c = 0; c < count; ++c) sums[c] += a[k * step] * m[k * out + c];
  for (std::size_t c = 0; c < count; ++c) row[c] = sums[c];
}

void add_row(float* row, const float* a, std::size_t step, const float* m, std::size_t out,
             std::size_t depth) {
  std::size_t c = 0;
  for (; c + kColumns <= out; c += kColumns)
    add_product<kColumns>(row + c, a, step, m + c, out, depth);
  for (; c + 2 <= out; c += 2) add_product<2>(row + c, a, step, m + c, out, depth);
  for (; c < out; ++c) add_product<1>(row + c, a, step, m + c, out, depth);
}

void forward(Layer& layer, const float* x, std::size_t batch, bool relu) {
  for (std::size_t b = 0; b < batch; ++b) {
    float* y = &layer.y[b * layer.out];
    for (std::size_t o = 0; o < layer.out; ++o) y[o] = layer.bias.value[o];
    add_row(y, x + b * layer.in, 1, layer.weight.value.data(), layer.out, layer.in);
    if (!relu) continue;
    for (std::size_t o = 0; o < layer.out; ++o) y[o] = y[o] > 0 ? y[o] : 0;
  }
}

void weight_gradient(Layer& layer, const float* x, std::size_t batch) {
  for (float& g : layer.weight.gradient) g = 0;
  for (float& g : layer.bias.gradient) g = 0;
  const float one = 1;
  add_row(layer.bias.gradient.data(), &one, 0, layer.dy.data(), layer.out, batch);
  for (std::size_t i = 0; i < layer.in; ++i)
    add_row(&layer.weight.gradient[i * layer.out], x + i, layer.in, layer.dy.data(), layer.out,
            batch);
}

// Through the ReLU of the layer before, whose results are x. Four dot products at a time hide the
// latency of their sums; hidden layers have a multiple of four.
void data_gradient(const Layer& layer, const float* __restrict x, float* __restrict dx,
                   std::size_t batch) {
  const std::size_t in = layer.in, out = layer.out;
  const float* __restrict w = layer.weight.value.data();
  for (std::size_t b = 0; b < batch; ++b) {
    const float* __restrict dy = &layer.dy[b * out];
    float* __restrict to = dx + b * in;
    for (std::size_t i = 0; i < in; i += 4) {
      const float* __restrict row = w + i * out;
      float s0 = 0, s1 = 0, s2 = 0, s3 = 0;
      for (std::size_t o = 0; o < out; ++o) {
        s0 += dy[o] * row[o];
        s1 += dy[o] * row[o + out];
        s2 += dy[o] * row[o + 2 * out];
        s3 += dy[o] * row[o + 3 * out];
      }
      const float sums[4] = {s0, s1, s2, s3};
      for (std::size_t j = 0; j < 4; ++j) to[i + j] = x[b * in + i + j] > 0 ? sums[j] : 0;
    }
  }
}

void adam(Parameter& p, float rate, float correction) {
  const auto beta1 = static_cast<float>(kBeta1), beta2 = static_cast<float>(kBeta2);
  const auto epsilon = static_cast<float>(kEpsilon);
  for (std::size_t i = 0; i < p.value.size(); ++i) {
    const float g = p.gradient[i];
    p.momentum[i] = beta1 * p.momentum[i] + (1 - beta1) * g;
    p.variance[i] = beta2 * p.variance[i] + (1 - beta2) * g * g;
    p.value[i] -= rate * p.momentum[i] / (std::sqrt(p.variance[i]) * correction + epsilon);
  }
}

class NaiveNet final : public Trainer {
 public:
  explicit NaiveNet(const NetData& data)
      : batch_(static_cast<std::size_t>(data.batch)), x_(data.inputs), target_(data.targets) {
    for (std::size_t l = 0; l < data.weights.size(); ++l) {
      const auto in = static_cast<std::size_t>(data.widths[l]);
      const auto out = static_cast<std::size_t>(data.widths[l + 1]);
      Layer& layer = layers_.emplace_back(in, out, batch_);
      for (std::size_t i = 0; i < in; ++i)
        for (std::size_t o = 0; o < out; ++o)
          layer.weight.value[i * out + o] = data.weights[l][o * in + i];
      layer.bias.value = data.biases[l];
    }
  }

  float step() override {
    for (std::size_t l = 0; l < layers_.size(); ++l)
      forward(layers_[l], input(l), batch_, l + 1 < layers_.size());
    const float loss = loss_gradient();
    for (std::size_t l = layers_.size(); l-- > 0;) {
      weight_gradient(layers_[l], input(l), batch_);
      if (l > 0) data_gradient(layers_[l], input(l), layers_[l - 1].dy.data(), batch_);
    }
    power1_ *= kBeta1;
    power2_ *= kBeta2;
    const auto rate = static_cast<float>(kLearningRate / (1 - power1_));
    const auto correction = static_cast<float>(1 / std::sqrt(1 - power2_));
    for (Layer& layer : layers_) {
      adam(layer.weight, rate, correction);
      adam(layer.bias, rate, correction);
    }
    return loss;
  }

 private:
  const float* input(std::size_t l) const { return l == 0 ? x_.data() : layers_[l - 1].y.data(); }

  float loss_gradient() {
    Layer& last = layers_.back();
    const float scale = 1 / static_cast<float>(last.y.size());
    float sum = 0;
    for (std::size_t i = 0; i < last.y.size(); ++i) {
      const float d = last.y[i] - target_[i];
      last.dy[i] = 2 * scale * d;
      sum += d * d;
    }
    return sum * scale;
  }

  std::size_t batch_;
  std::vector<float> x_, target_;
  std::vector<Layer> layers_;
  double power1_ = 1, power2_ = 1;
};

}  // namespace

std::unique_ptr<Trainer> make_naive_net(const NetData& data) {
  return std::make_unique<NaiveNet>(data);
}

}  // namespace taper::bench
