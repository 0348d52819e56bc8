// Winograd's convolutions against the interpreter, within the error bound that the README states;
// the same bits on every ISA and for every number of threads; when they are chosen.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <taper/taper.h>

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "tests/masm_run.h"

namespace taper {
namespace {

// The largest error, relative to the root mean square of the exact result.
constexpr double kBound = 2e-4;

struct Geometry {
  Dim channels, results, height, width;
  std::array<std::int64_t, 4> padding{1, 1, 1, 1};
  Dim images = 5;
  Dim max_batch = 70;  // enough for any geometry to be chosen
};

std::vector<float> normal(std::int64_t count, std::uint32_t seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> distribution;
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& v : values) v = distribution(generator);
  return values;
}

// One pass of a convolution: `pass` 0 forward with bias, skip and ReLU; 1 and 2 the gradients; 3
// forward with more to be computed at the end than there are registers for beside the transform.
class Problem {
 public:
  Problem(const Geometry& g, int pass) : g_(g), pass_(pass) {
    const Dim height = g.height + g.padding[0] + g.padding[2] - 2;
    const Dim width = g.width + g.padding[1] + g.padding[3] - 2;
    const Shape x{N, g.channels, g.height, g.width}, y{N, g.results, height, width};
    const Shape w{g.results, g.channels, 3, 3};
    ir::ConvAttrs attrs;
    attrs.padding = g.padding;
    ir::Builder builder(tape_.graph());
    const auto weight = [&] {
      const auto variable = std::make_shared<Variable>("w", ir::TensorType{DType::f32, w});
      variable->write(normal(ir::element_count(w, 1), 3));
      return tape_.parameter(variable).id();
    };
    if (pass == 0 || pass == 3) {
      const ir::ValueId image = input("x", x), filter = weight();
      const Tensor conv(tape_, builder.conv2d(image, filter, attrs));
      const Tensor bias = tape_.constant({g.results, 1, 1}, {0.5});
      const Tensor skip(tape_, input("skip", y));
      output_ = pass == 0 ? relu(conv + bias + skip) : sigmoid(conv + bias) * tanh(skip - conv);
    } else if (pass == 1) {
      attrs.shape = x;
      const ir::ValueId gradient = input("dy", y), filter = weight();
      const Tensor data(tape_, builder.conv2d_backward_data(gradient, filter, attrs));
      const Tensor positive = Tensor(tape_, input("x", x)) > 0;
      output_ = where(positive, data, 0);  // the mask of a ReLU below
    } else {
      attrs.shape = w;
      const ir::ValueId image = input("x", x), gradient = input("dy", y);
      output_ = Tensor(tape_, builder.conv2d_backward_weights(image, gradient, attrs));
    }
  }

  Function compiled(CompileOptions options) const {
    options.max_batch = g_.max_batch;
    return compile(output_, options);
  }

  std::vector<float> run(const CompileOptions& options) const {
    Function f = compiled(options);
    std::vector<InputView> views;
    for (const auto& image : images_)
      views.emplace_back(
          std::span(image).first(image.size() / static_cast<std::size_t>(g_.max_batch) *
                                 static_cast<std::size_t>(g_.images)));
    const auto y = f.run(views);
    return {y.begin(), y.end()};
  }

  std::string describe() const {
    return fmt::format("{}->{} {}x{} pass {}", g_.channels, g_.results, g_.height, g_.width, pass_);
  }

 private:
  ir::ValueId input(const std::string& name, const Shape& shape) {
    images_.push_back(
        normal(ir::element_count(shape, g_.max_batch), static_cast<std::uint32_t>(images_.size())));
    return tape_.input(name, shape).id();
  }

