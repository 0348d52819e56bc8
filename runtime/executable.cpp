#include "runtime/executable.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "runtime/program.h"

namespace taper::runtime {
namespace {

// Below this much work a fork costs more than the second thread saves.
constexpr double kWorthForking = 2e6;  // nominal FLOPs, or bytes moved / 4

// The input that `node` reads; checked elements must be one, so that a run can look before it
// starts.
std::size_t checked_input(const ir::Graph& graph, const ir::Node& node, std::size_t operand,
                          const std::vector<std::string>& inputs) {
  const ir::Node& source = graph[node.operands[operand]];
  if (source.op != ir::Op::input)
    throw Error(node.location, "{}: the {} must be an input of the graph", ir::traits(node.op).name,
                node.op == ir::Op::in_range                                       ? "operand"
                : node.op == ir::Op::gather || node.op == ir::Op::gather_backward ? "indices"
                                                                                  : "labels");
  return static_cast<std::size_t>(std::ranges::find(inputs, name_of(source)) - inputs.begin());
}

}  // namespace

Executable::Executable(std::unique_ptr<Program> program) : program_(std::move(program)) {}
Executable::Executable(Executable&&) noexcept = default;
Executable& Executable::operator=(Executable&&) noexcept = default;
Executable::~Executable() = default;

const Executable::Facts& Executable::facts() const {
  return *program_;
}
std::string Executable::plan() const {
  return describe(program_->plan, program_->schedule, program_->chains, program_->report,
                  program_->options.max_batch);
}

std::span<const float> Executable::output(std::size_t index) const {
  if (index >= program_->output_types.size() || program_->batch == 0)
    throw Error("output {}: {}", index,
                program_->batch == 0 ? "nothing has run yet" : "there is no such output");
  const auto count = static_cast<std::size_t>(
      ir::element_count(program_->output_types[index].shape, program_->batch));
  const float* data = program_->options.interpret ? program_->interpreted_outputs[index].data()
                                                  : program_->output_data[index];
  return {data, count};
}

void Executable::run(std::span<const InputBytes> inputs, ir::Dim batch) {
  program_->check_inputs(inputs, batch);
  program_->batch = batch;
  ((*program_).*program_->runner)(inputs);
}

std::vector<LabelCheck> find_labels(const ir::Graph& graph,
                                    const std::vector<std::string>& inputs) {
  std::vector<LabelCheck> checks;
  for (const ir::Node& node : graph.nodes())
    if (const auto check = ir::element_check(graph, node))
      checks.push_back(
          {checked_input(graph, node, check->operand, inputs), check->range, node.location});
  return checks;
}

void LabelCheck::run(std::string_view name, std::span<const std::byte> labels) const {
  for (std::size_t row = 0; row < labels.size() / sizeof(std::int32_t); ++row) {
    std::int32_t label;
    std::memcpy(&label, labels.data() + row * sizeof label, sizeof label);
    if (label >= range.low && label < range.high) continue;
    if (std::ranges::find(range.others, label) != range.others.end()) continue;
    const std::string others =
        range.others.empty() ? "" : fmt::format(" nor {}", fmt::join(range.others, " nor "));
    throw Error(location, "run: label {} in row {} of input \"{}\" is not in {}..{}{}", label, row,
                name, range.low, range.high - 1, others);
  }
}

void Executable::Program::check_inputs(std::span<const InputBytes> inputs, ir::Dim n) const {
  if (n < 1 || n > options.max_batch)
    throw Error("run: batch {} is not in 1..{}, the range this program was compiled for", n,
                options.max_batch);
  if (inputs.size() != input_types.size())
    throw Error("run: {} inputs were given but the program takes {}", inputs.size(),
                input_types.size());
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const auto bytes = static_cast<std::size_t>(ir::element_count(input_types[i].shape, n)) *
                       ir::byte_size(input_types[i].dtype);
    const std::size_t images = inputs[i].images.size();
    if (images != 0 && (!input_types[i].has_batch() || images != static_cast<std::size_t>(n)))
      throw Error("run: input \"{}\" is {} and cannot be {} separate images at batch {}",
                  input_names[i], ir::to_string(input_types[i]), images, n);
    if (inputs[i].size() != bytes)
      throw Error("run: input \"{}\" is {} and takes {} bytes at batch {}, but {} were given",
                  input_names[i], ir::to_string(input_types[i]), bytes, n, inputs[i].size());
  }
  std::vector<std::byte> storage;
  for (const LabelCheck& check : label_checks)
    check.run(input_names[check.input], inputs[check.input].in_one_piece(storage));
}

int Executable::Program::useful_threads() const {
  const double work = work_fixed + work_per_image * static_cast<double>(batch);
  return work < kWorthForking ? 1 : options.threads;
}

void Executable::Program::begin_run(std::span<const InputBytes> inputs) {
  given = inputs;
  ++runs;
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (inputs_at[i].data != nullptr && !inputs_at[i].by_images)
      inputs[i].copy(0, 1, 1, inputs_at[i].data);
  if (batch_scalar != nullptr) *batch_scalar = static_cast<float>(batch);
  for (Variable* variable : updated) variable->data();
  first_chain = std::exchange(has_kept, true) ? kept_chains : 0;
  for (auto& [variable, version] : kept_from)
    if (std::exchange(version, variable->version()) != variable->version()) first_chain = 0;
}

void Executable::Program::run_generated(std::span<const InputBytes> inputs) {
  begin_run(inputs);
  fork([this](int thread, int threads) {
    walk(
        thread, threads, [](std::size_t, const auto& action) { action(); },
        [&](std::size_t c, const codegen::Call& call) { execute(c, call, thread); });
  });
}

void Executable::Program::copy_inputs(int thread, int threads) const {
  const ir::Dim begin = batch * thread / threads, end = batch * (thread + 1) / threads;
  for (std::size_t i = 0; i < given.size(); ++i) {
    const bool in_place =
        !given[i].images.empty() && std::ranges::count(read_in_place, i, &ReadInPlace::input) > 0;
    if (inputs_at[i].by_images && !in_place) given[i].copy(begin, end, batch, inputs_at[i].data);
  }
}

void Executable::Program::execute(std::size_t c, const codegen::Call& call, int thread) {
  ScheduledCall& scheduled = schedule[c];
  const auto read = std::ranges::find(read_in_place, c, &ReadInPlace::call);
  if (read == read_in_place.end() || given[read->input].images.empty())
    return scheduled.kernel->run(call);
  const InputBytes& from = given[read->input];
  void*& bound = scheduled.bound[static_cast<std::size_t>(thread)][read->operand];
  codegen::Call one = call;
  for (std::int64_t image = call.begin; image < call.end; ++image) {
    from.ask_behind(image, call.end);
    const auto at = static_cast<std::size_t>(image);
    const std::intptr_t first =
        codegen::address(from.images[at]) - static_cast<std::intptr_t>(at * from.image_bytes);
    bound = reinterpret_cast<void*>(first);
    one.begin = image;
    one.end = image + 1;
    scheduled.kernel->run(one);
  }
  bound = scheduled.buffers[read->operand];
}

}  // namespace taper::runtime
