// The story of the compiler: bind, run the passes, plan, generate, schedule.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <mutex>
#include <optional>
#include <set>
#include <utility>

#include "codegen/masm.h"
#include "passes/passes.h"
#include "runtime/announce.h"
#include "runtime/arena.h"
#include "runtime/environment.h"
#include "runtime/executable.h"
#include "runtime/program.h"

namespace taper::runtime {
namespace {

Variable& bound(const Variables& variables, const ir::Node& node) {
  const auto found = variables.find(name_of(node));
  if (found == variables.end())
    throw Error(node.location, "compile: {} \"{}\" is bound to no variable",
                ir::traits(node.op).name, name_of(node));
  return *found->second;
}

// The nodes that read storage take the layout it already has.
ir::Graph with_storage_layouts(const ir::Graph& recorded, const Variables& variables) {
  ir::Graph graph = ir::canonical(recorded);
  for (std::size_t i = 0; i < graph.size(); ++i) {
    ir::Node& node = graph[graph.id(i)];
    if (!is_variable(node)) continue;
    const Variable& variable = bound(variables, node);
    if (variable.type().shape != node.type.shape || variable.type().dtype != node.type.dtype)
      throw Error(node.location, "compile: {} \"{}\" is {} but its variable is {}",
                  ir::traits(node.op).name, name_of(node), ir::to_string(node.type),
                  ir::to_string(variable.type()));
    node.type.layout = variable.type().layout;
  }
  return graph;
}

void check_outputs(const ir::Graph& graph) {
  if (graph.outputs.empty() && graph.updates.empty())
    throw Error("compile: the graph has neither outputs nor updates");
  for (const ir::Output& output : graph.outputs)
    if (graph[output.value].type.dtype != ir::DType::f32)
      throw Error(graph[output.value].location, "compile: output \"{}\" is {}; cast it to f32",
                  output.name, ir::to_string(graph[output.value].type));
}

// Emitters record listings while it lives. One at a time: the switch is the process's.
class RecordListings {
 public:
  RecordListings() : lock_(turn()), before_(codegen::recording_listings()) {
    codegen::record_listings(true);
  }
  ~RecordListings() { codegen::record_listings(before_); }
  RecordListings(const RecordListings&) = delete;
  RecordListings& operator=(const RecordListings&) = delete;

 private:
  static std::mutex& turn() {
    static std::mutex mutex;
    return mutex;
  }
  std::scoped_lock<std::mutex> lock_;
  bool before_;
};

}  // namespace

codegen::Kernels kernels_of(const Plan& plan, const ir::Isa& isa, int threads, bool listed) {
  std::optional<RecordListings> listings;
  if (listed) listings.emplace();
  std::vector<const ir::KernelSpec*> specs;
  for (const PlannedCall& call : plan.calls) specs.push_back(call.spec);
  return codegen::compile_cached(specs, isa, threads);
}

// Each step below is one stage of `compile`.
struct Compilation {
  using Program = Executable::Program;

  static void bind(Program& p, const ir::Graph& recorded, const Variables& variables) {
    const ir::Graph graph = with_storage_layouts(recorded, variables);
    check_outputs(graph);
    for (const ir::Node& node : graph.nodes()) {
      if (is_variable(node)) p.variables.emplace(name_of(node), variables.at(name_of(node)));
      if (node.op != ir::Op::input) continue;
      p.input_names.push_back(name_of(node));
      p.input_types.push_back(node.type);
    }
    for (const ir::Output& output : graph.outputs) {
      p.output_names.push_back(output.name);
      p.output_types.push_back(graph[output.value].type);
      p.output_types.back().layout = ir::Layout::plain;
    }
    p.recorded = graph;
  }

  static void lower(Program& p) {
    passes::PassOptions options{.max_batch = p.options.max_batch, .winograd = p.options.winograd};
    for (const auto& [name, variable] : p.variables)
      if (variable->is_bound()) options.placed.insert(name);
    int number = 0;
    p.selected = passes::run_pipeline(p.recorded, options,
                                      [&](std::string_view stage, const ir::Graph& graph) {
                                        dump_stage(p.options, number++, stage, graph);
                                        if (stage == "differentiate") p.recorded = graph;
                                      });
    p.label_checks = find_labels(p.recorded, p.input_names);
  }

