// Shared by the tests of weight gradients and depthwise kernels: swept shapes, and every product of
// a convolution in the order of the contract.
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

#include "contraction.h"
#include "ir/kernel.h"

namespace taper::testing {

inline std::int64_t blocks(std::int64_t channels) {
  return (channels + 15) / 16;
}

// Element offsets in an activation of [n][c][h][w].
struct Activation {
  std::int64_t c, h, w;
  ir::Layout layout = ir::Layout::c16;
  std::int64_t size(std::int64_t n) const {
    return n * h * w * (layout == ir::Layout::c16 ? blocks(c) * 16 : c);
  }
  std::int64_t at(std::int64_t n, std::int64_t ch, std::int64_t y, std::int64_t x) const {
    if (layout == ir::Layout::plain) return ((n * c + ch) * h + y) * w + x;
    return (((n * blocks(c) + ch / 16) * h + y) * w + x) * 16 + ch % 16;
  }
};

inline Activation input_of(const ir::ConvSpec& s) {
  return {s.ic, s.ih, s.iw, s.input};
}
inline Activation output_of(const ir::ConvSpec& s) {
  return {s.oc, s.oh, s.ow};
}

// Element offset of a weight in {o16}; `inputs` is 1 for depthwise.
inline std::int64_t weight_at(const ir::ConvSpec& s, std::int64_t inputs, std::int64_t o,
                              std::int64_t i, std::int64_t ky, std::int64_t kx) {
  return (((o / 16 * inputs + i) * s.kh + ky) * s.kw + kx) * 16 + o % 16;
}

// Random values where channels are real; padding lanes stay NaN.
inline Buffer random_activation(const Activation& a, std::int64_t images, std::mt19937& g) {
  Buffer buffer(a.size(images));
  for (std::int64_t n = 0; n < images; ++n) {
    for (std::int64_t c = 0; c < a.c; ++c) {
      for (std::int64_t y = 0; y < a.h; ++y) {
        for (std::int64_t x = 0; x < a.w; ++x) buffer[a.at(n, c, y, x)] = random_value(g);
      }
    }
  }
  return buffer;
}

struct Tap {
  std::int64_t oy, ox, ky, kx, iy, ix;
};

// Every tap that is not padding, by output row, output column, kernel row, kernel column.
inline std::vector<Tap> taps_of(const ir::ConvSpec& s) {
  std::vector<Tap> taps;
  for (std::int64_t oy = 0; oy < s.oh; ++oy) {
    for (std::int64_t ox = 0; ox < s.ow; ++ox) {
      for (std::int64_t ky = 0; ky < s.kh; ++ky) {
        for (std::int64_t kx = 0; kx < s.kw; ++kx) {
          const std::int64_t iy = oy * s.stride[0] + ky * s.dilation[0] - s.pad_top;
          const std::int64_t ix = ox * s.stride[1] + kx * s.dilation[1] - s.pad_left;
          if (iy < 0 || iy >= s.ih || ix < 0 || ix >= s.iw) continue;
          taps.push_back({oy, ox, ky, kx, iy, ix});
        }
      }
    }
  }
  return taps;
}

// A result in double with the sum of magnitudes, and in float as the contract's chain of FMAs.
struct Sums {
  std::vector<double> exact, magnitude;
  std::vector<float> chain;
  explicit Sums(std::int64_t size)
      : exact(static_cast<std::size_t>(size)), magnitude(exact.size()), chain(exact.size()) {}
  void accumulate(std::int64_t at, float a, float b) {
    const auto i = static_cast<std::size_t>(at);
    const double product = static_cast<double>(a) * b;
    exact[i] += product;
    magnitude[i] += std::fabs(product);
    chain[i] = std::fma(a, b, chain[i]);
  }
};

// One draw from the swept shapes; channels, layout and pass are left to the caller. The result may
// be empty.
inline ir::ConvSpec random_geometry(std::mt19937& g) {
  const auto pick = [&](std::vector<std::int64_t> from) { return from[g() % from.size()]; };
  const auto extent = [](std::int64_t in, std::int64_t kernel, std::int64_t stride,
                         std::int64_t dilation, std::int64_t padding) -> std::int64_t {
    const std::int64_t reach = dilation * (kernel - 1) + 1;
    return in + padding < reach ? 0 : (in + padding - reach) / stride + 1;
  };
  const std::vector<std::int64_t> sizes{1, 2, 3, 4, 5, 6, 7, 8, 9, 14, 29};
  ir::ConvSpec s;
  if (g() % 3 == 0) s.images = 3;
  s.ih = pick(sizes);
  s.iw = pick(sizes);
  const std::int64_t kernel = pick({11, 11, 33, 33, 55, 23, 77, 17});
  s.kh = kernel / 10;
  s.kw = kernel % 10;
  s.stride = {pick({1, 1, 2, 3}), pick({1, 1, 2, 3})};
  s.dilation = {pick({1, 1, 2}), pick({1, 1, 2})};
  s.pad_top = pick({0, 0, 1, 2, 3});
  s.pad_left = pick({0, 0, 1, 2, 3});
  s.oh = extent(s.ih, s.kh, s.stride[0], s.dilation[0], s.pad_top + pick({0, 1, 2, 3}));
  s.ow = extent(s.iw, s.kw, s.stride[1], s.dilation[1], s.pad_left + pick({0, 1, 2, 3}));
  return s;
}

}  // namespace taper::testing