  Geometry g_;
  int pass_;
  Tape tape_;
  Tensor output_;
  std::vector<std::vector<float>> images_;
};

const std::vector<Geometry> kGeometries{
    {32, 32, 8, 8},
    {33, 40, 7, 5},
    {32, 48, 13, 14, {0, 0, 0, 0}},
    {40, 33, 9, 6, {2, 0, 1, 2}},
    {64, 32, 6, 11, {0, 1, 2, 0}, 1},
    {32, 64, 28, 28, {1, 1, 1, 1}, 2},
    {48, 32, 14, 14, {1, 1, 1, 1}, 9},
    {160, 96, 4, 7, {1, 1, 1, 1}, 17},
    {192, 160, 5, 5, {1, 1, 1, 1}, 11},  // large filters, 44 tiles
    // Ragged tiles of 1, 2 and 3 results at the right, below, and at both; no whole tile; rows of
    // tiles that are no whole images of a group.
    {32, 33, 8, 9, {1, 1, 1, 1}, 7},
    {33, 32, 8, 10, {1, 1, 1, 1}, 7},
    {32, 48, 11, 8, {1, 1, 1, 1}, 3},
    {48, 32, 9, 11, {1, 1, 1, 1}, 3},
    {32, 32, 10, 13, {1, 1, 1, 1}, 4},
    {40, 32, 3, 3, {1, 1, 1, 1}, 70},
    {32, 40, 2, 16, {1, 1, 1, 1}, 13},
    {32, 32, 27, 30, {1, 1, 1, 1}, 2},
    {272, 33, 7, 7, {1, 1, 1, 1}, 19},  // register tiles of sums of many steps
};
// So few images that tiles of 2x2 are chosen for inference.
const std::vector<Geometry> kFewTiles{
    {64, 80, 7, 7, {1, 1, 1, 1}, 1, 1},
    {65, 72, 9, 8, {2, 0, 1, 2}, 1, 1},
    {96, 64, 8, 9, {0, 1, 2, 0}, 2, 2},
    {288, 240, 7, 8, {1, 1, 1, 1}, 1, 1},  // large filters, which threads share
    {270, 288, 5, 6, {1, 1, 1, 1}, 3, 3},
    {64, 96, 7, 9, {1, 1, 1, 1}, 1, 1},
};

struct Case {
  Geometry geometry;
  int pass;
};
std::vector<Case> cases() {
  std::vector<Case> all;
  for (const Geometry& g : kGeometries)
    for (const int pass : {0, 1, 2, 3}) all.push_back({g, pass});
  for (const Geometry& g : kFewTiles)
    for (const int pass : {0, 3}) all.push_back({g, pass});
  return all;
}

TEST(Winograd, StaysWithinItsErrorBound) {
  for (const auto& [g, pass] : cases()) {
    if (pass == 3) continue;  // not linear in the sums
    const Problem problem(g, pass);
    const auto exact = problem.run({.interpret = true});
    const auto ours = problem.run({});
    double squares = 0, largest = 0;
    ASSERT_EQ(ours.size(), exact.size());
    for (std::size_t i = 0; i < exact.size(); ++i) {
      squares += static_cast<double>(exact[i]) * exact[i];
      largest = std::max(largest, std::fabs(static_cast<double>(ours[i]) - exact[i]));
      ASSERT_TRUE(std::isfinite(ours[i])) << problem.describe();
    }
    const double rms = std::sqrt(squares / static_cast<double>(exact.size()));
    EXPECT_LE(largest, kBound * rms) << problem.describe();
    EXPECT_GT(largest, 0) << "the interpreter is no oracle of itself: " << problem.describe();
  }
}

TEST(Winograd, SameBitsOnEveryInstructionSetAndThreadCount) {
  for (const auto& [g, pass] : cases()) {
    const Problem problem(g, pass);
    const auto expected = problem.run({.threads = 1});
    for (const ir::Isa* isa : host_isas())
      for (const int threads : {1, 2, 3})
        EXPECT_EQ(problem.run({.threads = threads, .isa = isa}), expected)
            << problem.describe() << " " << isa->name << " on " << threads;
  }
}

// More threads than units: a kernel that is called for a part of them only.
TEST(Winograd, SameBitsOnSevenThreads) {
  for (const int pass : {0, 1, 2}) {
    const Problem problem({32, 64, 28, 28, {1, 1, 1, 1}, 9}, pass);
    EXPECT_EQ(problem.run({.threads = 7}), problem.run({.threads = 1})) << problem.describe();
  }
}

TEST(Winograd, IsChosenByShapeAndCanBeTurnedOff) {
  const char* names[] = {"forward", "backward_data", "backward_weights"};
  for (const int pass : {0, 1, 2}) {
    const Problem large({32, 32, 8, 8}, pass);
    const std::string chosen = fmt::format("conv winograd 3x3 {}", names[pass]);
    const std::string direct = fmt::format("conv direct 3x3 {}", names[pass]);
    EXPECT_NE(large.compiled({}).plan().find(chosen), std::string::npos);
    const std::string off = large.compiled({.winograd = false}).plan();
    EXPECT_NE(off.find(direct), std::string::npos) << off;
    EXPECT_EQ(off.find("winograd"), std::string::npos) << off;
    const std::string few = Problem({16, 32, 8, 8}, pass).compiled({}).plan();
    EXPECT_NE(few.find(direct), std::string::npos) << few;
  }
}

// Small sums are those of parts of the batch, also where it has fewer images than parts; large ones
// are those of all images.
TEST(Winograd, SumsUpPartsOfLargeBatches) {
  const Problem small({32, 64, 28, 28, {1, 1, 1, 1}, 9}, 2);
  EXPECT_NE(small.compiled({}).plan().find("segments=16"), std::string::npos);
  const Problem large({160, 96, 12, 12}, 2);
  EXPECT_EQ(large.compiled({}).plan().find("segments"), std::string::npos);
}

// Every geometry above, and none where most products would be of padding.
TEST(Winograd, IsChosenWhereItSavesMultiplications) {
  for (const Geometry& g : kGeometries)
    for (const int pass : {0, 1, 2}) {
      const std::string plan = Problem(g, pass).compiled({}).plan();
      EXPECT_NE(plan.find("winograd=4"), std::string::npos) << Problem(g, pass).describe();
    }
  for (const Geometry& g :
       {Geometry{64, 64, 2, 2}, Geometry{64, 64, 1, 16}, Geometry{64, 64, 1, 1}})
    EXPECT_EQ(Problem(g, 0).compiled({}).plan().find("winograd"), std::string::npos);
}

TEST(Winograd, TilesOfFewImagesAreSmall) {
  for (const Geometry& g : kFewTiles) {
    const std::string plan = Problem(g, 0).compiled({}).plan();
    EXPECT_NE(plan.find("winograd=2"), std::string::npos) << plan;
    EXPECT_EQ(Problem(g, 1).compiled({}).plan().find("winograd"), std::string::npos);
  }
}

// A layer that stays f32 in a quantized model hands bytes to the next one.
TEST(Winograd, LeavesResultsInBytesToDirectConvolutions) {
  constexpr Dim kImages = 70, kChannels = 32, kSize = 8;
  Tape tape;
  const Shape w{kChannels, kChannels, 3, 3};
  const auto weight = std::make_shared<Variable>("w", ir::TensorType{DType::f32, w});
  weight->write(normal(ir::element_count(w, 1), 3));
  const Tensor x = tape.input("x", {N, kChannels, kSize, kSize});
  const Tensor y = conv2d(x, tape.parameter(weight), {.padding = {1, 1, 1, 1}});
  const Tensor bytes = cast(relu(y) * 2 + 0.5, DType::u8);
  const Tensor pooled = cast(max_pool2d(bytes, {.kernel = {2, 2}, .stride = {2, 2}}), DType::f32);
  const auto images = normal(kImages * kChannels * kSize * kSize, 4);
  Function ours = compile(pooled, {.max_batch = kImages});
  Function exact = compile(pooled, {.max_batch = kImages, .interpret = true});
  ASSERT_NE(ours.plan().find("stored=u8"), std::string::npos) << ours.plan();
  EXPECT_EQ(ours.plan().find("winograd"), std::string::npos) << ours.plan();
  const auto a = ours(images), b = exact(images);
  ASSERT_EQ(a.size(), b.size());
  // A value between two bytes may be rounded to either.
  for (std::size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], 1) << i;
}

}  // namespace
}  // namespace taper
