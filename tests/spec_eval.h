// An oracle for selected graphs: runs every kernel node from its KernelSpec alone, on physical
// buffers.
#pragma once

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "ir/builder.h"
#include "ir/eval.h"
#include "ir/graph.h"
#include "tests/physical.h"

namespace taper::testing {

using Bindings = std::map<std::string, ir::Value>;

class SpecEvaluator {
 public:
  SpecEvaluator(const ir::Graph& graph, ir::Dim batch) : graph_(graph), batch_(batch) {}

  ir::Evaluation run(const Bindings& bindings) {
    for (std::size_t i = 0; i < graph_.size(); ++i)
      buffers_.push_back(node(graph_.id(i), bindings));
    ir::Evaluation result;
    for (const ir::Output& output : graph_.outputs) result.outputs.push_back(value(output.value));
    for (const ir::Update& update : graph_.updates) {
      const std::string& name = std::get<ir::NameAttrs>(graph_[update.variable].attrs).name;
      result.updated[name] = value(update.value);
    }
    return result;
  }

 private:
  using Results = std::vector<Buffer>;

  ir::Value value(ir::ValueId v) const {
    return unpack(buffers_[v.index].front(), graph_[v].type, batch_);
  }

  Results node(ir::ValueId id, const Bindings& bindings) {
    const ir::Node& node = graph_[id];
    if (const auto* named = std::get_if<ir::NameAttrs>(&node.attrs)) {
      if (named->name == "$batch") return {Buffer{static_cast<double>(batch_)}};
      return {pack(bindings.at(named->name).data, node.type, batch_)};
    }
    if (const auto* constant = std::get_if<ir::ConstantAttrs>(&node.attrs)) {
      const auto count = static_cast<std::size_t>(ir::element_count(node.type.shape, batch_));
      const bool splat = constant->values.size() == 1;
      return {pack(splat ? std::vector<double>(count, constant->values[0]) : constant->values,
                   node.type, batch_)};
    }
    if (const auto* which = std::get_if<ir::ResultAttrs>(&node.attrs)) {
      return {buffers_[node.operands[0].index].at(static_cast<std::size_t>(which->index))};
    }
    if (node.op == ir::Op::view) return {buffers_[node.operands[0].index].front()};
    const auto& kernel = std::get<ir::KernelAttrs>(node.attrs);
    operands_.clear();
    for (const ir::ValueId v : node.operands) operands_.push_back(&buffers_[v.index].front());
    Results results;
    for (const ir::TensorType& type : kernel.results) results.push_back(new_buffer(type, batch_));
    std::visit([&](const auto& spec) { execute(spec, node, results); }, *kernel.spec);
    return results;
  }

  const Buffer& operand(std::size_t i) const { return *operands_.at(i); }

  double finish(const ir::Epilogue& epilogue, double acc, std::size_t own, std::size_t at,
                std::size_t channel) const {
    if (epilogue.expr.empty()) return ir::round_to(ir::DType::f32, acc);
    std::vector<double> inputs{ir::round_to(ir::DType::f32, acc)};
    for (std::size_t i = 0; i < epilogue.operands.size(); ++i) {
      const ir::EpilogueAccess access = epilogue.operands[i].access;
      const std::size_t where = access == ir::EpilogueAccess::same      ? at
                                : access == ir::EpilogueAccess::channel ? channel
                                                                        : 0;
      inputs.push_back(operand(own + i).at(where));
    }
    double result = 0;
    ir::evaluate(epilogue.expr, inputs.data(), 0, &result);
    return result;
  }

  void execute(const ir::MapSpec& spec, const ir::Node&, Results& results) const {
    const auto inputs = static_cast<std::size_t>(spec.expr.inputs);
    const std::size_t outputs = spec.expr.outputs.size();
    for (std::size_t s = 0; s < spec.segments.size(); ++s) {
      const ir::MapSegment& segment = spec.segments[s];
      std::int64_t index = 0;
      for_each_point(segment.dims, batch_, [&](const auto& at) {
        std::vector<double> in(inputs), out(outputs);
        for (std::size_t i = 0; i < inputs; ++i) {
          in[i] = operand(s * inputs + i).at(offset(at, segment.inputs[i].strides));
        }
        ir::evaluate(spec.expr, in.data(), index++, out.data());
        for (std::size_t i = 0; i < outputs; ++i) {
          results[s * outputs + i].at(offset(at, segment.outputs[i].strides)) = out[i];
        }
      });
    }
  }

