#include <algorithm>
#include <array>
#include <cstring>
#include <dnnl.hpp>
#include <limits>
#include <unordered_map>

#include "bench/contestant.h"
#include "ir/error.h"

namespace taper::bench {
namespace {

using dnnl::memory;
using Tag = memory::format_tag;

memory::desc desc_of(const ir::Shape& shape, Tag tag) {
  return {memory::dims(shape.begin(), shape.end()), memory::data_type::f32, tag};
}

// oneDNN's weights of a depthwise convolution have a dimension of groups.
ir::Shape with_groups(const Problem& p, const ir::Shape& shape) {
  if (!p.depthwise || shape != p.w) return shape;
  return {p.w[0], 1, 1, p.w[2], p.w[3]};
}

memory::desc row_major(const ir::Shape& shape) {
  const Tag tags[] = {Tag::nc, Tag::nc, Tag::nchw, Tag::goihw};
  return desc_of(shape, tags[shape.size() - 2]);
}

// Two operands and the result, in the order of Problem::tensors().
std::array<int, 3> argument_ids(Pass pass) {
  if (pass == Pass::forward) return {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST};
  if (pass == Pass::backward_data) return {DNNL_ARG_DIFF_DST, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_SRC};
  return {DNNL_ARG_SRC, DNNL_ARG_DIFF_DST, DNNL_ARG_DIFF_WEIGHTS};
}

dnnl::primitive_attr relu() {
  dnnl::post_ops after;
  after.append_eltwise(1, dnnl::algorithm::eltwise_relu, 0, 0);
  dnnl::primitive_attr attributes;
  attributes.set_post_ops(after);
  return attributes;
}

using Found = std::vector<dnnl::primitive_desc>;

// A reference implementation is slower by orders of magnitude.
template <class Desc>
void add_implementations(Found& found, Desc desc) {
  do {
    if (std::strstr(desc.impl_info_str(), "ref") == nullptr) found.push_back(desc);
  } while (desc.next_impl());
}

void offer_convolution(Found& found, const Problem& p, dnnl::algorithm algorithm, Tag tag,
                       const dnnl::engine& engine) {
  const memory::desc x = desc_of(p.x, tag), y = desc_of(p.y, tag);
  const memory::desc w = desc_of(with_groups(p, p.w), Tag::any);
  const memory::dims stride{p.stride, p.stride}, pad{p.pad, p.pad};
  const memory::dims skipped{p.dilation - 1, p.dilation - 1};
  using dnnl::prop_kind;
  if (p.epilogue)
    return add_implementations(found, dnnl::convolution_forward::primitive_desc(
                                          {prop_kind::forward_inference, algorithm, x, w,
                                           desc_of({p.y[1]}, Tag::x), y, stride, skipped, pad, pad},
                                          relu(), engine));
  const auto kind = p.pass == Pass::forward ? prop_kind::forward_inference : prop_kind::forward;
  const dnnl::convolution_forward::primitive_desc forward(
      {kind, algorithm, x, w, y, stride, skipped, pad, pad}, engine);
  if (p.pass == Pass::forward) return add_implementations(found, forward);
  if (p.pass == Pass::backward_data)
    return add_implementations(
        found, dnnl::convolution_backward_data::primitive_desc(
                   {algorithm, x, w, y, stride, skipped, pad, pad}, engine, forward));
  add_implementations(found, dnnl::convolution_backward_weights::primitive_desc(
                                 {algorithm, x, w, y, stride, skipped, pad, pad}, engine, forward));
}

void offer_dense(Found& found, const Problem& p, Tag tag, const dnnl::engine& engine) {
  const memory::desc x = desc_of(p.x, tag), y = desc_of(p.y, tag), w = desc_of(p.w, Tag::any);
  using dnnl::prop_kind;
  if (p.epilogue)
    return add_implementations(
        found,
        dnnl::inner_product_forward::primitive_desc(
            {prop_kind::forward_inference, x, w, desc_of({p.y[1]}, Tag::x), y}, relu(), engine));
  const auto kind = p.pass == Pass::forward ? prop_kind::forward_inference : prop_kind::forward;
  const dnnl::inner_product_forward::primitive_desc forward({kind, x, w, y}, engine);
  if (p.pass == Pass::forward) return add_implementations(found, forward);
  if (p.pass == Pass::backward_data)
    return add_implementations(
        found, dnnl::inner_product_backward_data::primitive_desc({x, w, y}, engine, forward));
  add_implementations(
      found, dnnl::inner_product_backward_weights::primitive_desc({x, w, y}, engine, forward));
}

// What this version of oneDNN does not have is left out.
Found offers(const Problem& p, const dnnl::engine& engine) {
  Found found;
  const auto offer = [&](auto add) {
    try {
      add();
    } catch (const dnnl::error&) {
    }
  };
  if (p.dense()) {
    for (const Tag tag : {Tag::any, Tag::nc}) offer([&] { offer_dense(found, p, tag, engine); });
    return found;
  }
  using dnnl::algorithm;
  for (const auto a : {algorithm::convolution_auto, algorithm::convolution_direct,
                       algorithm::convolution_winograd})
    for (const Tag tag : {Tag::any, Tag::nhwc, Tag::nchw})
      offer([&] { offer_convolution(found, p, a, tag, engine); });
  return found;
}

class OneDnnKernel final : public Contestant {
 public:
  OneDnnKernel(const Problem& problem, const Operands& operands) : problem_(problem) {
    double best = std::numeric_limits<double>::infinity();
    std::vector<std::pair<std::string, std::vector<memory::desc>>> tried;
    for (const dnnl::primitive_desc& desc : offers(problem_, engine_)) {
      std::vector<memory::desc> tensors;
      for (const int id : argument_ids(problem_.pass))
        tensors.push_back(desc.query_md(dnnl::query::exec_arg_md, id));
      std::pair<std::string, std::vector<memory::desc>> key{desc.impl_info_str(), tensors};
      if (std::find(tried.begin(), tried.end(), key) != tried.end()) continue;
      tried.push_back(std::move(key));
      Candidate candidate = prepare(desc, operands);
      const double time = shortest_run([&] { execute(candidate); }, best);
      if (time >= best) continue;
      best = time;
      fastest_ = std::move(candidate);
    }
    if (tried.empty()) throw Error("oneDNN has no implementation of " + problem_.name);
  }