  static void generate(Program& p) {
    p.plan = make_plan(p.selected, p.options.max_batch);
    p.kernels = kernels_of(p.plan, *p.options.isa, p.options.threads, !p.options.dump.empty());
    p.chains = arrange(p.plan, p.kernels, p.options.max_batch, p.options.threads);
  }

  static void allocate(Program& p) {
    p.arena = allocate_aligned(static_cast<std::size_t>(p.plan.arena_bytes));
    std::size_t scratch = 0;
    for (const auto& kernel : p.kernels)
      scratch = std::max(scratch, kernel->scratch_bytes(p.options.max_batch));
    for (int t = 0; t < p.options.threads; ++t) p.scratch.push_back(allocate_aligned(scratch));
    for (std::size_t i = 0; i < p.plan.buffers.size(); ++i) {
      const Buffer& buffer = p.plan.buffers[i];
      if (buffer.place == Buffer::Place::constant)
        p.constants.emplace(static_cast<int>(i), constant_storage(p.selected[buffer.value]));
    }
    set_layouts(p.plan, p.variables, p.options.threads);
    for (const Buffer& buffer : p.plan.buffers)
      if (buffer.place == Buffer::Place::variable)
        p.bound.emplace(buffer.name, p.variables.at(buffer.name)->bind());
  }

  static AlignedBytes constant_storage(const ir::Node& node) {
    const auto& values = std::get<ir::ConstantAttrs>(node.attrs).values;
    const auto count = static_cast<std::size_t>(ir::element_count(node.type.shape, 1));
    AlignedBytes bytes = allocate_aligned(static_cast<std::size_t>(ir::byte_size(node.type, 1)));
    const std::size_t size = ir::byte_size(node.type.dtype);
    for (std::size_t i = 0; i < count; ++i) {
      const double value = values.size() == 1 ? values[0] : values[i];
      const std::uint32_t bits = ir::element_bits(node.type.dtype, value);
      // The machine is little-endian, as every one that code is generated for.
      std::memcpy(bytes.get() + i * size, &bits, size);
    }
    return bytes;
  }

  static void* address(const Program& p, int index) {
    const Buffer& buffer = p.plan.buffer(index);
    switch (buffer.place) {
      case Buffer::Place::arena:
        return p.arena.get() + buffer.offset;
      case Buffer::Place::variable:
        return p.bound.at(buffer.name).get();
      case Buffer::Place::constant:
        return p.constants.at(index).get();
    }
    return nullptr;
  }

  static void schedule(Program& p) {
    const std::vector<bool> barriers = place_barriers(p.plan, p.kernels, p.chains);
    for (std::size_t c = 0; c < p.kernels.size(); ++c) {
      p.schedule.push_back(bind_call(p, p.plan.calls[c], p.kernels[c].get()));
      const double fixed = work(p, p.plan.calls[c], 0);
      p.work_fixed += fixed;
      p.work_per_image += work(p, p.plan.calls[c], 1) - fixed;
    }
    for (std::size_t i = 0; i < barriers.size(); ++i)
      p.schedule[p.chains[i].first].barrier_before = barriers[i];
    take_over_early(p.plan, p.schedule, p.options.threads, p.options.max_batch);
    p.pool = ThreadPool::shared(p.options.threads);
    p.barrier = std::make_unique<Barrier>(p.options.threads);
    p.progress = std::vector<Progress>(static_cast<std::size_t>(p.options.threads));
  }

  static ScheduledCall bind_call(const Program& p, const PlannedCall& planned,
                                 const codegen::Kernel* kernel) {
    ScheduledCall call;
    call.kernel = kernel;
    for (const int index : planned.buffers) {
      const Buffer& buffer = p.plan.buffer(index);
      if (buffer.thread_bytes > 0)
        call.locals.push_back({call.buffers.size(), buffer.thread_bytes, buffer.unit_bytes});
      call.buffers.push_back(address(p, index));
    }
    const auto threads = static_cast<std::size_t>(p.options.threads);
    if (!call.locals.empty()) call.bound.assign(threads, call.buffers);
    return call;
  }

  static double work(const Program& p, const PlannedCall& call, ir::Dim batch) {
    double bytes = 0;
    for (const int index : call.buffers)
      bytes += static_cast<double>(ir::byte_size(p.plan.buffer(index).type, batch));
    return std::max(ir::flops(*call.spec, batch), bytes / 4);
  }