  void execute(const ir::ReduceSpec& spec, const ir::Node&, Results& results) const {
    std::vector<std::map<std::size_t, std::vector<double>>> groups(results.size());
    for_each_point(spec.dims, batch_, [&](const auto& at) {
      std::vector<double> in;
      for (std::size_t i = 0; i < spec.inputs.size(); ++i)
        in.push_back(operand(i).at(offset(at, spec.inputs[i].strides)));
      std::vector<double> x(results.size(), in.front());
      if (spec.prologue != ir::Expr{}) ir::evaluate(spec.prologue, in.data(), 0, x.data());
      for (std::size_t r = 0; r < results.size(); ++r)
        groups[r][offset(at, spec.result.strides)].push_back(x[r]);
    });
    for (std::size_t r = 0; r < results.size(); ++r) {
      for (const auto& [at, values] : groups[r]) {
        double acc = spec.kind == ir::ReduceKind::max ? values.front() : 0;
        for (const double v : values)
          acc = spec.kind == ir::ReduceKind::max ? std::fmax(acc, v) : acc + v;
        if (spec.kind == ir::ReduceKind::mean) acc /= static_cast<double>(values.size());
        results[r].at(at) = finish(spec.epilogue, acc, spec.inputs.size(), at, 0);
      }
    }
  }

  void execute(const ir::GemmSpec& spec, const ir::Node&, Results& results) const {
    for_each_point({spec.m, spec.n}, batch_, [&](const auto& at) {
      const std::int64_t block = at[1] / ir::kBlock, lane = at[1] % ir::kBlock;
      double acc = 0;
      for (std::int64_t k = 0; k < extent(spec.k, batch_); ++k) {
        const std::int64_t a = at[0] * spec.a_m + k * spec.a_k;
        const std::int64_t b = block * spec.b_block + k * spec.b_k + lane;
        acc +=
            operand(0).at(static_cast<std::size_t>(a)) * operand(1).at(static_cast<std::size_t>(b));
      }
      const auto c = static_cast<std::size_t>(at[0] * spec.c_m + block * spec.c_block + lane);
      results[0].at(c) = finish(spec.epilogue, acc, 2, c, static_cast<std::size_t>(at[1]));
    });
  }

  // Runs a structured op by the interpreter, on what the spec says about shapes and layouts.
  struct Operand {
    ir::TensorType type;
    std::size_t index;
  };
  using Make = std::function<ir::ValueId(ir::Builder&, const std::vector<ir::ValueId>&)>;
  std::vector<double> by_interpreter(const std::vector<Operand>& operands, const Make& make) const {
    ir::Graph graph;
    ir::Builder b(graph);
    Bindings bindings;
    std::vector<ir::ValueId> inputs;
    for (const Operand& o : operands) {
      const std::string name = std::to_string(o.index);
      inputs.push_back(b.input(name, {o.type.dtype, o.type.shape, ir::Layout::plain}));
      bindings[name] = unpack(operand(o.index), o.type, batch_);
    }
    graph.outputs.push_back({"y", make(b, inputs)});
    return ir::evaluate(graph, bindings, batch_).outputs[0].data;
  }

  void store(const std::vector<double>& data, const ir::TensorType& type,
             const ir::Epilogue& epilogue, std::size_t own, Buffer& result) const {
    const ir::PhysicalShape physical = ir::physical(type);
    std::size_t i = 0;
    for_each_point(type.shape, batch_, [&](const auto& at) {
      const auto where = static_cast<std::size_t>(ir::offset_of(physical, at));
      const std::size_t channel = at.size() > 1 ? static_cast<std::size_t>(at[1]) : 0;
      result.at(where) = finish(epilogue, data.at(i++), own, where, channel);
    });
  }