  void run() override { execute(fastest_); }
  std::string implementation() const override { return fastest_.implementation; }
  std::vector<float> result() override {
    const ir::Shape shape = problem_.tensors().back().shape;
    memory tensor = fastest_.arguments.at(argument_ids(problem_.pass).back());
    std::vector<float> data(static_cast<std::size_t>(ir::element_count(shape, 1)));
    memory plain(row_major(with_groups(problem_, shape)), engine_, data.data());
    dnnl::reorder(tensor, plain).execute(stream_, tensor, plain);
    stream_.wait();
    return data;
  }

 private:
  struct Candidate {
    std::string implementation;
    dnnl::primitive primitive;
    std::unordered_map<int, memory> arguments;
  };

  Candidate prepare(const dnnl::primitive_desc& desc, const Operands& operands) {
    Candidate candidate{desc.impl_info_str(), dnnl::primitive(desc), {}};
    const std::array<int, 3> ids = argument_ids(problem_.pass);
    const std::array<ir::TensorType, 3> tensors = problem_.tensors();
    for (std::size_t i = 0; i < ids.size(); ++i) {
      memory tensor(desc.query_md(dnnl::query::exec_arg_md, ids[i]), engine_);
      if (i < operands.tensors.size()) {
        memory plain(row_major(with_groups(problem_, tensors[i].shape)), engine_,
                     const_cast<float*>(operands.tensors[i].data()));
        dnnl::reorder(plain, tensor).execute(stream_, plain, tensor);
        stream_.wait();
      }
      candidate.arguments.emplace(ids[i], std::move(tensor));
    }
    if (problem_.epilogue)
      candidate.arguments.emplace(DNNL_ARG_BIAS, memory(desc_of({problem_.y[1]}, Tag::x), engine_,
                                                        const_cast<float*>(operands.bias.data())));
    return candidate;
  }

  void execute(const Candidate& candidate) {
    candidate.primitive.execute(stream_, candidate.arguments);
    stream_.wait();
  }

  Problem problem_;
  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  Candidate fastest_;
};

}  // namespace

std::unique_ptr<Contestant> make_onednn(const Problem& problem, const Operands& operands) {
  return std::make_unique<OneDnnKernel>(problem, operands);
}

}  // namespace taper::bench
