#include "runtime/order.h"

#include <algorithm>
#include <cstdint>

#include "runtime/plan.h"

namespace taper::runtime {
namespace {

using ir::Node;
using ir::Op;
using ir::ValueId;

// Larger results of kernels of weights alone would occupy too much of the arena, unless they are
// kept from one run to the next.
constexpr std::int64_t kMostEarlyBytes = std::int64_t{2} << 20;

bool is_leaf(const Node& node) {
  return node.operands.empty() && node.op != Op::kernel;
}

std::vector<bool> find_early(const ir::Graph& graph) {
  const bool kept = graph.updates.empty();
  std::vector<bool> early;
  for (const Node& node : graph.nodes()) {
    bool is_early = node.op != Op::input;
    for (const ValueId operand : node.operands) is_early = is_early && early[operand.index];
    if (const auto* kernel = std::get_if<ir::KernelAttrs>(&node.attrs))
      for (const ir::TensorType& type : kernel->results)
        is_early =
            is_early && !type.has_batch() && (kept || ir::byte_size(type, 1) <= kMostEarlyBytes);
    early.push_back(is_early);
  }
  return early;
}

class Ordering {
 public:
  Ordering(const ir::Graph& graph, ir::Dim max_batch)
      : graph_(graph),
        early_(find_early(graph)),
        bytes_(graph.size(), 0),
        sources_(graph.size()),
        readers_(graph.size()),
        old_readers_(graph.size()),
        ends_(graph.size(), false) {
    for (std::size_t i = 0; i < graph.size(); ++i) {
      const auto* kernel = std::get_if<ir::KernelAttrs>(&graph[graph.id(i)].attrs);
      if (kernel == nullptr || early_[i]) continue;
      for (const ir::TensorType& type : kernel->results)
        bytes_[i] += ir::byte_size(type, max_batch);
      sources_[i] = sources(graph.id(i));
      for (const ValueId source : sources_[i]) readers_[source.index].push_back(i);
    }
    for (const ir::Output& output : graph.outputs)
      readers_[source_of(graph, output.value).node.index].push_back(graph.size());
    sort_kernels();
  }

  Order run() {
    simulate(simulate(0));
    Order order{{}, early_};
    std::vector<bool> placed(graph_.size(), false);
    for (const bool leaf : {true, false})
      for (std::size_t i = 0; i < graph_.size(); ++i)
        if (leaf ? is_leaf(graph_[graph_.id(i)]) : early_[i]) place(order, placed, i);
    for (const std::size_t kernel : run_) place(order, placed, kernel);
    for (std::size_t i = 0; i < graph_.size(); ++i) place(order, placed, i);
    return order;
  }

 private:
  // The kernels whose results `id` reads, each once.
  std::vector<ValueId> sources(ValueId id) const {
    std::vector<ValueId> list;
    for (const ValueId operand : graph_[id].operands) {
      const ValueId source = source_of(graph_, operand).node;
      if (std::ranges::find(list, source) == list.end()) list.push_back(source);
    }
    return list;
  }

  void sort_kernels() {
    std::vector<bool> awaited(graph_.size(), false);
    for (std::size_t i = graph_.size(); i-- > 0;) {
      const auto* kernel = std::get_if<ir::KernelAttrs>(&graph_[graph_.id(i)].attrs);
      if (kernel == nullptr || early_[i]) continue;
      for (const ir::TensorType& type : kernel->results)
        awaited[i] = awaited[i] || type.has_batch();
      for (const std::size_t reader : readers_[i])
        awaited[i] = awaited[i] || (reader < graph_.size() && awaited[reader]);
    }
    for (std::size_t i = 0; i < graph_.size(); ++i) {
      if (graph_[graph_.id(i)].op != Op::kernel || early_[i]) continue;
      (awaited[i] ? over_images_ : late_).push_back(i);
      ends_[i] = awaited[i] && std::ranges::none_of(readers_[i], [&](std::size_t reader) {
                   return reader == graph_.size() || awaited[reader];
                 });
    }
    for (const ir::Update& update : graph_.updates) {
      const std::size_t writer = source_of(graph_, update.value).node.index;
      bytes_[writer] = 0;  // most write in place
      const auto& readers = readers_[update.variable.index];
      old_readers_[writer].insert(old_readers_[writer].end(), readers.begin(), readers.end());
    }
  }

  // Fills run_; `most` is the memory that kernels over images leave to late ones: with more, those
  // that can run do. Returns the peak.
  std::int64_t simulate(std::int64_t most) {
    run_.clear();
    done_.assign(graph_.size() + 1, false);
    live_ = peak_ = 0;
    for (const std::size_t kernel : over_images_) {
      if (done_[kernel]) continue;
      if (live_ + bytes_[kernel] > most) run_ready();
      execute(kernel);
      for (const std::size_t reader : readers_[kernel])
        if (reader < graph_.size() && ends_[reader] && !done_[reader] && is_ready(reader))
          execute(reader);
    }
    run_ready();
    // What is left updates variables that read one another.
    for (const std::size_t kernel : late_)
      if (!done_[kernel]) execute(kernel);
    return peak_;
  }

  void run_ready() {
    for (bool any = true; any;) {
      any = false;
      for (const std::size_t kernel : late_) {
        if (done_[kernel] || !is_ready(kernel)) continue;
        execute(kernel);
        any = true;
      }
    }
  }

  bool is_ready(std::size_t kernel) const {
    const std::vector<ValueId>& needed = sources_[kernel];
    const auto& others = old_readers_[kernel];
    return std::ranges::all_of(needed,
                               [&](ValueId source) {
                                 return graph_[source].op != Op::kernel || early_[source.index] ||
                                        done_[source.index];
                               }) &&
           std::ranges::all_of(
               others, [&](std::size_t reader) { return reader == kernel || done_[reader]; });
  }

  void execute(std::size_t kernel) {
    live_ += bytes_[kernel];
    peak_ = std::max(peak_, live_);
    done_[kernel] = true;
    run_.push_back(kernel);
    for (const ValueId source : sources_[kernel]) {
      const auto& readers = readers_[source.index];
      const bool read =
          std::ranges::all_of(readers, [&](std::size_t reader) { return done_[reader]; });
      if (read) live_ -= bytes_[source.index];  // zero for variables
    }
  }

  void place(Order& order, std::vector<bool>& placed, std::size_t value) const {
    if (placed[value]) return;
    for (const ValueId operand : graph_[graph_.id(value)].operands)
      place(order, placed, operand.index);
    placed[value] = true;
    order.values.push_back(graph_.id(value));
  }

  const ir::Graph& graph_;
  const std::vector<bool> early_;
  std::vector<std::int64_t> bytes_;                    // of a kernel's results
  std::vector<std::vector<ValueId>> sources_;          // of a kernel
  std::vector<std::vector<std::size_t>> readers_;      // of a kernel's results; an output: size()
  std::vector<std::vector<std::size_t>> old_readers_;  // of the variables that a kernel updates
  std::vector<std::size_t> over_images_, late_;
  std::vector<bool> ends_;        // kernels over images that no other one waits for
  std::vector<std::size_t> run_;  // the kernels in order
  std::vector<bool> done_;
  std::int64_t live_ = 0, peak_ = 0;
};

}  // namespace

Order execution_order(const ir::Graph& graph, ir::Dim max_batch) {
  return Ordering(graph, max_batch).run();
}

}  // namespace taper::runtime