  void execute(const ir::ConvSpec& s, const ir::Node&, Results& results) const {
    using ir::DType, ir::Layout;
    if (s.winograd) throw Error("spec_eval: tests/winograd.cpp proves Winograd's kernels");
    const bool data = s.pass == ir::ConvPass::backward_data;
    const bool weights = s.pass == ir::ConvPass::backward_weights;
    const Layout filter = data && s.groups == 1 ? Layout::i16 : Layout::o16;
    const ir::TensorType x{DType::f32, {s.images, s.ic, s.ih, s.iw}, s.input};
    const ir::TensorType w{DType::f32, {s.oc, s.ic / s.groups, s.kh, s.kw}, filter};
    const ir::TensorType y{DType::f32, {s.images, s.oc, s.oh, s.ow}, Layout::c16};
    const auto far = [](std::int64_t out, std::int64_t step, std::int64_t kernel,
                        std::int64_t dilation, std::int64_t in, std::int64_t near) {
      return (out - 1) * step + (kernel - 1) * dilation + 1 - in - near;
    };
    ir::ConvAttrs attrs{
        .stride = s.stride, .dilation = s.dilation, .padding = {}, .groups = s.groups, .shape = {}};
    attrs.padding = {
        s.pad_top, s.pad_left,
        std::max<std::int64_t>(0, far(s.oh, s.stride[0], s.kh, s.dilation[0], s.ih, s.pad_top)),
        std::max<std::int64_t>(0, far(s.ow, s.stride[1], s.kw, s.dilation[1], s.iw, s.pad_left))};
    if (data) attrs.shape = x.shape;
    if (weights) attrs.shape = w.shape;
    const ir::TensorType& result = data ? x : weights ? w : y;
    const ir::TensorType& first = data ? y : x;
    const ir::TensorType& second = weights ? y : w;
    const ir::Op op = data      ? ir::Op::conv2d_backward_data
                      : weights ? ir::Op::conv2d_backward_weights
                                : ir::Op::conv2d;
    const auto made =
        by_interpreter({{first, 0}, {second, 1}},
                       [&](ir::Builder& b, const auto& in) { return b.add_node(op, in, attrs); });
    store(made, result, s.epilogue, 2, results[0]);
    if (!s.epilogue.moments.outputs.empty()) take_moments(s.epilogue, result, results);
  }

  void take_moments(const ir::Epilogue& epilogue, const ir::TensorType& type,
                    Results& results) const {
    const ir::PhysicalShape physical = ir::physical(type);
    for (std::size_t m = 1; m < results.size(); ++m) std::ranges::fill(results[m], 0.0);
    const double pixels = epilogue.mean ? static_cast<double>(type.shape[2] * type.shape[3]) : 1;
    for_each_point(type.shape, batch_, [&](const auto& at) {
      const auto where = static_cast<std::size_t>(ir::offset_of(physical, at));
      const auto channel = static_cast<std::size_t>(at[1]);
      std::vector<double> in{
          results[0].at(where),
          results[0].at(static_cast<std::size_t>(ir::offset_of(physical, {at[0], at[1], 0, 0})))};
      for (std::size_t i = 0; i < epilogue.operands.size(); ++i) {
        const ir::EpilogueAccess access = epilogue.operands[i].access;
        in.push_back(operand(2 + i).at(access == ir::EpilogueAccess::same      ? where
                                       : access == ir::EpilogueAccess::channel ? channel
                                                                               : 0));
      }
      std::vector<double> out(epilogue.moments.outputs.size());
      ir::evaluate(epilogue.moments, in.data(), 0, out.data());
      for (std::size_t m = 0; m < out.size(); ++m)
        results[1 + m].at(static_cast<std::size_t>(at[0] * type.shape[1] + at[1])) +=
            out[m] / pixels;
    });
  }

  void execute(const ir::PoolSpec& s, const ir::Node&, Results& results) const {
    using ir::Layout;
    const ir::TensorType x{ir::DType::f32, {s.images, s.channels, s.ih, s.iw}, Layout::c16};
    const ir::TensorType y{ir::DType::f32, {s.images, s.channels, s.oh, s.ow}, Layout::c16};
    const std::int64_t floor_oh =
        (s.ih + s.padding[0] + s.padding[2] - s.kernel[0]) / s.stride[0] + 1;
    const std::int64_t floor_ow =
        (s.iw + s.padding[1] + s.padding[3] - s.kernel[1]) / s.stride[1] + 1;
    ir::PoolAttrs attrs{.kind = s.kind,
                        .kernel = s.kernel,
                        .stride = s.stride,
                        .padding = s.padding,
                        .ceil_mode = floor_oh != s.oh || floor_ow != s.ow,
                        .count_include_pad = s.count_include_pad};
    const ir::TensorType taps{ir::DType::u8, y.shape, Layout::c16};
    std::vector<Operand> operands{{s.backward && s.indices ? taps : x, 0}};
    if (s.backward) operands.push_back({y, 1});
    if (s.backward && s.indices) attrs.shape = x.shape;
    attrs.positive = s.positive;
    const auto pooled = [&](std::int64_t index) {
      return by_interpreter(operands, [&](ir::Builder& b, const auto& in) {
        if (!s.indices) {
          return b.add_node(s.backward ? ir::Op::pool2d_backward : ir::Op::pool2d, in, attrs);
        }
        if (s.backward) return b.add_node(ir::Op::max_unpool2d, in, attrs);
        const auto both = b.add_node(ir::Op::max_pool2d_with_indices, in, attrs);
        return b.add_node(ir::Op::result, {both}, ir::ResultAttrs{index});
      });
    };
    if (s.indices && !s.backward) store(pooled(1), taps, {}, operands.size(), results[1]);
    store(pooled(0), s.backward ? x : y, s.epilogue, operands.size(), results[0]);
  }

