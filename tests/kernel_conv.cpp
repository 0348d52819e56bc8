// Direct convolution kernels, forward and backward data, against a reference in double; equal bits
// on every ISA and for every cut.
#include <algorithm>

#include "contraction.h"

namespace taper::testing {
namespace {

using ir::ConvPass;
using ir::ConvSpec;
using ir::kBatch;
using ir::Layout;

std::int64_t blocks(std::int64_t channels) {
  return (channels + 15) / 16;
}

// Element offset in an activation of [n][c][h][w].
struct Activation {
  std::int64_t c, h, w;
  Layout layout;
  std::int64_t size(std::int64_t n) const {
    return n * h * w * (layout == Layout::c16 ? blocks(c) * 16 : c);
  }
  std::int64_t at(std::int64_t n, std::int64_t ch, std::int64_t y, std::int64_t x) const {
    if (layout == Layout::plain) return ((n * c + ch) * h + y) * w + x;
    return (((n * blocks(c) + ch / 16) * h + y) * w + x) * 16 + ch % 16;
  }
};

class Problem {
 public:
  Problem(ConvSpec spec, std::int64_t images, EpilogueKind kind)
      : spec_(std::move(spec)),
        forward_(spec_.pass == ConvPass::forward),
        images_(images),
        source_(forward_ ? input() : gradient()),
        result_(forward_ ? gradient() : input()),
        x_(source_.size(images)),
        w_(weight_by_oc() ? blocks(spec_.oc) * 16 * spec_.ic * spec_.kh * spec_.kw
                          : blocks(spec_.ic) * 16 * spec_.oc * spec_.kh * spec_.kw),
        extra_(kind, result_.size(images), result_.c, generator_) {
    spec_.epilogue = make_epilogue(kind);
    for (std::int64_t n = 0; n < images; ++n) {
      for (std::int64_t i = 0; i < source_.c * source_.h * source_.w; ++i) {
        const std::int64_t pixel = i % (source_.h * source_.w);
        x_[source_.at(n, i / (source_.h * source_.w), pixel / source_.w, pixel % source_.w)] =
            random_value(generator_);
      }
    }
    for (std::int64_t i = 0; i < spec_.oc * spec_.ic * spec_.kh * spec_.kw; ++i) {
      const std::int64_t tap = i % (spec_.kh * spec_.kw), channels = i / (spec_.kh * spec_.kw);
      w_[weight_at(channels / spec_.ic, channels % spec_.ic, tap / spec_.kw, tap % spec_.kw)] =
          random_value(generator_);
    }
    reference();
  }

  Buffer run(const ir::Isa& isa, std::int64_t cut) {
    Buffer result(result_.size(images_));
    std::vector<void*> buffers{x_.data(), w_.data()};
    for (Buffer& e : extra_.buffers) buffers.push_back(e.data());
    buffers.push_back(result.data());
    const auto kernel = codegen::compile(spec_, isa);
    run_cut(*kernel, buffers, images_, cut);
    return result;
  }

  std::string describe() const { return ir::to_string(ir::KernelSpec(spec_)); }

  void expect_reference(Buffer& result) {
    for_each_result([&](std::int64_t at, std::int64_t channel) {
      const auto i = static_cast<std::size_t>(at);
      ASSERT_NEAR(result[at], extra_.reference(sum_[i], at, channel), 1e-6 * magnitude_[i])
          << describe() << " at " << at;
    });
  }

  void expect_equal(Buffer& a, Buffer& b) {
    for_each_result([&](std::int64_t at, std::int64_t) {
      ASSERT_EQ(std::memcmp(&a[at], &b[at], 4), 0) << describe() << " at " << at;
    });
  }

 private:
  Activation input() const { return {spec_.ic, spec_.ih, spec_.iw, spec_.input}; }
  Activation gradient() const { return {spec_.oc, spec_.oh, spec_.ow, Layout::c16}; }

  bool weight_by_oc() const { return forward_ || ir::by_columns(spec_); }

