// The static plan of a selected graph: kernel calls in order, and where every buffer lies.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ir/graph.h"

namespace taper::runtime {

struct Buffer {
  enum class Place : std::uint8_t { arena, variable, constant };
  Place place = Place::arena;
  ir::TensorType type;
  std::string name;        // of the variable or input, else the defining value ("%12")
  ir::ValueId value;       // defining node
  std::int64_t bytes = 0;  // at max_batch, or of all threads' shares
  // Of a buffer that is local to a chain: each thread's share, and an image or plane of it.
  std::int64_t thread_bytes = 0, unit_bytes = 0;
  std::int64_t offset = -1;  // in the arena, once it is packed (arena.h)
  int first = 0, last = 0;   // live during calls [first, last]
};

struct PlannedCall {
  const ir::KernelSpec* spec = nullptr;  // in the planned graph, or in Plan::copies
  ir::ValueId node;                      // kNoValue: a copy that an update or an output needs
  std::vector<int> buffers;              // operands, then results
  std::size_t operands = 0;
};

struct Plan {
  Buffer& buffer(int index) { return buffers[static_cast<std::size_t>(index)]; }
  const Buffer& buffer(int index) const { return buffers[static_cast<std::size_t>(index)]; }

  std::vector<Buffer> buffers;
  std::vector<PlannedCall> calls;
  std::vector<int> inputs;   // buffer of each input node, in graph order
  std::vector<int> outputs;  // buffer of each graph output
  std::vector<std::unique_ptr<ir::KernelSpec>> copies;
  std::int64_t arena_bytes = 0;
  // Calls [0, kept) compute from weights alone in a graph that updates none: their results stay in
  // the arena and hold until a weight is written.
  std::size_t kept = 0;
};

// Plans `graph`, which must be at Stage::selected and outlive the plan. An updated variable is
// written in place where its new value is made by a kernel that reads at most the same element of
// the old contents, after every other reader of them; other updates are copied at the end.
Plan make_plan(const ir::Graph& graph, ir::Dim max_batch);

// What a buffer takes, 64 bytes behind it included that kernels may read.
std::int64_t padded_bytes(std::int64_t bytes);

// Whether two buffers share bytes of the arena.
bool overlap(const Buffer& a, const Buffer& b);

// The value whose buffer `id` names: through view and result nodes. `index` is the result's number.
struct Source {
  ir::ValueId node;
  std::int64_t index = 0;
};
Source source_of(const ir::Graph& graph, ir::ValueId id);

}  // namespace taper::runtime
