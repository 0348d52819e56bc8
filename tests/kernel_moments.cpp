// Moments of an image in the epilogue of a convolution: the result's bits are those without them,
// each moment is one chain over the pixels in the order of the walk, and neither an ISA, nor the
// cut into units, nor where the result is stored to changes a bit.
#include "convolution.h"

namespace taper::testing {
namespace {

using ir::ConvPass;
using ir::ConvSpec;
using ir::EpilogueAccess;
using ir::Op;

constexpr std::int64_t kImages = 3;

struct Case {
  ConvSpec spec;
  EpilogueKind kind = EpilogueKind::none;
  bool mean = false;

  bool forward() const { return spec.pass == ConvPass::forward; }
  Activation source() const { return forward() ? input_of(spec) : output_of(spec); }
  Activation result() const { return forward() ? output_of(spec) : input_of(spec); }
  // Rows and columns of a gradient through a stride are walked by phases.
  bool in_order() const { return forward() || spec.stride == std::array<std::int64_t, 2>{1, 1}; }
};

ConvSpec layer(ConvPass pass, std::int64_t ic, std::int64_t oc, std::int64_t size,
               std::int64_t kernel, std::int64_t stride, std::int64_t groups = 1) {
  ConvSpec s;
  s.pass = pass;
  s.ic = ic;
  s.oc = oc;
  s.groups = groups;
  s.ih = s.iw = size;
  s.kh = s.kw = kernel;
  s.stride = {stride, stride};
  s.pad_top = s.pad_left = kernel / 2;
  s.oh = s.ow = (size - 1) / stride + 1;
  return s;
}

// sum (r - first)^2 and sum r * (y - centre), y like the result and centre for each channel.
ir::Epilogue with_moments(EpilogueKind kind, bool mean) {
  ir::Epilogue e = make_epilogue(kind);
  const auto y = static_cast<std::int16_t>(2 + e.operands.size());
  const auto n = static_cast<std::int16_t>(y + 2);
  e.operands.push_back({ir::DType::f32, EpilogueAccess::same});
  e.operands.push_back({ir::DType::f32, EpilogueAccess::channel});
  e.moments.inputs = n;
  e.moments.instrs = {instr(Op::sub, 0, 1), instr(Op::mul, n, n),
                      instr(Op::sub, y, static_cast<std::int16_t>(y + 1)),
                      instr(Op::mul, 0, static_cast<std::int16_t>(n + 2))};
  e.moments.outputs = {static_cast<std::int16_t>(n + 1), static_cast<std::int16_t>(n + 3)};
  e.mean = mean;
  return e;
}

struct Results {
  Buffer result, squares, products;
};

class Problem {
 public:
  explicit Problem(Case c)
      : case_(std::move(c)),
        x_(random_activation(case_.source(), kImages, generator_)),
        w_(weights()),
        extra_(case_.kind, size(), channels(), generator_),
        y_(random_activation(case_.result(), kImages, generator_)),
        centre_(channels()) {
    for (std::int64_t i = 0; i < w_.size(); ++i) w_[i] = random_value(generator_);
    for (std::int64_t i = 0; i < channels(); ++i) centre_[i] = random_value(generator_);
  }

  void check() {
    for (const ir::Isa* isa : host_isas()) {
      Results plain = run(*isa, make_epilogue(case_.kind), kImages);
      for (const bool streamed : {false, true}) {
        ir::Epilogue epilogue = with_moments(case_.kind, case_.mean);
        epilogue.streamed = streamed;
        for (const std::int64_t cut : {std::int64_t{1}, kImages}) {
          Results got = run(*isa, epilogue, cut);
          ASSERT_EQ(std::memcmp(got.result.data(), plain.result.data(), bytes(plain.result)), 0)
              << describe() << isa->name;
          expect_chains(got);
          if (::testing::Test::HasFatalFailure()) return;
          if (!first_)
            first_ = std::make_unique<Results>(std::move(got));
          else
            expect_first(got, *isa);
        }
      }
    }
  }

 private:
  std::int64_t channels() const { return case_.result().c; }
  std::int64_t pixels() const { return case_.result().h * case_.result().w; }
  std::int64_t size() const { return case_.result().size(kImages); }
  std::int64_t weights() const {
    const ConvSpec& s = case_.spec;
    const std::int64_t taps = s.kh * s.kw;
    if (s.groups > 1) return blocks(s.oc) * 16 * taps;
    return case_.forward() ? blocks(s.oc) * 16 * s.ic * taps : blocks(s.ic) * 16 * s.oc * taps;
  }
  static std::size_t bytes(const Buffer& b) { return static_cast<std::size_t>(b.size()) * 4; }
  std::string describe() const { return ir::to_string(ir::KernelSpec(case_.spec)) + " on "; }

