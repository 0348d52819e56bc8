#include "runtime/executable.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "runtime/program.h"

namespace taper::runtime {
namespace {

// Below this much work a fork costs more than the second thread saves.
constexpr double kWorthForking = 2e6;  // nominal FLOPs, or bytes moved / 4

double load_element(ir::DType dtype, const std::byte* data, std::size_t i) {
  const auto as = [&]<class T>(T) {
    T value;
    std::memcpy(&value, data + i * sizeof(T), sizeof(T));
    return static_cast<double>(value);
  };
  switch (dtype) {
    case ir::DType::f32:
      return as(float{});
    case ir::DType::i32:
      return as(std::int32_t{});
    case ir::DType::i8:
      return as(std::int8_t{});
    case ir::DType::u8:
      return as(std::uint8_t{});
    case ir::DType::boolean:
      return as(std::uint8_t{}) != 0 ? 1 : 0;
    case ir::DType::bf16: {
      const std::uint32_t bits = static_cast<std::uint32_t>(as(std::uint16_t{})) << 16;
      float value;
      std::memcpy(&value, &bits, sizeof value);
      return static_cast<double>(value);
    }
    case ir::DType::f16: {
      const auto bits = static_cast<std::uint32_t>(as(std::uint16_t{}));
      const double sign = bits & 0x8000u ? -1 : 1;
      const int exponent = static_cast<int>(bits >> 10 & 31u);
      const double fraction = (bits & 1023u) / 1024.0;
      if (exponent == 31) return fraction != 0 ? std::nan("") : sign * HUGE_VAL;
      return sign *
             (exponent == 0 ? std::ldexp(fraction, -14) : std::ldexp(1 + fraction, exponent - 15));
    }
  }
  return 0;
}

ir::Shape at_batch(ir::Shape shape, ir::Dim batch) {
  if (!shape.empty() && shape.front() == ir::kBatch) shape.front() = batch;
  return shape;
}

}  // namespace

Executable::Executable(std::unique_ptr<Program> program) : program_(std::move(program)) {}
Executable::Executable(Executable&&) noexcept = default;
Executable& Executable::operator=(Executable&&) noexcept = default;
Executable::~Executable() = default;

const std::vector<std::string>& Executable::input_names() const {
  return program_->input_names;
}
const std::vector<ir::TensorType>& Executable::input_types() const {
  return program_->input_types;
}
const std::vector<std::string>& Executable::output_names() const {
  return program_->output_names;
}
const std::vector<ir::TensorType>& Executable::output_types() const {
  return program_->output_types;
}
const Report& Executable::report() const {
  return program_->report;
}
std::string Executable::plan() const {
  return describe(program_->plan, program_->schedule, program_->report,
                  program_->options.max_batch);
}

std::span<const float> Executable::output(std::size_t index) const {
  if (index >= program_->output_types.size() || program_->batch == 0)
    throw Error(
        fmt::format("output {}: {}", index,
                    program_->batch == 0 ? "nothing has run yet" : "there is no such output"));
  const auto count = static_cast<std::size_t>(
      ir::element_count(program_->output_types[index].shape, program_->batch));
  const float* data = program_->options.interpret ? program_->interpreted_outputs[index].data()
                                                  : program_->output_data[index];
  return {data, count};
}

void Executable::run(std::span<const std::span<const std::byte>> inputs, ir::Dim batch) {
  program_->check_inputs(inputs, batch);
  program_->batch = batch;
  if (program_->options.interpret)
    program_->run_interpreter(inputs);
  else
    program_->run_generated(inputs);
}

void Executable::Program::check_inputs(std::span<const std::span<const std::byte>> inputs,
                                       ir::Dim n) const {
  if (n < 1 || n > options.max_batch)
    throw Error(
        fmt::format("run: batch {} is not in 1..{}, the range this program was compiled for", n,
                    options.max_batch));
  if (inputs.size() != input_types.size())
    throw Error(fmt::format("run: {} inputs were given but the program takes {}", inputs.size(),
                            input_types.size()));
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const auto bytes = static_cast<std::size_t>(ir::element_count(input_types[i].shape, n)) *
                       ir::byte_size(input_types[i].dtype);
    if (inputs[i].size() != bytes)
      throw Error(
          fmt::format("run: input \"{}\" is {} and takes {} bytes at batch {}, but {} were given",
                      input_names[i], ir::to_string(input_types[i]), bytes, n, inputs[i].size()));
  }
  for (const LabelCheck& check : label_checks) {
    const std::span<const std::byte> bytes = inputs[check.input];
    for (std::size_t row = 0; row < bytes.size() / sizeof(std::int32_t); ++row) {
      std::int32_t label;
      std::memcpy(&label, bytes.data() + row * sizeof label, sizeof label);
      if (label < 0 || label >= check.classes)
        throw Error(fmt::format("cross_entropy: label {} in row {} of input \"{}\" is not in 0..{}",
                                label, row, input_names[check.input], check.classes - 1),
                    check.location);
    }
  }
}

bool Executable::Program::prefers_one_thread() const {
  return work_fixed + work_per_image * static_cast<double>(batch) < kWorthForking;
}

void Executable::Program::run_generated(std::span<const std::span<const std::byte>> inputs) {
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (input_data[i] != nullptr)  // else no kernel reads it any more
      std::ranges::copy(inputs[i], input_data[i]);
  if (batch_scalar != nullptr) *batch_scalar = static_cast<float>(batch);
  if (options.threads == 1 || prefers_one_thread()) {
    const FlushDenormals flush;
    run_thread(0, 1);
    return;
  }
  pool->run(
      [](void* program, int thread) {
        const auto* self = static_cast<const Program*>(program);
        self->run_thread(thread, self->options.threads);
      },
      this);
}

void Executable::Program::run_thread(int thread, int threads) const {
  codegen::Call call;
  call.batch = batch;
  call.scratch = scratch[static_cast<std::size_t>(thread)].get();
  for (const ScheduledCall& scheduled : schedule) {
    if (scheduled.barrier_before && threads > 1) barrier->arrive_and_wait();
    const std::int64_t units = scheduled.kernel->units(batch);
    call.begin = units * thread / threads;
    call.end = units * (thread + 1) / threads;
    if (call.begin == call.end) continue;
    call.buffers = scheduled.buffers.data();
    scheduled.kernel->run(call);
  }
}

void Executable::Program::run_interpreter(std::span<const std::span<const std::byte>> inputs) {
  std::map<std::string, ir::Value> bindings;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    ir::Value value{input_types[i], {}};
    value.type.shape = at_batch(value.type.shape, batch);
    const std::size_t size = ir::byte_size(value.type.dtype);
    for (std::size_t e = 0; e < inputs[i].size() / size; ++e)
      value.data.push_back(load_element(value.type.dtype, inputs[i].data(), e));
    bindings.emplace(input_names[i], std::move(value));
  }
  for (const auto& [name, variable] : variables) {
    const std::vector<float> values = variable->read();
    ir::TensorType type = variable->type();
    type.layout = ir::Layout::plain;
    bindings.emplace(name, ir::Value{type, {values.begin(), values.end()}});
  }
  const ir::Evaluation result = ir::evaluate(recorded, bindings, batch);
  interpreted_outputs.clear();
  for (const ir::Value& output : result.outputs)
    interpreted_outputs.emplace_back(output.data.begin(), output.data.end());
  for (const auto& [name, value] : result.updated) {
    const std::vector<float> values(value.data.begin(), value.data.end());
    variables.at(name)->write(values);
  }
}

}  // namespace taper::runtime
