// What Winograd's convolution costs in accuracy: its largest and its root-mean-square error, and
// those of the direct convolution, relative to the root mean square of the exact result.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "taper/taper.h"

namespace {

constexpr taper::Dim kMostImages = 64;  // as many as make a program choose Winograd

struct Layer {
  std::int64_t ic, oc, size;
};
// The 3x3 convolutions of bench's networks.
constexpr Layer kLayers[] = {{32, 32, 28},   {32, 64, 14},  {64, 64, 14},
                             {64, 128, 7},   {64, 64, 56},  {128, 128, 28},
                             {256, 256, 14}, {512, 512, 7}, {512, 512, 14}};
constexpr const char* kPasses[] = {"forward", "backward_data", "backward_weights", "forward 2x2"};
constexpr int kSmallTiles = 3;  // one image by F(2x2)

std::vector<float> normal(std::int64_t count, std::uint32_t seed, double deviation) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> distribution(0, static_cast<float>(deviation));
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& v : values) v = distribution(generator);
  return values;
}

// One pass on standard normal activations and gradients, and weights of He's deviation.
class Convolution {
 public:
  Convolution(const Layer& layer, int pass, taper::Dim images)
      : images_(images), most_(pass == kSmallTiles ? images : kMostImages) {
    const taper::Shape x{taper::N, layer.ic, layer.size, layer.size};
    const taper::Shape y{taper::N, layer.oc, layer.size, layer.size};
    const taper::Shape w{layer.oc, layer.ic, 3, 3};
    taper::ir::ConvAttrs attrs;
    attrs.padding = {1, 1, 1, 1};
    taper::ir::Builder builder(tape_.graph());
    const auto input = [&](const std::string& name, const taper::Shape& shape) {
      const std::int64_t count = taper::ir::element_count(shape, images);
      data_.push_back(normal(count, static_cast<std::uint32_t>(data_.size() + 1), 1));
      return tape_.input(name, shape).id();
    };
    const auto weight = [&] {
      const taper::ir::TensorType type{taper::DType::f32, w};
      const auto variable = std::make_shared<taper::Variable>("w", type);
      const double deviation = std::sqrt(2.0 / static_cast<double>(9 * layer.ic));
      variable->write(normal(taper::ir::element_count(w, 1), 9, deviation));
      return tape_.parameter(variable).id();
    };
    if (pass == 0 || pass == kSmallTiles) {
      const auto image = input("x", x), filter = weight();
      result_ = {tape_, builder.conv2d(image, filter, attrs)};
    } else if (pass == 1) {
      attrs.shape = x;
      const auto gradient = input("dy", y), filter = weight();
      result_ = {tape_, builder.conv2d_backward_data(gradient, filter, attrs)};
    } else {
      attrs.shape = w;
      const auto image = input("x", x), gradient = input("dy", y);
      result_ = {tape_, builder.conv2d_backward_weights(image, gradient, attrs)};
    }
  }

  std::vector<float> run(taper::CompileOptions options) const {
    options.max_batch = options.interpret ? images_ : most_;
    auto f = taper::compile(result_, options);
    const std::vector<taper::InputView> views(data_.begin(), data_.end());
    const auto values = f.run(views);
    return {values.begin(), values.end()};
  }

 private:
  taper::Dim images_, most_;
  taper::Tape tape_;
  taper::Tensor result_;
  std::vector<std::vector<float>> data_;
};

std::string error(const std::vector<float>& got, const std::vector<float>& exact) {
  double largest = 0, squares = 0, scale = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    const double difference = static_cast<double>(got[i]) - exact[i];
    largest = std::max(largest, std::fabs(difference));
    squares += difference * difference;
    scale += static_cast<double>(exact[i]) * exact[i];
  }
  const double rms = std::sqrt(scale);
  const double count = static_cast<double>(exact.size());
  return fmt::format("{:.1e} | {:.1e}", largest / (rms / std::sqrt(count)),
                     std::sqrt(squares) / rms);
}

}  // namespace

int main(int argc, char** argv) {
  taper::Dim images = 2;
  CLI::App app("The errors of Winograd's and of direct convolutions");
  app.add_option("--images", images)->check(CLI::Range(1, 64));
  CLI11_PARSE(app, argc, argv);
  fmt::print(
      "{} images; relative to the root mean square of the exact result\n\n"
      "| layer, pass | Winograd, largest | Winograd, rms | direct, largest | direct, rms |\n"
      "|---|---|---|---|---|\n",
      images);
  for (const Layer& layer : kLayers)
    for (int pass = 0; pass < (layer.size < 8 ? 4 : 3); ++pass) {
      const Convolution convolution(layer, pass, pass == kSmallTiles ? 1 : images);
      const auto exact = convolution.run({.interpret = true});
      fmt::print("| {}-{}@{} {} | {} | {} |\n", layer.ic, layer.oc, layer.size, kPasses[pass],
                 error(convolution.run({}), exact),
                 error(convolution.run({.winograd = false}), exact));
    }
}
