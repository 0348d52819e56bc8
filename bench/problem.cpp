#include "bench/problem.h"

#include <fmt/format.h>

namespace taper::bench {
namespace {

using ir::Layout;

// relu(accumulator + bias)
ir::Epilogue bias_relu() {
  ir::Expr expr{.inputs = 2, .instrs = {}, .outputs = {3}};
  expr.instrs.push_back({.op = ir::Op::add, .args = {0, 1, -1}});
  expr.instrs.push_back({.op = ir::Op::relu, .args = {2, -1, -1}});
  return {expr, {{ir::DType::f32, ir::EpilogueAccess::channel}}, ir::DType::f32};
}

// As the pipeline stores weights that are less than a block.
ir::Layout dense_weights(std::int64_t out, Pass pass) {
  if (pass == Pass::forward) return ir::Layout::o16;
  if (out < ir::kBlock) return ir::Layout::plain;
  return pass == Pass::backward_data ? ir::Layout::i16 : ir::Layout::o16;
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
  if (dense_weights(out, pass) != ir::Layout::plain) return s;
  s.b_k = s.c_m = in;
  s.b_block = s.c_block = ir::kBlock;
  s.c_padded = false;
  if (!weights) return s;
  s.m = out;
  s.n = in;
  s.a_k = out;
  return s;
}

ir::ConvSpec conv_spec(const Problem& p) {
  return {.pass = p.pass,
          .images = p.batch == 1 ? 1 : ir::kBatch,  // as `simplify` says
          .ic = p.x[1],
          .ih = p.x[2],
          .iw = p.x[3],
          .oc = p.y[1],
          .oh = p.y[2],
          .ow = p.y[3],
          .kh = p.w[2],
          .kw = p.w[3],
          .stride = {p.stride, p.stride},
          .dilation = {p.dilation, p.dilation},
          .pad_top = p.pad,
          .pad_left = p.pad,
          .groups = p.depthwise ? p.x[1] : 1,
          .input = p.xl,
          .epilogue = p.epilogue ? bias_relu() : ir::Epilogue{}};
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

std::string_view name(Pass pass) {
  if (pass == Pass::forward) return "forward";
  return pass == Pass::backward_data ? "backward_data" : "backward_weights";
}

Problem convolution(std::string_view set, const ConvLayer& c, ir::Dim batch, Pass pass,
                    bool epilogue) {
  Problem p;
  p.set = set;
  p.pass = pass;
  p.epilogue = epilogue && pass == Pass::forward;
  p.batch = batch;
  p.pad = c.dilation * (c.kernel - 1) / 2;
  p.stride = c.stride;
  p.dilation = c.dilation;
  p.depthwise = c.depthwise;
  const std::string dilation = c.dilation > 1 ? fmt::format("d{}", c.dilation) : "";
  p.name =
      fmt::format("{}/{}-{}@{}_k{}s{}{}p{}/n{}/{}{}", set, c.ic, c.oc, c.size, c.kernel, c.stride,
                  dilation, p.pad, batch, name(pass), p.epilogue ? "_bias_relu" : "");
  const std::int64_t covered = c.dilation * (c.kernel - 1) + 1;
  const std::int64_t result = (c.size + 2 * p.pad - covered) / c.stride + 1;
  p.x = {batch, c.ic, c.size, c.size};
  p.w = {c.oc, c.depthwise ? 1 : c.ic, c.kernel, c.kernel};
  p.y = {batch, c.oc, result, result};
  const bool plain = c.ic < ir::kBlock && !c.depthwise;
  p.xl = plain ? Layout::plain : Layout::c16;
  p.wl = pass == Pass::backward_data && !plain && !c.depthwise ? Layout::i16 : Layout::o16;
  p.yl = Layout::c16;
  p.spec = conv_spec(p);
  return p;
}

Problem dense(ir::Dim batch, std::int64_t in, std::int64_t out, Pass pass, bool epilogue) {
  Problem p;
  p.set = "dense";
  p.pass = pass;
  p.epilogue = epilogue && pass == Pass::forward;
  p.name = fmt::format("dense/{}x{}x{}/{}{}", batch, in, out, name(pass),
                       p.epilogue ? "_bias_relu" : "");
  p.batch = batch;
  p.x = {batch, in};
  p.w = {out, in};
  p.y = {batch, out};
  p.xl = p.yl = Layout::plain;
  p.wl = dense_weights(out, pass);
  ir::GemmSpec spec = dense_spec(in, out, pass);
  if (p.epilogue) spec.epilogue = bias_relu();
  p.spec = spec;
  return p;
}

double Problem::bytes() const {
  double sum = 0;
  for (const ir::TensorType& type : tensors())
    sum += static_cast<double>(ir::byte_size(type, batch));
  return sum;
}

std::array<ir::TensorType, 3> Problem::tensors() const {
  const ir::TensorType tx{ir::DType::f32, x, xl}, tw{ir::DType::f32, w, wl},
      ty{ir::DType::f32, y, yl};
  if (pass == Pass::forward) return {tx, tw, ty};
  if (pass == Pass::backward_data) return {ty, tw, tx};
  return {tx, ty, tw};
}

void pack(const std::vector<float>& plain, const ir::TensorType& type, float* physical) {
  for_each_element(
      type, [&](std::size_t i, std::int64_t offset) { physical[offset] = plain[i]; });
}

std::vector<float> unpack(const float* physical, const ir::TensorType& type) {
  std::vector<float> plain(static_cast<std::size_t>(ir::element_count(type.shape, 1)));
  for_each_element(type, [&](std::size_t i, std::int64_t offset) { plain[i] = physical[offset]; });
  return plain;
}

}  // namespace taper::bench
