// compile(Graph) -> Executable: a static plan of kernel calls over one arena.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ir/graph.h"
#include "ir/isa.h"
#include "runtime/aligned.h"
#include "runtime/input.h"

namespace taper::runtime {

// The storage of a parameter or a state tensor, shared by all executables that bind it. The first
// of them fixes the physical layout, for as long as any is left.
class Variable {
 public:
  Variable(std::string name, ir::TensorType type);  // zeros; type.shape is static
  const std::string& name() const { return name_; }
  const ir::TensorType& type() const { return type_; }  // its layout is the storage's

  // Logical row-major copies, f32. i8 tensors take integers: others are truncated, saturated.
  // Throw taper::Error when the size is wrong.
  std::vector<float> read() const;
  void write(std::span<const float> values);
  // Another number after every write, by whomever: what was computed from the contents is stale.
  std::uint64_t version() const { return version_; }
  bool is_zero() const { return zeros_; }  // nothing has been written and nobody could

  void set_layout(ir::Layout layout);  // converts the contents
  // To write: whoever does calls it before every time.
  void* data() {
    ++version_;
    zeros_ = false;
    return data_.get();
  }
  // The data, for an executable to hold: the layout stays until it lets go.
  std::shared_ptr<void> bind() {
    zeros_ = false;
    return {holders_, data_.get()};
  }
  bool is_bound() const { return holders_.use_count() > 1; }

 private:
  std::string name_;
  ir::TensorType type_;
  AlignedBytes data_;
  std::shared_ptr<void> holders_ = std::make_shared<char>();
  bool zeros_ = true;
  std::uint64_t version_ = 0;
};

using Variables = std::map<std::string, std::shared_ptr<Variable>>;

struct CompileOptions {
  ir::Dim max_batch = 256;
  int threads = 0;               // 0: TAPER_NUM_THREADS, else the CPUs this process may use
  const ir::Isa* isa = nullptr;  // nullptr: host_isa(); else one that this processor has
  // The reference interpreter instead of generated code; also where the host has no known ISA or
  // grants no executable memory.
  bool interpret = false;
  bool winograd = true;        // false: 3x3 convolutions are direct, rounded less and slower
  std::string dump = {};       // directory for IR, kernel list and listings; TAPER_DUMP if empty
  std::string name = "graph";  // prefix of dumped files
  // Who learns the names of the generated routines: perfmap, jitdump or gdb (runtime/announce.h);
  // TAPER_JIT_PROFILE if empty.
  std::string jit_profile = {};
  // Lines on standard error: 1 for each compile() and kernel, 2 also for each kernel of each run;
  // or TAPER_VERBOSE. The first line of a kind names its columns.
  int verbose = 0;
  // A file that gets the timeline of all runs, for Chrome or Perfetto; TAPER_TRACE if empty.
  std::string trace = {};
};

struct Report {
  std::size_t arena_bytes = 0;
  std::size_t kernels = 0;  // kernel calls in a run
  std::size_t code_bytes = 0;
  std::size_t barriers = 0;
  double compile_seconds = 0;
  std::string isa;  // or "interpreter"
  int threads = 1;
};

// The first value of a replay that is not finite while all that it was computed from is.
struct NonFinite {
  std::string value;  // as in "the result of log, f32[N,10]"
  Location location;
};

// A stretch of a profiled run on one thread: kernel call `call` of the plan, or waiting at the
// barrier before it. Seconds since the run began.
struct ProfileEvent {
  std::uint32_t call = 0;
  int thread = 0;
  bool wait = false;
  double begin = 0, end = 0;
};

// Thread-compatible: one run at a time per Executable.
class Executable {
 public:
  Executable(Executable&&) noexcept;
  Executable& operator=(Executable&&) noexcept;
  ~Executable();

  // Inputs in any dtype of the graph, by index of input_names(). The bytes are copied in by run(),
  // by all of its threads. For N = batch; they must be exactly byte_size(type, batch). Labels of
  // cross_entropy are checked. Throws taper::Error; a failed run changes no variable.
  void run(std::span<const InputBytes> inputs, ir::Dim batch);
  // As run(), on a path of its own that reads the clock around every kernel call: run() itself
  // never asks whether it is profiled. The events of each thread are in order. Throws taper::Error,
  // also where the interpreter runs, which has no kernels.
  std::vector<ProfileEvent> profile(std::span<const InputBytes> inputs, ir::Dim batch);
  // What kernel call `call` of the plan computes.
  const ir::KernelSpec& kernel(std::size_t call) const;
  // Output `index` of the last run, row-major, valid until the next run.
  std::span<const float> output(std::size_t index) const;

  const std::vector<std::string>& input_names() const { return facts().input_names; }
  const std::vector<ir::TensorType>& input_types() const { return facts().input_types; }
  const std::vector<std::string>& output_names() const { return facts().output_names; }
  const std::vector<ir::TensorType>& output_types() const { return facts().output_types; }
  const Variables& variables() const { return facts().variables; }  // all that it binds
  const Report& report() const { return facts().report; }
  // Computes output `index` from `inputs` at the batch of the last run and the present contents of
  // the variables, in the interpreter, and follows it back. Nothing if it is finite there.
  std::optional<NonFinite> first_non_finite(std::span<const InputBytes> inputs,
                                            std::size_t index) const;
  std::string plan() const;  // kernel list, lowering, cost, buffers, arena layout

 private:
  friend Executable compile(const ir::Graph&, const Variables&, const CompileOptions&);
  friend struct Compilation;
  struct Facts {
    std::vector<std::string> input_names, output_names;
    std::vector<ir::TensorType> input_types, output_types;
    Variables variables;
    Report report;
  };
  struct Program;
  const Facts& facts() const;
  explicit Executable(std::unique_ptr<Program> program);
  std::unique_ptr<Program> program_;
};

// Binds every parameter and state node of `graph` to the variable of its name.
Executable compile(const ir::Graph& graph, const Variables& variables,
                   const CompileOptions& options = {});

}  // namespace taper::runtime
