// Fused elementwise kernels: C++ walks the outer dims, generated code the two innermost.
#include <fmt/format.h>

#include <algorithm>

#include "codegen/map_routine.h"
#include "codegen/sizes.h"
#include "ir/error.h"

namespace taper::codegen {
namespace {

// Elements of a work unit of a map that is not cut by images.
constexpr std::int64_t kChunk = 1024;

struct Extent {
  std::int64_t size = 1;
  bool batched = false;  // times N
  std::int64_t at(std::int64_t batch) const { return batched ? size * batch : size; }
};

// A segment as it is walked: dims of one element dropped, adjacent dims merged where every stream
// goes on evenly or begins its block again. Row-major order, and so the linear index of an element,
// stays the same.
struct Walk {
  std::vector<Extent> dims;
  std::vector<std::vector<std::int64_t>> strides;  // per stream: inputs, then outputs; in bytes
  std::vector<bool> blocks;                        // per stream: see MapAccess
  std::vector<std::size_t> buffers;                // per stream
  std::size_t routine = 0;

  std::int64_t elements(std::int64_t batch) const {
    std::int64_t count = 1;
    for (const Extent& d : dims) count *= d.at(batch);
    return count;
  }
  // Places that it takes in the units: vectors of the next segment start at whole ones.
  std::int64_t places(std::int64_t batch) const { return blocks_of(elements(batch)) * kLanes; }
};

// Merges dim `outer` into the innermost so far, which walks as dim `inner`, if every stream allows.
bool merge(Walk& walk, const std::vector<ir::Stream>& streams, std::size_t outer,
           std::size_t inner) {
  const Extent extent = walk.dims.back();
  if (extent.batched) return false;
  const bool innermost = walk.dims.size() == 1;
  std::vector<bool> blocks = walk.blocks;
  for (std::size_t i = 0; i < streams.size(); ++i) {
    const std::int64_t out = streams[i].strides[outer], in = streams[i].strides[inner];
    if (out == in * extent.size && !(innermost && blocks[i])) continue;
    blocks[i] = innermost && (blocks[i] || (extent.size == kLanes && in == 1));
    if (!blocks[i] || out != 0) return false;
  }
  walk.blocks = blocks;
  return true;
}

Walk make_walk(const ir::MapSegment& segment, const std::vector<ir::Stream>& streams) {
  std::vector<std::size_t> kept;  // the spec's dim that a walk's dim steps by
  Walk walk;
  walk.blocks.resize(streams.size());
  for (std::size_t i = segment.dims.size(); i-- > 0;) {
    const bool batched = segment.dims[i] == ir::kBatch;
    const Extent extent{batched ? 1 : segment.dims[i], batched};
    if (!batched && extent.size == 1) continue;
    if (!kept.empty() && merge(walk, streams, i, kept.back())) {
      walk.dims.back() = {walk.dims.back().size * extent.size, batched};
      continue;
    }
    walk.dims.push_back(extent);
    kept.push_back(i);
  }
  std::ranges::reverse(walk.dims);
  std::ranges::reverse(kept);
  for (std::size_t i = 0; i < streams.size(); ++i) {
    const auto size = static_cast<std::int64_t>(ir::byte_size(streams[i].dtype));
    std::vector<std::int64_t>& strides = walk.strides.emplace_back();
    for (const std::size_t dim : kept) strides.push_back(streams[i].strides[dim] * size);
    if (kept.empty()) strides.push_back(size);
    if (walk.blocks[i]) strides.back() = 0;
  }
  if (kept.empty()) walk.dims.emplace_back();
  return walk;
}

std::vector<ir::Stream> streams_of(const ir::MapSpec& spec, const ir::MapSegment& segment) {
  if (static_cast<std::int64_t>(segment.inputs.size()) != spec.expr.inputs ||
      segment.outputs.size() != spec.expr.outputs.size())
    throw Error(
        "map: a segment of {} inputs and {} outputs for an expression of {} "
        "and {}",
        segment.inputs.size(), segment.outputs.size(), spec.expr.inputs, spec.expr.outputs.size());
  std::vector<ir::Stream> streams = segment.inputs;
  streams.insert(streams.end(), segment.outputs.begin(), segment.outputs.end());
  for (const ir::Stream& s : streams)
    if (s.strides.size() != segment.dims.size())
      throw Error("map: {} strides for {} dims {}", s.strides.size(), segment.dims.size(),
                  ir::to_string(segment.dims));
  return streams;
}

class MapKernel final : public Kernel {
 public:
  MapKernel(const ir::MapSpec& spec, const ir::Isa& isa) : outputs_(spec.expr.outputs.size()) {
    const auto inputs = static_cast<std::size_t>(spec.expr.inputs);
    const std::size_t segments = spec.segments.size();
    std::vector<std::vector<MapAccess>> patterns;
    for (std::size_t s = 0; s < segments; ++s) {
      const std::vector<ir::Stream> streams = streams_of(spec, spec.segments[s]);
      Walk& walk = walks_.emplace_back(make_walk(spec.segments[s], streams));
      for (std::size_t i = 0; i < inputs; ++i) walk.buffers.push_back(s * inputs + i);
      for (std::size_t o = 0; o < outputs_; ++o)
        walk.buffers.push_back(segments * inputs + s * outputs_ + o);
      const std::vector<MapAccess> pattern = accesses(walk, streams, inputs);
      const auto known = std::ranges::find(patterns, pattern);
      walk.routine = static_cast<std::size_t>(known - patterns.begin());
      if (known != patterns.end()) continue;
      routines_.push_back(
          make_map_routine(spec.expr, pattern, isa, fmt::format("map_{}", patterns.size())));
      patterns.push_back(pattern);
    }
    by_images_ =
        segments == 1 && !spec.segments[0].dims.empty() && spec.segments[0].dims[0] == ir::kBatch;
    if (by_images_ && in_planes(spec.segments[0].dims, streams_of(spec, spec.segments[0])) &&
        walks_[0].elements(1) / spec.segments[0].dims[1] % kLanes == 0)
      planes_ = spec.segments[0].dims[1];
  }

