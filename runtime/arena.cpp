#include "runtime/arena.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <set>

namespace taper::runtime {
namespace {

class ArenaPacking {
 public:
  ArenaPacking(Plan& plan, int threads)
      : plan_(plan), threads_(threads), touched_(plan_.buffers.size(), 0) {
    for (const PlannedCall& call : plan.calls)
      for (const int index : std::set<int>(call.buffers.begin(), call.buffers.end()))
        ++touches(index);
    // The program reads and writes these between runs.
    for (const auto& list : {plan.inputs, plan.outputs})
      for (const int index : list) ++touches(index);
  }

  void fit_to(const Chain& chain) {
    std::map<int, int> inside;  // by buffer: calls of the chain
    for (std::size_t c = chain.first; c < chain.end; ++c) {
      const std::vector<int>& list = plan_.calls[c].buffers;
      for (const int index : std::set<int>(list.begin(), list.end())) ++inside[index];
    }
    for (const auto& [index, calls] : inside) {
      Buffer& b = buffer(index);
      b.first = std::min(b.first, static_cast<int>(chain.first));
      b.last = std::max(b.last, static_cast<int>(chain.end) - 1);
      const bool only_here = calls == touches(index);
      if (only_here && b.place == Buffer::Place::arena && b.type.has_batch()) make_local(b, chain);
    }
  }

  // Greedy by size: the largest buffer first, each at the lowest offset where it meets no placed
  // buffer that is live at the same time (Pisarchyk and Lee, 2020).
  void pack() {
    std::vector<int> order;
    for (std::size_t i = 0; i < plan_.buffers.size(); ++i) {
      const Buffer& b = plan_.buffers[i];
      if (b.place == Buffer::Place::arena && b.last >= b.first)
        order.push_back(static_cast<int>(i));
    }
    std::ranges::stable_sort(order,
                             [&](int a, int b) { return buffer(a).bytes > buffer(b).bytes; });
    std::vector<int> placed;  // by offset
    for (const int index : order) {
      Buffer& b = buffer(index);
      std::int64_t offset = 0;
      for (const int other : placed) {
        const Buffer& o = buffer(other);
        if (o.last < b.first || b.last < o.first) continue;
        if (offset + b.bytes <= o.offset) break;
        offset = std::max(offset, o.offset + o.bytes);
      }
      b.offset = offset;
      plan_.arena_bytes = std::max(plan_.arena_bytes, offset + b.bytes);
      placed.insert(std::upper_bound(placed.begin(), placed.end(), offset,
                                     [&](std::int64_t at, int p) { return at < buffer(p).offset; }),
                    index);
    }
  }

 private:
  Buffer& buffer(int index) { return plan_.buffer(index); }
  int& touches(int index) { return touched_[static_cast<std::size_t>(index)]; }

  void make_local(Buffer& b, const Chain& chain) const {
    const std::int64_t unit = ir::byte_size(b.type, 1) / chain.planes;
    const std::int64_t share = padded_bytes(unit * largest_group(chain));
    if (share * threads_ >= b.bytes) return;
    b.unit_bytes = unit;
    b.thread_bytes = share;
    b.bytes = share * threads_;
  }

  Plan& plan_;
  const int threads_;
  std::vector<int> touched_;  // by buffer: calls, and uses from outside
};

}  // namespace

void pack_arena(Plan& plan, const std::vector<Chain>& chains, int threads) {
  ArenaPacking packing(plan, threads);
  for (const Chain& chain : chains)
    if (chain.group > 0) packing.fit_to(chain);
  packing.pack();
}

std::vector<Chain> arrange(Plan& plan, const codegen::Kernels& kernels, ir::Dim max_batch,
                           int threads) {
  const std::vector<bool> barriers = place_barriers(plan, kernels, single_calls(plan));
  std::vector<Chain> chains = make_chains(plan, kernels, barriers, max_batch);
  pack_arena(plan, chains, threads);
  return chains;
}

}  // namespace taper::runtime
