#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "ir/attrs.h"
#include "tests/kernel_everywhere.h"

namespace taper::testing {
namespace {

using ir::PoolKind;

// One plane pair in double, with the semantics of torch.nn.MaxPool2d and AvgPool2d.
struct Window {
  std::int64_t top, left, bottom, right;  // inside the input
  double divisor;
};

Window window(const ir::PoolSpec& s, std::int64_t y, std::int64_t x) {
  const std::int64_t top = y * s.stride[0] - s.padding[0], left = x * s.stride[1] - s.padding[1];
  const std::int64_t bottom = std::min(top + s.kernel[0], s.ih + s.padding[2]);
  const std::int64_t right = std::min(left + s.kernel[1], s.iw + s.padding[3]);
  Window w{std::max<std::int64_t>(top, 0), std::max<std::int64_t>(left, 0), std::min(bottom, s.ih),
           std::min(right, s.iw), 1};
  w.divisor = static_cast<double>(s.count_include_pad ? (bottom - top) * (right - left)
                                                      : (w.bottom - w.top) * (w.right - w.left));
  return w;
}

struct Tensor {  // c16
  std::int64_t blocks, height, width;
  std::int64_t offset(std::int64_t n, std::int64_t c, std::int64_t y, std::int64_t x) const {
    return (((n * blocks + c / 16) * height + y) * width + x) * 16 + c % 16;
  }
};

struct Problem {
  ir::PoolSpec spec;
  std::int64_t batch, images;
  Tensor in, out;
  Problem(const ir::PoolSpec& s, std::int64_t n)
      : spec(s),
        batch(n),
        images(s.images == ir::kBatch ? n : s.images),
        in{(s.channels + 15) / 16, s.ih, s.iw},
        out{(s.channels + 15) / 16, s.oh, s.ow} {}
  std::int64_t size(const Tensor& t) const { return images * t.blocks * t.height * t.width * 16; }

  template <class Body>
  void each(const Tensor& t, Body&& body) const {
    for (std::int64_t n = 0; n < images; ++n) {
      for (std::int64_t c = 0; c < spec.channels; ++c) {
        for (std::int64_t y = 0; y < t.height; ++y) {
          for (std::int64_t x = 0; x < t.width; ++x) body(n, c, y, x);
        }
      }
    }
  }

  // Offset of the first max in scan order; the first NaN is it.
  std::int64_t argmax(Buffer& input, std::int64_t n, std::int64_t c, const Window& w) const {
    std::int64_t best = in.offset(n, c, w.top, w.left);
    for (std::int64_t y = w.top; y < w.bottom; ++y) {
      for (std::int64_t x = w.left; x < w.right; ++x) {
        const std::int64_t at = in.offset(n, c, y, x);
        if (std::isnan(input[best])) return best;
        if (input[at] > input[best] || std::isnan(input[at])) best = at;
      }
    }
    return best;
  }

  std::vector<double> forward(Buffer& input) const {
    std::vector<double> result(static_cast<std::size_t>(size(out)));
    each(out, [&](auto n, auto c, auto y, auto x) {
      const Window w = window(spec, y, x);
      double value = 0;
      for (std::int64_t i = w.top; i < w.bottom; ++i) {
        for (std::int64_t j = w.left; j < w.right; ++j) value += input[in.offset(n, c, i, j)];
      }
      value /= w.divisor;
      if (spec.kind == PoolKind::max) value = input[argmax(input, n, c, w)];
      result[static_cast<std::size_t>(out.offset(n, c, y, x))] = value;
    });
    return result;
  }

  // The number in its window, padding counted, of the first max.
  std::vector<std::uint8_t> taps(Buffer& input) const {
    std::vector<std::uint8_t> result(static_cast<std::size_t>(size(out)), 0xee);
    each(out, [&](auto n, auto c, auto y, auto x) {
      const std::int64_t at = argmax(input, n, c, window(spec, y, x)) / 16 % (spec.ih * spec.iw);
      const std::int64_t tap_y = at / spec.iw - (y * spec.stride[0] - spec.padding[0]);
      const std::int64_t tap_x = at % spec.iw - (x * spec.stride[1] - spec.padding[1]);
      result[static_cast<std::size_t>(out.offset(n, c, y, x))] =
          static_cast<std::uint8_t>(tap_y * spec.kernel[1] + tap_x);
      const bool none = spec.positive && !(input[argmax(input, n, c, window(spec, y, x))] > 0);
      if (none) result[static_cast<std::size_t>(out.offset(n, c, y, x))] = 255;
    });
    return result;
  }