  std::int64_t units(std::int64_t batch) const override {
    if (by_images_) return batch;
    std::int64_t count = 0;
    for (const Walk& walk : walks_) count += walk.places(batch);
    return divide_up(count, kChunk);
  }
  Partition partition() const override { return by_images_ ? Partition::images : Partition::units; }
  std::int64_t planes() const override { return planes_; }

  void run(const Call& call) const override {
    if (by_images_) {
      const std::int64_t unit = walks_[0].elements(1) / call.planes;
      run_elements(walks_[0], call, call.begin * unit, call.end * unit);
      return;
    }
    std::int64_t first = 0;
    for (const Walk& walk : walks_) {
      const auto [begin, end] = share(walk, first, call);
      if (begin < end) run_elements(walk, call, begin, end);
      first += walk.places(call.batch);
    }
  }

  std::span<std::byte> written(const Call& call, std::size_t index) const override {
    if (by_images_) return {};
    const std::size_t segment = index / outputs_;
    std::int64_t first = 0;
    for (std::size_t s = 0; s < segment; ++s) first += walks_[s].places(call.batch);
    const Walk& walk = walks_[segment];
    const auto [begin, end] = share(walk, first, call);
    if (begin >= end) return {};
    const std::size_t stream = walk.buffers.size() - outputs_ + index % outputs_;
    auto* result = static_cast<std::byte*>(call.buffers[walk.buffers[stream]]);
    const std::int64_t size = walk.strides[stream].back();
    return {result + begin * size, result + end * size};
  }

  std::vector<const Routine*> routines() const override { return with_routines({routines_}); }

 private:
  // The elements of a walk whose places start at `first` that a call works on.
  static std::pair<std::int64_t, std::int64_t> share(const Walk& walk, std::int64_t first,
                                                     const Call& call) {
    return {std::max<std::int64_t>(call.begin * kChunk - first, 0),
            std::min(call.end * kChunk - first, walk.elements(call.batch))};
  }

  static std::vector<MapAccess> accesses(const Walk& walk, const std::vector<ir::Stream>& streams,
                                         std::size_t inputs) {
    std::vector<MapAccess> pattern;
    for (std::size_t i = 0; i < streams.size(); ++i) {
      const auto size = static_cast<std::int64_t>(ir::byte_size(streams[i].dtype));
      const bool block = walk.blocks[i];
      pattern.push_back({streams[i].dtype, block ? 1 : walk.strides[i].back() / size, block});
      if (i >= inputs && pattern.back().stride != 1)
        throw Error("map: an output that is not dense in its innermost dim");
    }
    return pattern;
  }

  // Elements [begin, end) in row-major order: whole rows together, partial rows alone.
  void run_elements(const Walk& walk, const Call& call, std::int64_t begin,
                    std::int64_t end) const {
    const std::int64_t inner = walk.dims.back().at(call.batch);
    for (std::int64_t position = begin; position < end;) {
      MapCall args;
      args.index = position;
      const std::int64_t row = locate(walk, call, position, args);
      args.rows = 1;
      args.n = std::min(inner - divide(position, inner).rest, end - position);
      if (args.n == inner && walk.dims.size() > 1) {
        const std::int64_t left = walk.dims[walk.dims.size() - 2].at(call.batch) - row;
        args.rows = std::min(left, divide(end - position, inner).quotient);
      }
      position += args.rows * args.n;
      routines_[walk.routine](&args);
    }
  }

  // Sets the pointers to the element at `position`; returns its coordinate in the second last dim.
  static std::int64_t locate(const Walk& walk, const Call& call, std::int64_t position,
                             MapCall& args) {
    const std::size_t streams = walk.buffers.size(), rank = walk.dims.size();
    for (std::size_t s = 0; s < streams; ++s)
      args.pointers[s] = static_cast<std::byte*>(call.buffers[walk.buffers[s]]);
    if (rank > 1)
      for (std::size_t s = 0; s < streams; ++s) args.row_bytes[s] = walk.strides[s][rank - 2];
    if (position == 0) return 0;
    std::int64_t row = 0;
    for (std::size_t i = rank; i-- > 0;) {
      const auto [rest, at] = divide(position, walk.dims[i].at(call.batch));
      position = rest;
      if (i + 2 == rank) row = at;
      for (std::size_t s = 0; s < streams; ++s) args.pointers[s] += at * walk.strides[s][i];
    }
    return row;
  }

  std::vector<Walk> walks_;
  std::vector<Routine> routines_;
  std::size_t outputs_;  // of a segment
  bool by_images_ = false;
  std::int64_t planes_ = 1;
};

}  // namespace

std::shared_ptr<const Kernel> compile_map(const ir::MapSpec& spec, const ir::Isa& isa) {
  return std::make_shared<MapKernel>(spec, isa);
}

}  // namespace taper::codegen
