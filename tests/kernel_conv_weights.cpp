// Weight gradients of convolutions, dense and depthwise: close to a sum in double, and bit for bit
// the documented chain (per image over output pixels, then images in order) on every ISA and for
// every cut.
#include "convolution.h"

namespace taper::testing {
namespace {

using ir::ConvPass;
using ir::ConvSpec;
using ir::Layout;

constexpr std::int64_t kImages = 3;

class Problem {
 public:
  explicit Problem(const ConvSpec& spec)
      : spec_(spec),
        inputs_(spec.groups > 1 ? 1 : spec.ic),
        x_(random_activation(input_of(spec), kImages, generator_)),
        dy_(random_activation(output_of(spec), kImages, generator_)),
        sums_(blocks(spec.oc) * 16 * inputs_ * spec.kh * spec.kw) {
    reference();
  }

  void check() {
    for (const ir::Isa* isa : host_isas()) {
      for (const std::int64_t cut : {std::int64_t{1} << 20, std::int64_t{1}, std::int64_t{3}}) {
        check(*isa, cut);
        if (::testing::Test::HasFatalFailure()) return;
      }
    }
  }

 private:
  void check(const ir::Isa& isa, std::int64_t cut) {
    const auto kernel = codegen::compile(spec_, isa);
    ASSERT_EQ(kernel->partition(), codegen::Partition::units);
    Buffer result(static_cast<std::int64_t>(sums_.exact.size()));
    run_cut(*kernel, {x_.data(), dy_.data(), result.data()}, kImages, cut);
    for (std::int64_t o = 0; o < spec_.oc; ++o) {
      for (std::int64_t w = 0; w < inputs_ * spec_.kh * spec_.kw; ++w) {
        const std::int64_t at = (o / 16 * inputs_ * spec_.kh * spec_.kw + w) * 16 + o % 16;
        const auto i = static_cast<std::size_t>(at);
        ASSERT_NEAR(result[at], sums_.exact[i], 1e-6 * (1 + sums_.magnitude[i])) << where(isa, at);
        ASSERT_EQ(result[at], sums_.chain[i]) << where(isa, at);
      }
    }
  }

  std::string where(const ir::Isa& isa, std::int64_t at) const {
    return ir::to_string(ir::KernelSpec(spec_)) + " on " + std::string(isa.name) + " at " +
           std::to_string(at);
  }

  void reference() {
    const std::vector<Tap> taps = taps_of(spec_);
    for (std::int64_t n = 0; n < kImages; ++n) {
      std::vector<float> before(sums_.chain.size());
      before.swap(sums_.chain);
      for (const Tap& tap : taps) accumulate(n, tap);
      if (n == 0) continue;
      for (std::size_t i = 0; i < before.size(); ++i) {
        sums_.chain[i] = before[i] + sums_.chain[i];
      }
    }
  }

  void accumulate(std::int64_t n, const Tap& tap) {
    const Activation in = input_of(spec_), out = output_of(spec_);
    for (std::int64_t o = 0; o < spec_.oc; ++o) {
      for (std::int64_t i = 0; i < inputs_; ++i) {
        const std::int64_t channel = spec_.groups > 1 ? o : i;
        sums_.accumulate(weight_at(spec_, inputs_, o, i, tap.ky, tap.kx),
                         x_[in.at(n, channel, tap.iy, tap.ix)], dy_[out.at(n, o, tap.oy, tap.ox)]);
      }
    }
  }

