#include "tools/lowered.h"

#include <fmt/format.h>

#include "runtime/arena.h"
#include "runtime/program.h"

namespace taper::tools {

std::string Lowered::value(std::size_t c) const {
  const ir::ValueId node = plan.calls[c].node;
  return node == ir::kNoValue ? "copy" : fmt::format("%{}", node.index);
}

std::string Lowered::buffers(std::size_t c) const {
  return runtime::buffer_names(plan, plan.calls[c]);
}

Location Lowered::location(std::size_t c) const {
  const ir::ValueId node = plan.calls[c].node;
  return node == ir::kNoValue ? Location() : selected()[node].location;
}

double Lowered::bytes(std::size_t c, ir::Dim batch) const {
  double sum = 0;
  for (const int b : plan.calls[c].buffers)
    sum += static_cast<double>(ir::byte_size(plan.buffer(b).type, batch));
  return sum;
}

std::unique_ptr<Lowered> lower(const ir::Graph& recorded, const passes::PassOptions& options,
                               const ir::Isa& isa) {
  auto lowered = std::make_unique<Lowered>();
  passes::run_pipeline(ir::canonical(recorded), options,
                       [&](std::string_view stage, const ir::Graph& graph) {
                         lowered->stages.emplace_back(stage, graph);
                       });
  lowered->plan = runtime::make_plan(lowered->selected(), options.max_batch);
  lowered->kernels = runtime::kernels_of(lowered->plan, isa, 1, /*listed=*/true);
  runtime::arrange(lowered->plan, lowered->kernels, options.max_batch, 1);
  return lowered;
}

}  // namespace taper::tools
