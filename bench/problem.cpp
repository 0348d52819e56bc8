#include "bench/problem.h"

#include <fmt/format.h>

#include <string_view>

namespace taper::bench {
namespace {

using ir::Layout;

constexpr Pass kPasses[] = {Pass::forward, Pass::backward_data, Pass::backward_weights};

std::string_view name(Pass pass) {
  if (pass == Pass::forward) return "forward";
  return pass == Pass::backward_data ? "backward_data" : "backward_weights";
}

// 3x3 with padding 1, or 1x1.
Problem convolution(std::int64_t ic, std::int64_t oc, std::int64_t size, std::int64_t kernel,
                    ir::Dim batch, Pass pass) {
  Problem p;
  p.name =
      fmt::format("conv{}x{}/{}-{}@{}/n{}/{}", kernel, kernel, ic, oc, size, batch, name(pass));
  p.pass = pass;
  p.batch = batch;
  p.pad = kernel / 2;
  p.x = {batch, ic, size, size};
  p.w = {oc, ic, kernel, kernel};
  p.y = {batch, oc, size, size};
  p.xl = ic < ir::kBlock && pass != Pass::backward_data ? Layout::plain : Layout::c16;
  p.wl = pass == Pass::backward_data ? Layout::i16 : Layout::o16;
  p.yl = Layout::c16;
  p.spec = ir::ConvSpec{.pass = pass,
                        .images = ir::kBatch,
                        .ic = ic,
                        .ih = size,
                        .iw = size,
                        .oc = oc,
                        .oh = size,
                        .ow = size,
                        .kh = kernel,
                        .kw = kernel,
                        .pad_top = p.pad,
                        .pad_left = p.pad,
                        .input = p.xl,
                        .epilogue = {}};
  return p;
}

ir::GemmSpec dense_spec(std::int64_t in, std::int64_t out, Pass pass) {
  ir::GemmSpec s{.c_block = ir::kBlock, .epilogue = {}};
  const bool weights = pass == Pass::backward_weights;
  const bool forward = pass == Pass::forward;
  s.m = weights ? in : ir::kBatch;
  s.n = pass == Pass::backward_data ? in : out;
  s.k = weights ? ir::kBatch : forward ? in : out;
  s.a_m = weights ? 1 : s.k;
  s.a_k = weights ? in : 1;
  s.b_k = weights ? out : ir::kBlock;
  s.b_block = weights ? ir::kBlock : s.k * ir::kBlock;
  s.c_m = weights ? ir::kBlock : s.n;
  if (weights) s.c_block = in * ir::kBlock;
  s.c_padded = weights;
  return s;
}

Problem dense(ir::Dim batch, std::int64_t in, std::int64_t out, Pass pass) {
  Problem p;
  p.name = fmt::format("dense/{}x{}x{}/{}", batch, in, out, name(pass));
  p.pass = pass;
  p.batch = batch;
  p.x = {batch, in};
  p.w = {out, in};
  p.y = {batch, out};
  p.xl = p.yl = Layout::plain;
  p.wl = pass == Pass::backward_data ? Layout::i16 : Layout::o16;
  p.spec = dense_spec(in, out, pass);
  return p;
}

// Calls visit(i, offset) for element i in row-major order and its physical offset.
template <class Visit>
void for_each_element(const ir::TensorType& type, Visit visit) {
  const ir::PhysicalShape physical = ir::physical(type);
  const std::int64_t count = ir::element_count(type.shape, 1);
  std::vector<std::int64_t> at(type.shape.size());
  for (std::int64_t i = 0; i < count; ++i) {
    visit(static_cast<std::size_t>(i), ir::offset_of(physical, at));
    for (std::size_t d = at.size(); d-- > 0;) {
      if (++at[d] < type.shape[d]) break;
      at[d] = 0;
    }
  }
}

}  // namespace

std::array<ir::TensorType, 3> Problem::tensors() const {
  const ir::TensorType tx{ir::DType::f32, x, xl}, tw{ir::DType::f32, w, wl},
      ty{ir::DType::f32, y, yl};
  if (pass == Pass::forward) return {tx, tw, ty};
  if (pass == Pass::backward_data) return {ty, tw, tx};
  return {tx, ty, tw};
}

std::vector<Problem> problems() {
  struct Conv {
    std::int64_t ic, oc, size, kernel;
  };
  struct Dense {
    std::int64_t in, out;
  };
  std::vector<Problem> all;
  for (const Conv& c : {Conv{1, 32, 28, 3}, Conv{32, 32, 28, 3}, Conv{32, 64, 14, 3},
                        Conv{64, 64, 14, 3}, Conv{64, 128, 7, 3}, Conv{64, 64, 14, 1}}) {
    for (const ir::Dim batch : {32, 1}) {
      for (const Pass pass : kPasses)
        all.push_back(convolution(c.ic, c.oc, c.size, c.kernel, batch, pass));
    }
  }
  for (const Dense& d : {Dense{784, 128}, Dense{128, 64}, Dense{64, 10}, Dense{1024, 1024}}) {
    for (const Pass pass : kPasses) all.push_back(dense(256, d.in, d.out, pass));
  }
  return all;
}

void pack(const std::vector<float>& plain, const ir::TensorType& type, float* physical) {
  for_each_element(type, [&](std::size_t i, std::int64_t offset) { physical[offset] = plain[i]; });
}

std::vector<float> unpack(const float* physical, const ir::TensorType& type) {
  std::vector<float> plain(static_cast<std::size_t>(ir::element_count(type.shape, 1)));
  for_each_element(type, [&](std::size_t i, std::int64_t offset) { plain[i] = physical[offset]; });
  return plain;
}

}  // namespace taper::bench