  ConvSpec spec_;
  std::int64_t inputs_;
  std::mt19937 generator_{5};
  Buffer x_, dy_;
  Sums sums_;
};

ConvSpec layer(std::int64_t ic, std::int64_t oc, std::int64_t size, std::int64_t kernel) {
  ConvSpec s;
  s.pass = ConvPass::backward_weights;
  s.ic = ic;
  s.oc = oc;
  s.ih = s.iw = s.oh = s.ow = size;
  s.kh = s.kw = kernel;
  s.pad_top = s.pad_left = kernel / 2;
  return s;
}

bool nothing_to_run_on() {
  return host_isas().empty();
}

void sweep(bool depthwise, int count, std::int64_t most_work) {
  std::mt19937 generator(depthwise ? 7 : 3);
  const std::vector<std::int64_t> channels{1, 3, 5, 16, 20, 32, 48};
  for (int done = 0; done < count;) {
    ConvSpec spec = random_geometry(generator);
    spec.pass = ConvPass::backward_weights;
    spec.oc = channels[generator() % channels.size()];
    spec.ic = depthwise ? spec.oc : channels[generator() % channels.size()];
    spec.groups = depthwise ? spec.oc : 1;
    if (!depthwise && generator() % 3 == 0) spec.input = Layout::plain;
    const std::int64_t work =
        spec.ic / spec.groups * spec.oc * spec.oh * spec.ow * spec.kh * spec.kw;
    if (work == 0 || work > most_work) continue;
    Problem(spec).check();
    if (::testing::Test::HasFatalFailure()) return;
    ++done;
  }
}

TEST(KernelConvWeights, SweptShapes) {
  if (nothing_to_run_on()) GTEST_SKIP() << "no instruction set that this build generates code for";
  sweep(false, 300, 400000);
}

TEST(KernelConvWeights, DepthwiseSweptShapes) {
  if (nothing_to_run_on()) GTEST_SKIP() << "no instruction set that this build generates code for";
  sweep(true, 300, 200000);
}

TEST(KernelConvWeights, LayersOfSmallNetworks) {
  if (nothing_to_run_on()) GTEST_SKIP() << "no instruction set that this build generates code for";
  for (ConvSpec spec : {layer(1, 32, 28, 3), layer(3, 20, 14, 3), layer(1, 16, 28, 7),
                        layer(32, 64, 14, 3), layer(20, 33, 7, 5), layer(40, 24, 9, 1)}) {
    if (spec.ic <= 3) spec.input = Layout::plain;
    Problem(spec).check();
    if (HasFatalFailure()) return;
  }
}

// The gradient of each image is that of a batch of it alone.
TEST(KernelConvWeights, OfEachImage) {
  if (nothing_to_run_on()) GTEST_SKIP() << "no instruction set that this build generates code for";
  ConvSpec depthwise = layer(40, 40, 9, 3);
  depthwise.groups = 40;
  for (ConvSpec spec : {layer(20, 33, 7, 5), layer(40, 24, 9, 1), depthwise}) {
    const Activation in = input_of(spec), out = output_of(spec);
    std::mt19937 generator(2);
    Buffer x = random_activation(in, kImages, generator);
    Buffer dy = random_activation(out, kImages, generator);
    const std::int64_t weights = blocks(spec.oc) * 16 * (spec.ic / spec.groups) * spec.kh * spec.kw;
    for (const ir::Isa* isa : host_isas())
      for (const std::int64_t cut : {1, 2, 3}) {
        spec.images = ir::kBatch;
        spec.each_image = true;
        const auto each = codegen::compile(spec, *isa);
        ASSERT_EQ(each->partition(), codegen::Partition::images);
        Buffer results(kImages * weights), expected(weights);
        run_cut(*each, {x.data(), dy.data(), results.data()}, kImages, cut);
        spec.images = 1;
        spec.each_image = false;
        const auto one = codegen::compile(spec, *isa);
        for (std::int64_t n = 0; n < kImages; ++n) {
          run_cut(*one, {&x[in.at(n, 0, 0, 0)], &dy[out.at(n, 0, 0, 0)], expected.data()}, 1, 1);
          for (std::int64_t i = 0; i < weights; ++i) {
            const std::int64_t channel = i * blocks(spec.oc) / weights * 16 + i % 16;
            if (channel >= spec.oc) continue;
            ASSERT_EQ(results[n * weights + i], expected[i]) << isa->name << ' ' << n << ' ' << i;
          }
        }
      }
  }
}

// Units are what threads share: small layers must have some to share.
TEST(KernelConvWeights, SmallLayersHaveSeveralUnits) {
  if (nothing_to_run_on()) GTEST_SKIP() << "no instruction set that this build generates code for";
  for (const ir::Isa* isa : host_isas()) {
    ConvSpec first = layer(1, 32, 28, 3);
    first.input = Layout::plain;
    EXPECT_GE(codegen::compile(first, *isa)->units(16), 2);
    EXPECT_GE(codegen::compile(layer(32, 32, 28, 3), *isa)->units(16), 8);
  }
}

TEST(KernelConvWeights, RefusesWhatItCannotCompute) {
  if (nothing_to_run_on()) GTEST_SKIP() << "no instruction set that this build generates code for";
  const ir::Isa& isa = *host_isas().front();
  ConvSpec grouped = layer(16, 16, 7, 3);
  grouped.groups = 4;
  EXPECT_THROW(codegen::compile_conv_weights(grouped, isa), Error);
  ConvSpec fused = layer(16, 16, 7, 3);
  fused.epilogue = make_epilogue(EpilogueKind::bias_relu);
  EXPECT_THROW(codegen::compile_conv_weights(fused, isa), Error);
  ConvSpec each = layer(3, 16, 7, 3);
  each.each_image = true;
  each.input = Layout::plain;
  EXPECT_THROW(codegen::compile(each, isa), Error);
}

}  // namespace
}  // namespace taper::testing