  std::int64_t weight_at(std::int64_t o, std::int64_t i, std::int64_t y, std::int64_t x) const {
    const std::int64_t tap = y * spec_.kw + x, taps = spec_.kh * spec_.kw;
    if (weight_by_oc()) return ((o / 16 * spec_.ic + i) * taps + tap) * 16 + o % 16;
    return ((i / 16 * spec_.oc + o) * taps + tap) * 16 + i % 16;
  }

  template <class Visit>
  void for_each_result(Visit visit) {
    for (std::int64_t n = 0; n < images_; ++n) {
      for (std::int64_t c = 0; c < result_.c; ++c) {
        for (std::int64_t y = 0; y < result_.h; ++y) {
          for (std::int64_t x = 0; x < result_.w; ++x) {
            visit(result_.at(n, c, y, x), c);
            if (::testing::Test::HasFatalFailure()) return;
          }
        }
      }
    }
  }

  // Scatters every product of the convolution to the result element it belongs to.
  void reference() {
    sum_.assign(static_cast<std::size_t>(result_.size(images_)), 0);
    magnitude_.assign(sum_.size(), 1);
    for (std::int64_t oy = 0; oy < spec_.oh; ++oy) {
      for (std::int64_t ox = 0; ox < spec_.ow; ++ox) {
        for (std::int64_t ky = 0; ky < spec_.kh; ++ky) {
          for (std::int64_t kx = 0; kx < spec_.kw; ++kx) {
            const std::int64_t iy = oy * spec_.stride[0] + ky * spec_.dilation[0] - spec_.pad_top;
            const std::int64_t ix = ox * spec_.stride[1] + kx * spec_.dilation[1] - spec_.pad_left;
            if (iy < 0 || iy >= spec_.ih || ix < 0 || ix >= spec_.iw) continue;
            accumulate(oy, ox, ky, kx, iy, ix);
          }
        }
      }
    }
  }

  void accumulate(std::int64_t oy, std::int64_t ox, std::int64_t ky, std::int64_t kx,
                  std::int64_t iy, std::int64_t ix) {
    const Activation in = input(), out = gradient();
    for (std::int64_t n = 0; n < images_; ++n) {
      for (std::int64_t o = 0; o < spec_.oc; ++o) {
        for (std::int64_t i = 0; i < spec_.ic; ++i) {
          const std::int64_t at_in = in.at(n, i, iy, ix), at_out = out.at(n, o, oy, ox);
          const double product =
              static_cast<double>(x_[forward_ ? at_in : at_out]) * w_[weight_at(o, i, ky, kx)];
          const auto at = static_cast<std::size_t>(forward_ ? at_out : at_in);
          sum_[at] += product;
          magnitude_[at] += std::fabs(product);
        }
      }
    }
  }