  std::vector<double> backward(Buffer& input, Buffer& gradient) const {
    std::vector<double> result(static_cast<std::size_t>(size(in)));
    each(out, [&](auto n, auto c, auto y, auto x) {
      const Window w = window(spec, y, x);
      const double g = gradient[out.offset(n, c, y, x)];
      if (spec.kind == PoolKind::max) {
        result[static_cast<std::size_t>(argmax(input, n, c, w))] += g;
        return;
      }
      for (std::int64_t i = w.top; i < w.bottom; ++i) {
        for (std::int64_t j = w.left; j < w.right; ++j) {
          result[static_cast<std::size_t>(in.offset(n, c, i, j))] += g / w.divisor;
        }
      }
    });
    return result;
  }
};

void check_input(const Problem& p, EpilogueKind epilogue, Buffer& input) {
  std::mt19937 generator(5);
  const Tensor& t = p.spec.backward ? p.in : p.out;
  Buffer gradient(p.size(p.out));
  p.each(p.out, [&](auto n, auto c, auto y, auto x) {
    gradient[p.out.offset(n, c, y, x)] = random_value(generator);
  });
  EpilogueData extra(epilogue, p.size(t), p.spec.channels, generator);
  std::vector<std::uint8_t> taps;
  if (p.spec.indices) {
    taps = p.taps(input);
    taps.resize(taps.size() + 64);
  }
  const bool unpool = p.spec.indices && p.spec.backward;
  std::vector<void*> operands{unpool ? static_cast<void*>(taps.data()) : input.data()};
  if (p.spec.backward) operands.push_back(gradient.data());
  for (Buffer& b : extra.buffers) operands.push_back(b.data());
  std::vector<std::int64_t> bytes{p.size(t) * 4};
  if (p.spec.indices && !unpool) bytes.push_back(p.size(t));
  const auto got = run_everywhere([&](const ir::Isa& isa) { return codegen::compile(p.spec, isa); },
                                  operands, bytes, p.batch);
  const std::vector<double> want = p.spec.backward ? p.backward(input, gradient) : p.forward(input);
  int wrong = 0;
  p.each(t, [&](auto n, auto c, auto y, auto x) {
    const std::int64_t at = t.offset(n, c, y, x);
    const double expected = extra.reference(want[static_cast<std::size_t>(at)], at, c);
    const double value = floats(got[0])[at];
    bool same = std::isnan(expected) ? std::isnan(value) : std::fabs(value - expected) < 1e-5;
    if (got.size() > 1) {
      const auto index = static_cast<std::size_t>(at);
      same = same && std::to_integer<std::uint8_t>(got[1][index]) == taps[index];
    }
    if (!same && wrong++ == 0) {
      ADD_FAILURE() << value << " instead of " << expected << " at " << n << ", " << c << ", " << y
                    << ", " << x;
    }
  });
}

// Few different values, so that windows hold equal ones; padding lanes stay NaN.
Buffer make_input(const Problem& p) {
  std::mt19937 generator(9);
  Buffer input(p.size(p.in));
  p.each(p.in, [&](auto n, auto c, auto y, auto x) {
    input[p.in.offset(n, c, y, x)] = static_cast<float>(generator() % 5) - 2.0f;
  });
  return input;
}

void check(ir::PoolSpec spec, std::int64_t batch, EpilogueKind epilogue) {
  spec.epilogue = make_epilogue(epilogue);
  const Problem p(spec, batch);
  SCOPED_TRACE(ir::to_string(ir::KernelSpec(spec)) + " N=" + std::to_string(batch));
  Buffer input = make_input(p);
  check_input(p, epilogue, input);
}

ir::PoolSpec make_spec(std::int64_t height, std::int64_t width, std::array<std::int64_t, 2> kernel,
                       std::array<std::int64_t, 2> stride, std::array<std::int64_t, 4> padding,
                       bool ceil_mode, std::int64_t channels) {
  ir::PoolSpec s;
  s.channels = channels;
  s.ih = height;
  s.iw = width;
  s.kernel = kernel;
  s.stride = stride;
  s.padding = padding;
  const auto outputs = [&](std::int64_t extent, std::size_t a) {
    const std::int64_t span = extent + padding[a] + padding[a + 2] - kernel[a];
    std::int64_t n = (ceil_mode ? span + stride[a] - 1 : span) / stride[a] + 1;
    if (ceil_mode && (n - 1) * stride[a] >= extent + padding[a]) --n;
    return n;
  };
  s.oh = outputs(height, 0);
  s.ow = outputs(width, 1);
  return s;
}

std::vector<ir::PoolSpec> cases() {
  return {
      make_spec(8, 8, {2, 2}, {2, 2}, {0, 0, 0, 0}, false, 16),
      make_spec(7, 9, {2, 2}, {2, 2}, {0, 0, 0, 0}, false, 37),
      make_spec(7, 9, {2, 2}, {2, 2}, {0, 0, 0, 0}, true, 3),
      make_spec(8, 7, {3, 3}, {2, 2}, {1, 1, 1, 1}, false, 20),
      make_spec(7, 8, {3, 3}, {1, 1}, {1, 1, 1, 1}, false, 16),
      make_spec(9, 9, {3, 2}, {2, 3}, {1, 0, 0, 1}, true, 16),
      make_spec(11, 10, {2, 2}, {3, 4}, {0, 0, 0, 0}, false, 16),  // gaps between windows
      make_spec(10, 11, {2, 2}, {4, 3}, {1, 1, 1, 1}, true, 5),
      make_spec(7, 7, {7, 7}, {7, 7}, {0, 0, 0, 0}, false, 33),  // global, too large to unroll
      make_spec(12, 13, {6, 7}, {3, 2}, {2, 3, 2, 3}, false, 16),
      make_spec(5, 5, {1, 1}, {1, 1}, {0, 0, 0, 0}, false, 16),
      make_spec(4, 4, {3, 3}, {3, 3}, {1, 1, 1, 1}, true, 16),
      make_spec(1, 1, {2, 2}, {2, 2}, {1, 1, 1, 1}, false, 4),
  };
}

void check_all(bool backward) {
  for (ir::PoolSpec spec : cases()) {
    spec.backward = backward;
    for (const PoolKind kind : {PoolKind::max, PoolKind::average}) {
      spec.kind = kind;
      for (const EpilogueKind epilogue : kEpilogues) check(spec, 3, epilogue);
      spec.indices = kind == PoolKind::max;
      for (const EpilogueKind epilogue : kEpilogues) {
        const bool takes = spec.indices && (backward || epilogue == EpilogueKind::none);
        if (takes) check(spec, 3, epilogue);
      }
      spec.positive = spec.indices && !backward;
      if (spec.positive) check(spec, 2, EpilogueKind::none);
      spec.indices = spec.positive = false;
    }
    spec.count_include_pad = false;
    check(spec, 1, EpilogueKind::none);
    spec.images = 4;
    check(spec, 1, EpilogueKind::mask);
  }
}

TEST(Pool, ForwardMatchesReference) {
  check_all(false);
}
TEST(Pool, BackwardMatchesReference) {
  check_all(true);
}

TEST(Pool, NaNIsTheMaxAndTakesTheGradient) {
  for (ir::PoolSpec spec : cases()) {
    for (const int mode : {0, 1, 2, 3}) {
      spec.backward = mode % 2 != 0;
      spec.indices = mode / 2 != 0;
      const Problem p(spec, 2);
      SCOPED_TRACE(ir::to_string(ir::KernelSpec(spec)));
      Buffer input = make_input(p);
      std::mt19937 generator(1);
      p.each(p.in, [&](auto n, auto c, auto y, auto x) {
        if (generator() % 7 == 0) input[p.in.offset(n, c, y, x)] = std::nanf("");
      });
      check_input(p, EpilogueKind::none, input);
    }
  }
}

TEST(Pool, WindowOutsideOfTheInputIsAnError) {
  ir::PoolSpec spec = make_spec(4, 4, {2, 2}, {2, 2}, {0, 0, 0, 0}, false, 16);
  spec.oh = 4;
  EXPECT_THROW(codegen::compile(spec, *host_isas().front()), Error);
}

}  // namespace
}  // namespace taper::testing
