#include "tools/problem.h"

#include <array>
#include <charconv>
#include <map>
#include <optional>
#include <string_view>

#include "ir/builder.h"

namespace taper::tools {
namespace {

constexpr std::string_view kKeys[] = {"g",  "mb", "ic", "ih", "iw", "oc", "oh", "ow",
                                      "kh", "kw", "sh", "sw", "ph", "pw", "dh", "dw"};
constexpr std::int64_t kLargest = 1 << 20;

using Numbers = std::map<std::string_view, std::int64_t>;

std::optional<std::int64_t> take_number(std::string_view& text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || value < 0 || value > kLargest) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

Numbers numbers_of(const std::string& problem) {
  Numbers numbers;
  std::string_view text = problem;
  while (!text.empty() && !text.starts_with("n\"")) {
    if (text.front() == '_') {
      text.remove_prefix(1);
      continue;
    }
    std::string_view key;
    for (const std::string_view known : kKeys)
      if (text.starts_with(known)) key = known;
    std::string_view rest = text.substr(key.size());
    const auto value = key.empty() ? std::nullopt : take_number(rest);
    if (!value || !numbers.emplace(key, *value).second)
      throw Error("--conv {}: \"{}\" is not a key and a number that is new", problem, text);
    text = rest;
  }
  return numbers;
}

// One axis of a convolution: extents, kernel, stride, dilation and padding on both sides.
struct Axis {
  std::int64_t in, out, kernel, stride, dilation, before, after;
};

// `axis` is h or w; what is missing of w is that of h.
Axis axis_of(const Numbers& numbers, const std::string& problem, char axis) {
  const auto find = [&](char first) -> std::optional<std::int64_t> {
    for (const char side : {axis, 'h'})
      if (const auto it = numbers.find(std::string{first, side}); it != numbers.end())
        return it->second;
    return std::nullopt;
  };
  const auto in = find('i'), kernel = find('k'), out = find('o');
  Axis a{in.value_or(0),
         0,
         kernel.value_or(0),
         find('s').value_or(1),
         find('d').value_or(0) + 1,
         0,
         0};
  if (a.in < 1 || a.kernel < 1 || a.stride < 1)
    throw Error("--conv {}: ih, kh and sh must be positive", problem);
  const std::int64_t reach = (a.kernel - 1) * a.dilation + 1;
  const std::int64_t whole =
      out ? std::max<std::int64_t>(0, (*out - 1) * a.stride + reach - a.in) : 0;
  a.before = find('p').value_or(whole / 2);
  a.after = out ? (*out - 1) * a.stride + reach - a.in - a.before : a.before;
  a.after = std::max<std::int64_t>(a.after, 0);
  const std::int64_t room = a.in + a.before + a.after - reach;
  a.out = room < 0 ? 0 : room / a.stride + 1;
  if (a.out < 1 || (out && a.out != *out))
    throw Error("--conv {}: o{} is {}, but the other numbers make {}", problem, axis,
                out.value_or(0), a.out);
  return a;
}

template <class Build>
void add(std::vector<Problem>& problems, std::string_view pass, const std::string& direction,
         ir::Dim batch, const Build& build) {
  if (direction != "all" && direction != pass) return;
  Problem problem{std::string(pass), {}, batch, std::nullopt};
  ir::Builder builder(problem.graph);
  const ir::ValueId result = build(builder);
  problem.graph.outputs.push_back({"result", result});
  problems.push_back(std::move(problem));
}

ir::TensorType floats(ir::Shape shape) {
  return {ir::DType::f32, std::move(shape)};
}

ir::ConvPass pass_named(std::string_view name) {
  if (name == "fwd") return ir::ConvPass::forward;
  return name == "bwd_d" ? ir::ConvPass::backward_data : ir::ConvPass::backward_weights;
}

// The axes of a convolution that the benchmarks know.
bool is_usual(const Axis& h, const Axis& w, std::int64_t groups, std::int64_t ic, std::int64_t oc) {
  const std::int64_t pad = (h.kernel - 1) / 2;
  return h.in == w.in && h.out == w.out && h.kernel == w.kernel && h.stride == w.stride &&
         h.dilation == 1 && w.dilation == 1 && h.before == pad && w.before == pad &&
         h.out == (h.in + 2 * pad - h.kernel) / h.stride + 1 &&
         (groups == 1 || (groups == ic && ic == oc));
}

}  // namespace

std::vector<Problem> convolutions(const std::string& text, const std::string& direction) {
  const Numbers numbers = numbers_of(text);
  const auto number = [&](std::string_view key, std::int64_t missing) {
    const auto it = numbers.find(key);
    return it == numbers.end() ? missing : it->second;
  };
  const std::int64_t groups = number("g", 1), ic = number("ic", 0), oc = number("oc", 0);
  const ir::Dim batch = number("mb", 2);
  if (ic < 1 || oc < 1 || batch < 1 || groups < 1 || ic % groups != 0 || oc % groups != 0)
    throw Error("--conv {}: mb, ic and oc must be positive and g must divide them", text);
  const Axis h = axis_of(numbers, text, 'h'), w = axis_of(numbers, text, 'w');
  const ir::TensorType x = floats({ir::kBatch, ic, h.in, w.in});
  const ir::TensorType y = floats({ir::kBatch, oc, h.out, w.out});
  const ir::TensorType weight = floats({oc, ic / groups, h.kernel, w.kernel});
  const ir::ConvAttrs attrs{.stride = {h.stride, w.stride},
                            .dilation = {h.dilation, w.dilation},
                            .padding = {h.before, w.before, h.after, w.after},
                            .groups = groups};
  std::vector<Problem> problems;
  add(problems, "fwd", direction, batch, [&](ir::Builder& b) {
    const ir::ValueId in = b.input("x", x);
    const ir::ValueId filter = b.parameter("w", weight);
    return b.conv2d(in, filter, attrs);
  });
  add(problems, "bwd_d", direction, batch, [&](ir::Builder& b) {
    const ir::ValueId dy = b.input("dy", y);
    const ir::ValueId filter = b.parameter("w", weight);
    ir::ConvAttrs of = attrs;
    of.shape = x.shape;
    return b.conv2d_backward_data(dy, filter, of);
  });
  add(problems, "bwd_w", direction, batch, [&](ir::Builder& b) {
    const ir::ValueId in = b.input("x", x);
    const ir::ValueId dy = b.input("dy", y);
    ir::ConvAttrs of = attrs;
    of.shape = weight.shape;
    return b.conv2d_backward_weights(in, dy, of);
  });
  if (is_usual(h, w, groups, ic, oc))
    for (Problem& p : problems)
      p.comparable = Contraction{.pass = pass_named(p.name),
                                 .batch = batch,
                                 .in = ic,
                                 .out = oc,
                                 .size = h.in,
                                 .kernel = h.kernel,
                                 .stride = h.stride,
                                 .depthwise = groups > 1};
  return problems;
}

std::vector<Problem> products(const std::string& text, const std::string& direction) {
  std::array<std::int64_t, 3> extents{};
  std::string_view rest = text;
  for (std::size_t i = 0; i < extents.size(); ++i) {
    const auto value = take_number(rest);
    const bool separated = i + 1 == extents.size() ? rest.empty() : rest.starts_with('x');
    if (!value || *value < 1 || !separated)
      throw Error("--gemm {}: is not MxNxK, three positive numbers", text);
    extents[i] = *value;
    if (!rest.empty()) rest.remove_prefix(1);
  }
  const auto [m, n, k] = extents;
  std::vector<Problem> problems;
  const ir::TensorType x = floats({ir::kBatch, k}), y = floats({ir::kBatch, n}),
                       weight = floats({n, k});
  add(problems, "fwd", direction, m, [&](ir::Builder& b) {
    const ir::ValueId in = b.input("x", x);
    const ir::ValueId w = b.parameter("w", weight);
    return b.matmul(in, w, {.transpose_b = true});
  });
  add(problems, "bwd_d", direction, m, [&](ir::Builder& b) {
    const ir::ValueId dy = b.input("dy", y);
    const ir::ValueId w = b.parameter("w", weight);
    return b.matmul(dy, w, {});
  });
  add(problems, "bwd_w", direction, m, [&](ir::Builder& b) {
    const ir::ValueId dy = b.input("dy", y);
    const ir::ValueId in = b.input("x", x);
    return b.matmul(dy, in, {.transpose_a = true});
  });
  for (Problem& p : problems)
    p.comparable =
        Contraction{.dense = true, .pass = pass_named(p.name), .batch = m, .in = k, .out = n};
  return problems;
}

}  // namespace taper::tools