  // By a map, which works on one image as fast as on many, if none reads bytes behind it; one input
  // of each.
  static void read_in_place(Program& p, int buffer, std::size_t input) {
    constexpr ir::Dim kWorthACall = 256;  // elements of an image
    const ir::TensorType& type = p.plan.buffer(buffer).type;
    const ir::Dim elements = ir::element_count(type.shape, 1);
    if (!type.has_batch() || elements < kWorthACall || elements % ir::kBlock != 0) return;
    auto uses = std::ranges::count(p.plan.outputs, buffer);
    std::size_t reader = 0, operand = 0;
    for (std::size_t c = 0; c < p.plan.calls.size(); ++c) {
      const std::vector<int>& buffers = p.plan.calls[c].buffers;
      const auto at = std::ranges::find(buffers, buffer);
      if (at == buffers.end()) continue;
      uses += std::ranges::count(buffers, buffer);
      reader = c;
      operand = static_cast<std::size_t>(at - buffers.begin());
    }
    if (uses != 1 || !std::holds_alternative<ir::MapSpec>(*p.plan.calls[reader].spec)) return;
    const auto chain =
        std::ranges::find_if(p.chains, [&](const Chain& c) { return reader < c.end; });
    ScheduledCall& call = p.schedule[reader];
    if (chain->planes != 1 || call.kernel->partition() != codegen::Partition::images ||
        call.kernel->units(1) != 1 ||
        std::ranges::count(p.read_in_place, reader, &Program::ReadInPlace::call) > 0)
      return;
    call.bound.assign(static_cast<std::size_t>(p.options.threads), call.buffers);
    p.read_in_place.push_back({input, reader, operand});
  }

  // The planned graph may order its inputs differently and add "$batch": bind by name.
  static void bind_buffers(Program& p) {
    p.inputs_at.resize(p.input_names.size());
    for (const int index : p.plan.inputs) {
      const Buffer& buffer = p.plan.buffer(index);
      auto* data = static_cast<std::byte*>(address(p, index));
      const auto at = std::find(p.input_names.begin(), p.input_names.end(), buffer.name);
      if (at == p.input_names.end()) {
        p.batch_scalar = reinterpret_cast<float*>(data);
        continue;
      }
      const auto input = static_cast<std::size_t>(at - p.input_names.begin());
      p.inputs_at[input] = {data, buffer.type.has_batch()};
      read_in_place(p, index, input);
    }
    for (const int index : p.plan.outputs)
      p.output_data.push_back(static_cast<const float*>(address(p, index)));
  }

  static void watch_variables(Program& p) {
    for (const ir::Update& update : p.recorded.updates)
      p.updated.push_back(&bound(p.variables, p.recorded[update.variable]));
    for (const Chain& chain : p.chains) p.kept_chains += chain.end <= p.plan.kept;
    if (p.kept_chains == 0) return;
    for (const auto& [name, variable] : p.variables) p.kept_from.push_back({variable.get(), 0});
  }

  static void report(Program& p) {
    p.report.isa = p.options.interpret ? "interpreter" : std::string(p.options.isa->name);
    p.report.threads = p.options.interpret ? 1 : p.options.threads;
    p.report.arena_bytes = static_cast<std::size_t>(p.plan.arena_bytes);
    p.report.kernels = p.schedule.size();
    for (const ScheduledCall& call : p.schedule) p.report.barriers += call.barrier_before;
    for (const auto& kernel : std::set(p.kernels.begin(), p.kernels.end()))
      for (const codegen::Routine* routine : kernel->routines())
        p.report.code_bytes += routine->code->bytes.size();
  }
};

Executable compile(const ir::Graph& graph, const Variables& variables,
                   const CompileOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  auto program = std::make_unique<Executable::Program>();
  Executable::Program& p = *program;
  p.options = resolve(options);
  Compilation::bind(p, graph, variables);
  Compilation::lower(p);
  if (!p.options.interpret) {
    Compilation::generate(p);
    Compilation::allocate(p);
    Compilation::schedule(p);
    Compilation::bind_buffers(p);
    Compilation::watch_variables(p);
    announce(p.kernels, p.options.jit_profile);
  }
  Compilation::report(p);
  p.report.compile_seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (p.options.verbose > 0)
    print_events(p.options.name, p.plan, p.report, p.options.max_batch, p.options.verbose > 1);
  p.choose_runner();
  Executable executable(std::move(program));
  if (!p.options.dump.empty()) dump_program(p.options, executable.plan(), p.kernels);
  return executable;
}

}  // namespace taper::runtime