  Results run(const ir::Isa& isa, const ir::Epilogue& epilogue, std::int64_t cut) {
    ConvSpec spec = case_.spec;
    spec.epilogue = epilogue;
    Results r{Buffer(size()), Buffer(kImages * channels()), Buffer(kImages * channels())};
    std::vector<void*> buffers{x_.data(), w_.data()};
    for (Buffer& e : extra_.buffers) buffers.push_back(e.data());
    const bool moments = epilogue.moments != ir::Expr{};
    if (moments)
      for (Buffer* b : {&y_, &centre_}) buffers.push_back(b->data());
    buffers.push_back(r.result.data());
    if (moments)
      for (Buffer* b : {&r.squares, &r.products}) buffers.push_back(b->data());
    run_cut(*codegen::compile(spec, isa), buffers, kImages, cut);
    return r;
  }

  void expect_chains(Results& got) {
    for (std::int64_t n = 0; n < kImages; ++n)
      for (std::int64_t c = 0; c < channels(); ++c) expect_chain(got, n, c);
  }

  void expect_chain(Results& got, std::int64_t n, std::int64_t c) {
    const Activation a = case_.result();
    float squares = 0, products = 0;
    double magnitude = 0;
    for (std::int64_t p = 0; p < pixels(); ++p) {
      const std::int64_t at = a.at(n, c, p / a.w, p % a.w);
      const float r = got.result[at], d = r - got.result[a.at(n, c, 0, 0)];
      squares += d * d;
      products += r * (y_[at] - centre_[c]);
      magnitude += d * d + std::fabs(r * (y_[at] - centre_[c]));
    }
    if (case_.mean) {
      squares /= static_cast<float>(pixels());
      products /= static_cast<float>(pixels());
    }
    const std::int64_t at = n * channels() + c;
    if (case_.in_order()) {
      ASSERT_EQ(got.squares[at], squares) << describe() << at;
      ASSERT_EQ(got.products[at], products) << describe() << at;
    }
    ASSERT_NEAR(got.squares[at], squares, 1e-5 * magnitude) << describe() << at;
    ASSERT_NEAR(got.products[at], products, 1e-5 * magnitude) << describe() << at;
  }

  void expect_first(Results& got, const ir::Isa& isa) {
    for (Buffer Results::*b : {&Results::squares, &Results::products})
      ASSERT_EQ(std::memcmp((got.*b).data(), (first_.get()->*b).data(), bytes(got.*b)), 0)
          << describe() << isa.name;
  }

  Case case_;
  std::mt19937 generator_{5};
  Buffer x_, w_;
  EpilogueData extra_;
  Buffer y_, centre_;
  std::unique_ptr<Results> first_;
};

void check_all(const std::vector<ConvSpec>& specs) {
  for (const ConvSpec& spec : specs)
    for (const EpilogueKind kind : kEpilogues)
      for (const bool mean : {false, true}) {
        Problem({spec, kind, mean}).check();
        if (::testing::Test::HasFatalFailure()) return;
      }
}

TEST(KernelMoments, Direct) {
  using enum ConvPass;
  check_all({layer(forward, 16, 32, 7, 1, 1), layer(forward, 20, 48, 9, 3, 1),
             layer(forward, 16, 16, 15, 3, 2), layer(backward_data, 32, 16, 7, 1, 1),
             layer(backward_data, 16, 20, 9, 3, 1), layer(backward_data, 16, 16, 10, 3, 2)});
}

// Groups of panels: more weights than stay in the caches.
TEST(KernelMoments, DirectWithLargeWeights) {
  check_all({layer(ConvPass::forward, 320, 512, 3, 1, 1),
             layer(ConvPass::backward_data, 512, 320, 3, 1, 1)});
}

TEST(KernelMoments, Depthwise) {
  using enum ConvPass;
  check_all({layer(forward, 32, 32, 9, 3, 1, 32), layer(forward, 16, 16, 30, 3, 2, 16),
             layer(backward_data, 32, 32, 9, 3, 1, 32),
             layer(backward_data, 16, 16, 31, 3, 2, 16)});
}

TEST(KernelMoments, RefusesPartialBlocksOfChannels) {
  if (host_isas().empty()) GTEST_SKIP() << "no instruction set that this build generates code for";
  ConvSpec spec = layer(ConvPass::forward, 16, 20, 7, 1, 1);
  spec.epilogue = with_moments(EpilogueKind::none, false);
  EXPECT_THROW(codegen::compile(spec, *host_isas().front()), Error);
}

}  // namespace
}  // namespace taper::testing
