// Depthwise convolution, forward and gradient of the input: close to a sum in double, and (without
// an epilogue) bit for bit the chain over kh, then kw, on every ISA and for every cut.
#include "convolution.h"

namespace taper::testing {
namespace {

using ir::ConvPass;
using ir::ConvSpec;

constexpr std::int64_t kImages = 3;

class Problem {
 public:
  Problem(const ConvSpec& spec, EpilogueKind kind)
      : spec_(spec),
        kind_(kind),
        forward_(spec.pass == ConvPass::forward),
        source_(forward_ ? input_of(spec) : output_of(spec)),
        result_(forward_ ? output_of(spec) : input_of(spec)),
        x_(random_activation(source_, kImages, generator_)),
        w_(blocks(spec.oc) * 16 * spec.kh * spec.kw),
        extra_(kind, result_.size(kImages), spec.oc, generator_),
        sums_(result_.size(kImages)) {
    spec_.epilogue = make_epilogue(kind);
    for (std::int64_t c = 0; c < spec.oc; ++c) {
      for (std::int64_t tap = 0; tap < spec.kh * spec.kw; ++tap) {
        w_[weight_at(spec, 1, c, 0, tap / spec.kw, tap % spec.kw)] = random_value(generator_);
      }
    }
    reference();
  }

  void check() {
    const std::vector<const ir::Isa*> isas = host_isas();
    Buffer first = run(*isas.front(), kImages);
    expect_reference(first);
    for (const ir::Isa* isa : isas) {
      for (const std::int64_t cut : {std::int64_t{1}, std::int64_t{2}}) {
        if (::testing::Test::HasFatalFailure()) return;
        Buffer other = run(*isa, cut);
        for_each_result([&](std::int64_t at, std::int64_t) {
          ASSERT_EQ(std::memcmp(&first[at], &other[at], 4), 0) << where() << isa->name << at;
        });
      }
    }
  }

 private:
  Buffer run(const ir::Isa& isa, std::int64_t cut) {
    Buffer result(result_.size(kImages));
    std::vector<void*> buffers{x_.data(), w_.data()};
    for (Buffer& e : extra_.buffers) buffers.push_back(e.data());
    buffers.push_back(result.data());
    const std::shared_ptr<const codegen::Kernel> kernel = codegen::compile_depthwise(spec_, isa);
    codegen::publish(std::span(&kernel, 1));
    const bool batched = spec_.images == ir::kBatch;
    EXPECT_EQ(kernel->partition(),
              batched ? codegen::Partition::images : codegen::Partition::units);
    EXPECT_EQ(kernel->units(kImages), batched ? kImages : kImages * blocks(spec_.oc));
    run_cut(*kernel, buffers, kImages, cut);
    return result;
  }

  void expect_reference(Buffer& result) {
    for_each_result([&](std::int64_t at, std::int64_t channel) {
      const auto i = static_cast<std::size_t>(at);
      ASSERT_NEAR(result[at], extra_.reference(sums_.exact[i], at, channel),
                  2e-6 * (1 + sums_.magnitude[i]))
          << where() << at;
      if (kind_ != EpilogueKind::none) return;
      ASSERT_EQ(result[at], sums_.chain[i]) << where() << at;
    });
  }

  std::string where() const { return ir::to_string(ir::KernelSpec(spec_)) + " at "; }

  template <class Visit>
  void for_each_result(Visit visit) {
    for (std::int64_t n = 0; n < kImages; ++n) {
      for (std::int64_t c = 0; c < result_.c; ++c) {
        for (std::int64_t pixel = 0; pixel < result_.h * result_.w; ++pixel) {
          visit(result_.at(n, c, pixel / result_.w, pixel % result_.w), c);
          if (::testing::Test::HasFatalFailure()) return;
        }
      }
    }
  }