  ConvSpec spec_;
  bool forward_;
  std::int64_t images_;
  Activation source_, result_;
  std::mt19937 generator_{11};
  Buffer x_, w_;
  EpilogueData extra_;
  std::vector<double> sum_, magnitude_;
};

void check(const ConvSpec& spec, std::int64_t images, EpilogueKind kind) {
  const std::vector<const ir::Isa*> isas = host_isas();
  if (isas.empty()) GTEST_SKIP() << "no instruction set that this build generates code for";
  Problem problem(spec, images, kind);
  constexpr std::int64_t kUncut = 1 << 20;
  Buffer first = problem.run(*isas.front(), kUncut);
  problem.expect_reference(first);
  for (const ir::Isa* isa : isas) {
    for (const std::int64_t cut : {kUncut, std::int64_t{1}}) {
      if (::testing::Test::HasFatalFailure()) return;
      Buffer other = problem.run(*isa, cut);
      problem.expect_equal(first, other);
    }
  }
}

ConvSpec make_spec(std::int64_t ic, std::int64_t oc, std::int64_t size, std::int64_t kernel,
                   std::int64_t pad) {
  ConvSpec s;
  s.ic = ic;
  s.oc = oc;
  s.ih = s.iw = size;
  s.kh = s.kw = kernel;
  s.pad_top = s.pad_left = pad;
  s.oh = s.ow = size + 2 * pad - kernel + 1;
  return s;
}

std::int64_t out_size(std::int64_t in, std::int64_t kernel, std::int64_t stride,
                      std::int64_t dilation, std::int64_t padding) {
  const std::int64_t reach = dilation * (kernel - 1) + 1;
  return in + padding < reach ? 0 : (in + padding - reach) / stride + 1;
}

// One draw from the swept shapes.
ConvSpec random_spec(std::mt19937& g) {
  const auto pick = [&](std::vector<std::int64_t> from) { return from[g() % from.size()]; };
  const std::vector<std::int64_t> channels{1, 3, 5, 16, 20, 32, 48};
  const std::vector<std::int64_t> sizes{1, 2, 3, 4, 5, 6, 7, 8, 9, 14, 29};
  ConvSpec s;
  s.pass = g() % 2 == 0 ? ConvPass::forward : ConvPass::backward_data;
  if (g() % 3 == 0) s.input = Layout::plain;
  if (g() % 3 == 0) s.images = 2;
  s.ic = pick(channels);
  s.oc = pick(channels);
  s.ih = pick(sizes);
  s.iw = pick(sizes);
  const std::int64_t kernel = pick({11, 33, 55, 23, 31});
  s.kh = kernel / 10;
  s.kw = kernel % 10;
  s.stride = {pick({1, 1, 2, 3}), pick({1, 1, 2, 3})};
  s.dilation = {pick({1, 1, 2}), pick({1, 1, 2})};
  s.pad_top = static_cast<std::int64_t>(g() % 3);
  s.pad_left = static_cast<std::int64_t>(g() % 3);
  s.oh = out_size(s.ih, s.kh, s.stride[0], s.dilation[0], s.pad_top + pick({0, 1, 2}));
  s.ow = out_size(s.iw, s.kw, s.stride[1], s.dilation[1], s.pad_left + pick({0, 1, 2}));
  return s;
}

TEST(KernelConv, SweptShapes) {
  std::mt19937 generator(3);
  int done = 0;
  while (done < 400) {
    const ConvSpec spec = random_spec(generator);
    const EpilogueKind drawn = kEpilogues[generator() % std::size(kEpilogues)];
    const EpilogueKind kind = ir::by_columns(spec) ? EpilogueKind::none : drawn;
    const std::int64_t work = spec.ic * spec.oc * spec.oh * spec.ow * spec.kh * spec.kw;
    if (work == 0 || work > 1000000) continue;
    check(spec, 2, kind);
    if (HasFatalFailure()) return;
    ++done;
  }
}

TEST(KernelConv, LayersOfSmallNetworks) {
  for (const ConvPass pass : {ConvPass::forward, ConvPass::backward_data}) {
    for (ConvSpec spec : {make_spec(32, 32, 28, 3, 1), make_spec(32, 64, 14, 3, 1),
                          make_spec(64, 128, 7, 3, 1), make_spec(48, 80, 9, 1, 0)}) {
      spec.pass = pass;
      check(spec, 2, EpilogueKind::bias_relu);
      if (HasFatalFailure()) return;
    }
  }
}

// Weights beyond the second-level cache are walked panel by panel.
TEST(KernelConv, LargeWeights) {
  for (const ConvPass pass : {ConvPass::forward, ConvPass::backward_data}) {
    ConvSpec spec = make_spec(128, 136, 5, 3, 1);
    spec.pass = pass;
    check(spec, 2, EpilogueKind::residual);
  }
}

// The first layers of networks for images.
TEST(KernelConv, GradientsOfImages) {
  for (ConvSpec spec : {make_spec(1, 32, 28, 3, 1), make_spec(3, 40, 17, 3, 1),
                        make_spec(3, 64, 32, 7, 3), make_spec(2, 7, 300, 2, 0)}) {
    spec.pass = ConvPass::backward_data;
    spec.input = Layout::plain;
    check(spec, 2, EpilogueKind::none);
    if (HasFatalFailure()) return;
  }
}

TEST(KernelConv, InputGradientBetweenStridesIsTheEpilogueOfZero) {
  ConvSpec spec = make_spec(5, 7, 9, 1, 0);
  spec.pass = ConvPass::backward_data;
  spec.stride = {3, 3};
  spec.oh = spec.ow = 3;
  check(spec, 2, EpilogueKind::none);
  check(spec, 2, EpilogueKind::bias_relu);
}

}  // namespace
}  // namespace taper::testing
