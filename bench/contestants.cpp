#include "bench/contestants.h"

#include <algorithm>
#include <chrono>
#include <limits>

#include "ir/error.h"

namespace taper::bench {
namespace {

using dnnl::memory;

memory::desc desc_of(const ir::Shape& shape, memory::format_tag tag) {
  return {memory::dims(shape.begin(), shape.end()), memory::data_type::f32, tag};
}

memory::desc row_major(const ir::Shape& shape) {
  return desc_of(shape, shape.size() == 4 ? memory::format_tag::nchw : memory::format_tag::nc);
}

// Two operands and the result, in the order of Problem::tensors().
std::array<int, 3> argument_ids(Pass pass) {
  if (pass == Pass::forward) return {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST};
  if (pass == Pass::backward_data) return {DNNL_ARG_DIFF_DST, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_SRC};
  return {DNNL_ARG_SRC, DNNL_ARG_DIFF_DST, DNNL_ARG_DIFF_WEIGHTS};
}

dnnl::primitive_desc convolution(const Problem& p, dnnl::algorithm algorithm,
                                 memory::format_tag tag, const dnnl::engine& engine) {
  const memory::desc x = desc_of(p.x, tag), y = desc_of(p.y, tag);
  const memory::desc w = desc_of(p.w, memory::format_tag::any);
  const memory::dims stride{1, 1}, pad{p.pad, p.pad};
  const auto kind =
      p.pass == Pass::forward ? dnnl::prop_kind::forward_inference : dnnl::prop_kind::forward;
  const dnnl::convolution_forward::primitive_desc forward(
      {kind, algorithm, x, w, y, stride, pad, pad}, engine);
  if (p.pass == Pass::forward) return forward;
  if (p.pass == Pass::backward_data)
    return dnnl::convolution_backward_data::primitive_desc({algorithm, x, w, y, stride, pad, pad},
                                                           engine, forward);
  return dnnl::convolution_backward_weights::primitive_desc({algorithm, x, w, y, stride, pad, pad},
                                                            engine, forward);
}

dnnl::primitive_desc dense(const Problem& p, memory::format_tag tag, const dnnl::engine& engine) {
  const memory::desc x = desc_of(p.x, tag), y = desc_of(p.y, tag);
  const memory::desc w = desc_of(p.w, memory::format_tag::any);
  const auto kind =
      p.pass == Pass::forward ? dnnl::prop_kind::forward_inference : dnnl::prop_kind::forward;
  const dnnl::inner_product_forward::primitive_desc forward({kind, x, w, y}, engine);
  if (p.pass == Pass::forward) return forward;
  if (p.pass == Pass::backward_data)
    return dnnl::inner_product_backward_data::primitive_desc({x, w, y}, engine, forward);
  return dnnl::inner_product_backward_weights::primitive_desc({x, w, y}, engine, forward);
}

// What this version of oneDNN does not have is left out.
std::vector<dnnl::primitive_desc> offers(const Problem& p, const dnnl::engine& engine) {
  using Tag = memory::format_tag;
  std::vector<dnnl::primitive_desc> found;
  const auto offer = [&](auto make) {
    try {
      found.push_back(make());
    } catch (const dnnl::error&) {
    }
  };
  if (p.x.size() == 2) {
    for (const Tag tag : {Tag::any, Tag::nc}) offer([&] { return dense(p, tag, engine); });
    return found;
  }
  using dnnl::algorithm;
  offer([&] { return convolution(p, algorithm::convolution_auto, Tag::any, engine); });
  offer([&] { return convolution(p, algorithm::convolution_direct, Tag::any, engine); });
  offer([&] { return convolution(p, algorithm::convolution_auto, Tag::nhwc, engine); });
  return found;
}

}  // namespace

TaperKernel::TaperKernel(const Problem& problem, const ir::Isa& isa, const Operands& operands)
    : result_type_(problem.tensors().back()), kernel_(codegen::compile_cached(problem.spec, isa)) {
  for (const ir::TensorType& type : problem.tensors()) {
    const auto bytes = static_cast<std::size_t>(ir::byte_size(type, problem.batch));
    memory_.push_back(runtime::allocate_aligned(bytes));
    buffers_.push_back(memory_.back().get());
  }
  for (std::size_t i = 0; i < operands.size(); ++i)
    pack(operands[i], problem.tensors()[i], static_cast<float*>(buffers_[i]));
  scratch_ = runtime::allocate_aligned(kernel_->scratch_bytes(problem.batch));
  call_ = {buffers_.data(), problem.batch, 0, kernel_->units(problem.batch), scratch_.get()};
}

std::vector<float> TaperKernel::result() const {
  return unpack(static_cast<const float*>(buffers_.back()), result_type_);
}

OneDnnKernel::OneDnnKernel(const Problem& problem, const Operands& operands) : problem_(problem) {
  double best = std::numeric_limits<double>::infinity();
  for (const dnnl::primitive_desc& desc : offers(problem_, engine_)) {
    Candidate candidate = prepare(desc, operands);
    const double time = seconds(candidate);
    if (time >= best) continue;
    best = time;
    fastest_ = std::move(candidate);
  }
  if (fastest_.arguments.empty()) throw Error("oneDNN has no implementation of " + problem_.name);
  implementation_ = fastest_.implementation;
}

OneDnnKernel::Candidate OneDnnKernel::prepare(const dnnl::primitive_desc& desc,
                                              const Operands& operands) {
  Candidate candidate{desc.impl_info_str(), dnnl::primitive(desc), {}};
  const std::array<int, 3> ids = argument_ids(problem_.pass);
  const std::array<ir::TensorType, 3> tensors = problem_.tensors();
  for (std::size_t i = 0; i < ids.size(); ++i) {
    memory tensor(desc.query_md(dnnl::query::exec_arg_md, ids[i]), engine_);
    if (i < operands.size()) {
      memory plain(row_major(tensors[i].shape), engine_, const_cast<float*>(operands[i].data()));
      dnnl::reorder(plain, tensor).execute(stream_, plain, tensor);
      stream_.wait();
    }
    candidate.arguments.emplace(ids[i], std::move(tensor));
  }
  return candidate;
}

void OneDnnKernel::execute(const Candidate& candidate) {
  candidate.primitive.execute(stream_, candidate.arguments);
  stream_.wait();
}

void OneDnnKernel::run() {
  execute(fastest_);
}

// The shortest of the runs of a few milliseconds.
double OneDnnKernel::seconds(const Candidate& candidate) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  auto shortest = Clock::duration::max();
  execute(candidate);
  for (int runs = 0; runs < 5 || Clock::now() - start < std::chrono::milliseconds(20); ++runs) {
    const auto begin = Clock::now();
    execute(candidate);
    shortest = std::min(shortest, Clock::now() - begin);
  }
  return std::chrono::duration<double>(shortest).count();
}

std::vector<float> OneDnnKernel::result() {
  const ir::TensorType type = problem_.tensors().back();
  memory tensor = fastest_.arguments.at(argument_ids(problem_.pass).back());
  std::vector<float> data(static_cast<std::size_t>(ir::element_count(type.shape, 1)));
  memory plain(row_major(type.shape), engine_, data.data());
  dnnl::reorder(tensor, plain).execute(stream_, tensor, plain);
  stream_.wait();
  return data;
}

}  // namespace taper::bench