  // Kernel position outermost: the order of every element's chain in both passes.
  void reference() {
    std::vector<Tap> taps = taps_of(spec_);
    std::stable_sort(taps.begin(), taps.end(), [](const Tap& a, const Tap& b) {
      return a.ky != b.ky ? a.ky < b.ky : a.kx < b.kx;
    });
    const Activation in = input_of(spec_), out = output_of(spec_);
    for (const Tap& tap : taps) {
      for (std::int64_t n = 0; n < kImages; ++n) {
        for (std::int64_t c = 0; c < spec_.oc; ++c) {
          const std::int64_t at_in = in.at(n, c, tap.iy, tap.ix);
          const std::int64_t at_out = out.at(n, c, tap.oy, tap.ox);
          sums_.accumulate(forward_ ? at_out : at_in, x_[forward_ ? at_in : at_out],
                           w_[weight_at(spec_, 1, c, 0, tap.ky, tap.kx)]);
        }
      }
    }
  }

  ConvSpec spec_;
  EpilogueKind kind_;
  bool forward_;
  Activation source_, result_;
  std::mt19937 generator_{11};
  Buffer x_, w_;
  EpilogueData extra_;
  Sums sums_;
};

void sweep(ConvPass pass, int count) {
  std::mt19937 generator(pass == ConvPass::forward ? 3 : 4);
  const std::vector<std::int64_t> channels{1, 3, 5, 16, 20, 32, 48};
  for (int done = 0; done < count;) {
    ConvSpec spec = random_geometry(generator);
    spec.pass = pass;
    spec.ic = spec.oc = spec.groups = channels[generator() % channels.size()];
    const EpilogueKind kind = kEpilogues[generator() % std::size(kEpilogues)];
    const std::int64_t work = spec.oc * spec.oh * spec.ow * spec.kh * spec.kw;
    if (work == 0 || work > 200000) continue;
    Problem(spec, kind).check();
    if (::testing::Test::HasFatalFailure()) return;
    ++done;
  }
}

ConvSpec layer(ConvPass pass, std::int64_t size, std::int64_t kernel, std::int64_t stride) {
  ConvSpec s;
  s.pass = pass;
  s.ic = s.oc = s.groups = 20;
  s.ih = s.iw = size;
  s.kh = s.kw = kernel;
  s.stride = {stride, stride};
  s.pad_top = s.pad_left = kernel / 2;
  s.oh = s.ow = (size - 1) / stride + 1;
  return s;
}

TEST(KernelDepthwise, ForwardSweptShapes) {
  if (host_isas().empty()) GTEST_SKIP() << "no instruction set that this build generates code for";
  sweep(ConvPass::forward, 250);
}

TEST(KernelDepthwise, InputGradientSweptShapes) {
  if (host_isas().empty()) GTEST_SKIP() << "no instruction set that this build generates code for";
  sweep(ConvPass::backward_data, 250);
}

// Wide enough that the pieces of a row repeat.
TEST(KernelDepthwise, WideRows) {
  if (host_isas().empty()) GTEST_SKIP() << "no instruction set that this build generates code for";
  for (const ConvPass pass : {ConvPass::forward, ConvPass::backward_data}) {
    for (const std::int64_t stride : {1, 2, 3}) {
      for (const std::int64_t kernel : {3, 5}) {
        Problem(layer(pass, 57, kernel, stride), EpilogueKind::bias_relu).check();
        if (HasFatalFailure()) return;
        Problem(layer(pass, 57, kernel, stride), EpilogueKind::residual).check();
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST(KernelDepthwise, RefusesGroupsOtherThanChannels) {
  if (host_isas().empty()) GTEST_SKIP() << "no instruction set that this build generates code for";
  ConvSpec spec = layer(ConvPass::forward, 7, 3, 1);
  spec.groups = 5;
  EXPECT_THROW(codegen::compile_depthwise(spec, *host_isas().front()), Error);
}

}  // namespace
}  // namespace taper::testing