  void execute(const ir::RowSpec& s, const ir::Node&, Results& results) const {
    using ir::DType, ir::Op, ir::RowKind;
    const ir::Dim rows = extent(s.rows, batch_) * s.rows_per_image;
    const ir::TensorType x{DType::f32, {rows, s.columns}};
    const ir::TensorType labels{DType::i32, {rows}}, column{DType::f32, {rows}};
    std::vector<Operand> operands{{x, 0}};
    const bool softmax = s.kind == RowKind::softmax || s.kind == RowKind::log_softmax;
    if (softmax) {
      const Op op = s.kind == RowKind::softmax ? Op::softmax : Op::log_softmax;
      const auto made = by_interpreter(operands, [&](ir::Builder& b, const auto& in) {
        return b.add_node(op, in, ir::AxisAttrs{1});
      });
      return store(made, x, {}, 1, results[0]);
    }
    operands.push_back({labels, 1});
    if (s.kind != RowKind::cross_entropy_backward) {
      const auto loss = by_interpreter(operands, [&](ir::Builder& b, const auto& in) {
        return b.add_node(Op::cross_entropy, in, {});
      });
      store(loss, column, {}, 2, results[0]);
    }
    if (s.kind == RowKind::cross_entropy) return;
    operands.push_back({column, 2});
    const auto gradient = by_interpreter(operands, [&](ir::Builder& b, const auto& in) {
      return b.add_node(Op::cross_entropy_backward, in, {});
    });
    store(gradient, x, {}, 3, results.back());
  }

  void execute(const ir::GatherSpec& s, const ir::Node&, Results& results) const {
    const ir::Dim rows = extent(s.rows, batch_) * s.rows_per_image;
    const ir::TensorType table{ir::DType::f32, {s.entries, s.columns}};
    const ir::TensorType chosen{ir::DType::f32, {rows, s.columns}};
    const ir::TensorType indices{ir::DType::i32, {rows}};
    const std::vector<Operand> operands{{s.backward ? chosen : table, 0}, {indices, 1}};
    const auto made = by_interpreter(operands, [&](ir::Builder& b, const auto& in) {
      return s.backward ? b.gather_backward(in[0], in[1], table.shape) : b.gather(in[0], in[1]);
    });
    store(made, s.backward ? table : chosen, {}, 2, results[0]);
  }

  void execute(const ir::CopySpec& spec, const ir::Node&, Results& results) const {
    Buffer& result = results[0];
    if (spec.has_fill) {
      const std::int64_t count = spec.result_size * (spec.result_batched ? batch_ : 1);
      for (std::int64_t i = 0; i < count; ++i) result.at(static_cast<std::size_t>(i)) = spec.fill;
    }
    for (const ir::CopyPart& part : spec.parts) {
      for_each_point(part.dims, batch_, [&](const auto& at) {
        const std::size_t from =
            offset(at, part.source) + static_cast<std::size_t>(part.source_offset);
        const std::size_t to =
            offset(at, part.result) + static_cast<std::size_t>(part.result_offset);
        result.at(to) = operand(static_cast<std::size_t>(part.operand)).at(from);
      });
    }
  }

  const ir::Graph& graph_;
  const ir::Dim batch_;
  std::vector<Results> buffers_;
  std::vector<const Buffer*> operands_;
};

inline ir::Evaluation evaluate_selected(const ir::Graph& graph, const Bindings& bindings,
                                        ir::Dim batch) {
  return SpecEvaluator(graph, batch).run(bindings);
}

}  // namespace taper::testing
